//! Every point at which an install from an archive can fail, one after another: nothing is left behind, and the version
//! before serves.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use berth_core::port::target::PluginTarget as _;
use berth_package::{Contents, SignedPackage, SigningKey, Trust};
use berth_store::{DatabaseUrl, SqlStore};
use berth_wasm::{HostError, Installed, Package, PluginHost};
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Row as _};
use support::component;
use support::host::Harness;

/// A host whose database is a file, with what a story looks at beside it.
struct Place {
    berth: Harness,
    folder: tempfile::TempDir,
    key: SigningKey,
}

impl Place {
    async fn make(first: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqlStore::open(&DatabaseUrl::sqlite(folder.path().join("berth.db"))).await.unwrap();
        let place = Self { berth: Harness::over(store), folder, key: SigningKey::generate() };
        place.guard(&place.berth.host);
        if let Some(step) = first {
            place.install(&place.berth.host, step).await.unwrap();
        }
        place
    }

    fn guard(&self, host: &PluginHost) {
        host.set_custody(Trust::read("").unwrap(), self.lock());
    }

    fn lock(&self) -> PathBuf {
        self.folder.path().join("berth.lock")
    }

    fn components(&self) -> PathBuf {
        self.berth.folder.path().join("components")
    }

    /// A signed archive with a schema of settings, whose tool adds `step`.
    fn package(&self, step: u32) -> Package {
        let component = component(&format!(
            r#"(component
                (core module $m (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const {step}))))
                (core instance $i (instantiate $m))
                (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#
        ));
        let manifest = format!(
            "[plugin]\nid = \"test\"\nversion = \"{step}.0.0\"\n[config]\nschema_file = \"config.schema.json\"\n"
        );
        let schema = format!("{{\"type\": \"object\", \"title\": \"{step}\"}}");
        let mut contents = Contents::default();
        contents.add("plugin.toml", manifest.into()).unwrap();
        contents.add("test.wasm", component.into()).unwrap();
        contents.add("config.schema.json", schema.into()).unwrap();
        let version = format!("{step}.0.0").parse().unwrap();
        let packed = SignedPackage::pack("test", &version, contents).unwrap();
        let signed = packed.signed(&self.key, Vec::new()).unwrap();
        let archive = signed.to_archive().unwrap();
        Package::shipped(SignedPackage::from_archive(&archive).unwrap()).unwrap()
    }

    async fn install(&self, host: &PluginHost, step: u32) -> Result<Installed, HostError> {
        host.install(self.package(step)).await
    }

    async fn database(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let path = self.folder.path().join("berth.db");
        AnyConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap()
    }

    async fn run(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::query(sql).execute(&mut self.database().await).await.unwrap();
    }

    async fn texts(&self, sql: String) -> Vec<String> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut self.database().await).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0)).collect()
    }

    async fn tables(&self) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' \
                   AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name";
        self.texts(sql.to_owned()).await
    }

    /// Every row of every table, but for the history of versions that were refused.
    async fn rows(&self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::new();
        for table in self.tables().await {
            let columns = self.texts(format!("SELECT name FROM pragma_table_info('{table}')")).await;
            let quoted: Vec<String> = columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
            let mut rows =
                self.texts(format!("SELECT {} AS line FROM \"{table}\"", quoted.join(" || ',' || "))).await;
            rows.retain(|row| table != "plugin_generation" || !row.contains("rejected"));
            rows.sort();
            all.insert(table, rows);
        }
        all
    }

    /// The files in the data folder, by name.
    fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in
            [self.components(), self.berth.folder.path().join("compiled"), self.folder.path().to_owned()]
        {
            names.extend(listed(&folder));
        }
        names.retain(|name| !name.starts_with("berth.db") && name != "key" && name != "berth.lock");
        names.sort();
        names
    }

    /// What must be the same before and after.
    async fn state(&self) -> (BTreeMap<String, Vec<String>>, Vec<String>, String) {
        (self.rows().await, self.files(), self.pins())
    }

    /// What the lock says of plugins.
    fn pins(&self) -> String {
        let text = fs::read_to_string(self.lock()).unwrap_or_default();
        text.lines().filter(|line| line.contains(" = \"")).collect::<Vec<_>>().join("\n")
    }

    async fn served(&self, host: &PluginHost) -> Option<u64> {
        if host.catalogue().is_empty() {
            return None;
        }
        self.berth.call_at(host, "test_next", json!({ "number": 0 })).await.unwrap().content.as_u64()
    }

    /// After a failure: the version before serves, and with the next start all is as it was.
    async fn is_untouched(
        &self,
        before: &(BTreeMap<String, Vec<String>>, Vec<String>, String),
        serves: Option<u64>,
        point: &str,
    ) {
        assert_eq!(self.served(&self.berth.host).await, serves, "{point}: at once");
        let next = self.berth.restarted().await;
        self.guard(&next);
        next.drained().await;
        assert_eq!(self.served(&next).await, serves, "{point}: after a start");
        let after = self.state().await;
        assert_eq!(after.0, before.0, "{point}: rows");
        assert_eq!(after.1, before.1, "{point}: files");
        assert_eq!(after.2, before.2, "{point}: the lock");
        // Nothing stands in the way of another attempt.
        self.install(&next, 7).await.unwrap();
        assert_eq!(self.served(&next).await, Some(7), "{point}: another attempt");
    }
}

fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_write_of_the_database_that_fails_leaves_nothing_behind_whichever_it_is() {
    for first in [None, Some(1)] {
        let tables = Place::make(None).await.tables().await;
        let mut failed = Vec::new();
        for table in tables {
            for write in ["INSERT", "UPDATE", "DELETE"] {
                let place = Place::make(first).await;
                let before = place.state().await;
                let trigger = format!(
                    "CREATE TRIGGER fault BEFORE {write} ON \"{table}\" BEGIN SELECT RAISE(ABORT, 'a fault'); END"
                );
                place.run(&trigger).await;

                let ended = place.install(&place.berth.host, 2).await;

                place.run("DROP TRIGGER fault").await;
                let point = format!("{write} {table} with {first:?} in place");
                match ended {
                    // The install has no such write.
                    Ok(_) => assert_eq!(place.served(&place.berth.host).await, Some(2), "{point}"),
                    Err(error) => {
                        assert_eq!(error.code(), "STORE_UNAVAILABLE", "{point}: {error}");
                        place.is_untouched(&before, first.map(u64::from), &point).await;
                        failed.push(format!("{write} {table}"));
                    }
                }
            }
        }
        assert!(failed.len() >= 4, "too few writes were met: {failed:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_leaves_nothing_behind_whichever_it_is() {
    for first in [None, Some(1)] {
        // What an install writes into its folder, seen at one that works.
        let model = Place::make(first).await;
        let there = listed(&model.components());
        let package = model.package(2);
        model.install(&model.berth.host, 2).await.unwrap();
        let written: Vec<String> =
            listed(&model.components()).into_iter().filter(|name| !there.contains(name)).collect();
        assert_eq!(written.len(), 2, "a component and a schema: {written:?}");

        for name in written {
            for obstacle in [name.clone(), format!("{name}.tmp")] {
                let place = Place::make(first).await;
                let before = place.state().await;
                // A folder stands where the file is to be.
                let stone = place.components().join(&obstacle);
                fs::create_dir_all(stone.join("in the way")).unwrap();

                let refused = place.berth.host.install(package.clone()).await.unwrap_err();

                assert_eq!(refused.code(), "PLUGIN_DATA_FOLDER", "{obstacle}: {refused}");
                fs::remove_dir_all(stone).unwrap();
                place.is_untouched(&before, first.map(u64::from), &obstacle).await;
            }
        }
    }
}

#[tokio::test]
async fn machine_code_that_a_killed_process_left_is_gone_with_the_next_start() {
    let place = Place::make(Some(1)).await;
    let before = place.files();
    let compiled = place.berth.folder.path().join("compiled");
    let good = listed(&compiled).into_iter().find(|name| name.ends_with(".bin")).unwrap();
    let (digest, profile) = good.split_once('-').unwrap();
    let other = "ab".repeat(32);
    for left in [
        format!(".{digest}.7.0.tmp"),
        format!("{other}-{profile}"),
        format!("{digest}-{}.bin", "cd".repeat(16)),
    ] {
        fs::write(compiled.join(left), "half of it").unwrap();
    }

    let next = place.berth.restarted().await;

    assert_eq!(place.files(), before);
    assert_eq!(place.served(&next).await, Some(1));
}

#[tokio::test]
async fn a_lock_that_cannot_be_written_stops_nobody_and_is_written_with_the_next_change() {
    let place = Place::make(Some(1)).await;
    let stone = place.lock().with_extension("lock.tmp");
    fs::create_dir(&stone).unwrap();

    place.install(&place.berth.host, 2).await.unwrap();

    assert_eq!(place.served(&place.berth.host).await, Some(2));
    assert!(fs::read_to_string(place.lock()).unwrap().contains("1.0.0"));
    fs::remove_dir(stone).unwrap();
    place.install(&place.berth.host, 3).await.unwrap();
    let lock = fs::read_to_string(place.lock()).unwrap();
    assert!(lock.contains("3.0.0") && !lock.contains("1.0.0"), "{lock}");
}

#[tokio::test]
async fn a_lock_that_somebody_damaged_stops_an_install_before_anything_is_written() {
    let place = Place::make(Some(1)).await;
    let kept = fs::read_to_string(place.lock()).unwrap();
    fs::write(place.lock(), kept.replace("1.0.0", "9.0.0")).unwrap();
    let before = place.rows().await;

    let refused = place.install(&place.berth.host, 2).await.unwrap_err();

    assert_eq!(refused.code(), "LOCK_DAMAGED");
    assert_eq!(place.rows().await, before);
    assert_eq!(place.served(&place.berth.host).await, Some(1));
}
