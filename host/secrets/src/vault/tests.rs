#![allow(clippy::unwrap_used)]

use std::sync::atomic::Ordering;

use super::*;
use crate::testing::Rows;

struct World {
    folder: tempfile::TempDir,
    rows: Arc<Rows>,
    vault: Vault,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows = Arc::new(Rows::default());
        let vault = vault(&folder, &rows);
        Self { folder, rows, vault }
    }

    /// A second process over the same store and key.
    fn restarted(&self) -> Vault {
        vault(&self.folder, &self.rows)
    }

    async fn set(&self, id: SecretId, value: &str) -> SealedSecret {
        let value = SecretValue::new(value.as_bytes().to_vec()).unwrap();
        self.vault.put(id, Vec::new(), value, Change::Set).await.unwrap()
    }

    async fn share(&self, name: &str, plugins: &[&str], value: &str) {
        let id = SecretId { owner: Owner::Shared, ..of("", name) };
        let plugins = plugins.iter().map(|&plugin| plugin.to_owned()).collect();
        let value = SecretValue::new(value.as_bytes().to_vec()).unwrap();
        self.vault.put(id, plugins, value, Change::Set).await.unwrap();
    }
}

fn vault(folder: &tempfile::TempDir, rows: &Arc<Rows>) -> Vault {
    Vault::new(rows.clone(), KeyPlace::find(folder.path(), None, None), Arc::new(|| 7))
}

fn of(plugin: &str, name: &str) -> SecretId {
    SecretId { owner: Owner::of(plugin), name: name.parse().unwrap(), workspace: None }
}

async fn read(vault: &Vault, plugin: &str, workspace: &str, name: &str) -> Result<String, &'static str> {
    let opened = vault.open(Asker { plugin, workspace }, &name.parse().unwrap()).await;
    opened
        .map(|opened| String::from_utf8(opened.value.expose().to_vec()).unwrap())
        .map_err(|error| error.code())
}

async fn standings(vault: &Vault) -> Vec<(String, Standing)> {
    let known = vault.list().await.unwrap();
    known.into_iter().map(|known| (known.secret.id.name.to_string(), known.standing)).collect()
}

#[tokio::test]
async fn a_secret_is_opened_by_its_plugin_and_by_no_other() {
    let world = World::new();
    world.set(of("feishu", "app_secret"), "mine").await;

    assert_eq!(read(&world.vault, "feishu", "home", "app_secret").await.unwrap(), "mine");
    assert_eq!(read(&world.restarted(), "feishu", "home", "app_secret").await.unwrap(), "mine");
    assert_eq!(read(&world.vault, "wechat", "home", "app_secret").await, Err("SECRET_NOT_FOUND"));
    assert_eq!(read(&world.vault, "", "home", "app_secret").await, Err("SECRET_NOT_FOUND"));
}

#[tokio::test]
async fn the_closest_secret_of_a_name_is_meant() {
    let world = World::new();
    world.share("token", &["a", "b"], "shared").await;
    assert_eq!(read(&world.vault, "a", "home", "token").await.unwrap(), "shared");
    assert_eq!(read(&world.vault, "c", "home", "token").await, Err("SECRET_NOT_FOUND"));

    world.set(of("a", "token"), "own").await;
    world.set(SecretId { workspace: Some("home".to_owned()), ..of("a", "token") }, "own at home").await;

    assert_eq!(read(&world.vault, "a", "home", "token").await.unwrap(), "own at home");
    assert_eq!(read(&world.vault, "a", "work", "token").await.unwrap(), "own");
    assert_eq!(read(&world.vault, "b", "home", "token").await.unwrap(), "shared");
}

#[tokio::test]
async fn a_shared_secret_names_its_plugins_and_keeps_them_with_a_new_value() {
    let world = World::new();
    let id = SecretId { owner: Owner::Shared, ..of("", "token") };
    let value = |text: &str| SecretValue::new(text.as_bytes().to_vec()).unwrap();

    let nobody = world.vault.put(id.clone(), Vec::new(), value("x"), Change::Set).await.unwrap_err();
    world.share("token", &["a"], "one").await;
    world.vault.put(id, Vec::new(), value("two"), Change::Rotate).await.unwrap();

    assert_eq!(nobody.code(), "SECRET_NAME_INVALID");
    assert_eq!(read(&world.vault, "a", "", "token").await.unwrap(), "two");
}

#[tokio::test]
async fn a_new_value_and_a_removal_count_at_the_next_use() {
    let world = World::new();
    let other = world.restarted();
    world.set(of("a", "token"), "one").await;
    assert_eq!(read(&other, "a", "", "token").await.unwrap(), "one");

    let second = world.set(of("a", "token"), "two").await;
    assert_eq!(second.version, 2);
    assert_eq!(read(&other, "a", "", "token").await.unwrap(), "two");

    world.vault.remove(&of("a", "token")).await.unwrap();
    assert_eq!(read(&other, "a", "", "token").await, Err("SECRET_NOT_FOUND"));
    assert_eq!(world.vault.remove(&of("a", "token")).await.unwrap_err().code(), "SECRET_NOT_FOUND");
}

#[tokio::test]
async fn only_what_is_there_is_rotated() {
    let world = World::new();
    let value = SecretValue::new(b"x".to_vec()).unwrap();

    let missing = world.vault.put(of("a", "token"), Vec::new(), value, Change::Rotate).await.unwrap_err();

    assert_eq!(missing.code(), "SECRET_NOT_FOUND");
    assert!(world.rows.all().is_empty());
}

#[tokio::test]
async fn what_is_stored_shows_nothing_of_the_value() {
    let world = World::new();
    world.set(of("a", "token"), "the-value-itself").await;

    let stored = format!("{:?}", world.rows.all());

    for form in ["the-value-itself", "dGhlLXZhbHVlLWl0c2VsZ", "7468652d76616c75652d697473656c66"] {
        assert!(!stored.contains(form), "{form}");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_named_wherever_it_is_and_takes_no_other_secret_with_it() {
    let world = World::new();
    world.set(of("a", "first"), "one").await;
    world.set(of("a", "second"), "two").await;
    let id = of("a", "first");
    let good = world.rows.all()[&id].clone();

    for at in 0..good.sealed.len() {
        let mut bytes = good.sealed.clone().into_bytes();
        bytes[at] ^= 1;
        let sealed = String::from_utf8(bytes).unwrap();
        world.rows.all().insert(id.clone(), SealedSecret { sealed, ..good.clone() });

        assert_eq!(read(&world.vault, "a", "", "first").await, Err("SECRET_DAMAGED"), "at {at}");
    }
    assert_eq!(read(&world.vault, "a", "", "second").await.unwrap(), "two");
    let standing = standings(&world.vault).await;
    assert_eq!(standing, [("first".to_owned(), Standing::Damaged), ("second".to_owned(), Standing::Ok)]);
    world.rows.all().insert(id, good);
    assert_eq!(read(&world.vault, "a", "", "first").await.unwrap(), "one");
}

#[tokio::test]
async fn a_value_that_is_moved_to_another_owner_is_not_opened() {
    let world = World::new();
    world.set(of("a", "token"), "of a").await;
    world.share("common", &["a"], "common").await;
    let moved = SealedSecret { id: of("b", "token"), ..world.rows.all()[&of("a", "token")].clone() };
    world.rows.all().insert(moved.id.clone(), moved);
    let shared = SecretId { owner: Owner::Shared, ..of("", "common") };
    world.rows.all().get_mut(&shared).unwrap().plugins.push("b".to_owned());

    assert_eq!(read(&world.vault, "b", "", "token").await, Err("SECRET_DAMAGED"));
    assert_eq!(read(&world.vault, "b", "", "common").await, Err("SECRET_DAMAGED"));
}

#[tokio::test]
async fn a_key_that_is_lost_or_another_is_said_and_loses_nothing() {
    let world = World::new();
    world.set(of("a", "token"), "one").await;
    let path = world.vault.place().path().to_owned();
    let aside = path.with_extension("aside");
    std::fs::rename(&path, &aside).unwrap();

    let lost = world.restarted();
    assert_eq!(read(&lost, "a", "", "token").await, Err("SECRET_KEY_MISSING"));
    assert_eq!(standings(&lost).await[0].1, Standing::NoKey);
    let value = SecretValue::new(b"new".to_vec()).unwrap();
    let refused = lost.put(of("a", "other"), Vec::new(), value, Change::Set).await.unwrap_err();
    assert_eq!(refused.code(), "SECRET_KEY_MISSING");
    assert!(!path.exists(), "no key is made that opens nothing");

    KeyPlace::File(path.clone()).read_or_make().unwrap();
    let foreign = world.restarted();
    assert_eq!(read(&foreign, "a", "", "token").await, Err("SECRET_OTHER_KEY"));
    assert_eq!(standings(&foreign).await[0].1, Standing::OtherKey);

    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(read(&world.restarted(), "a", "", "token").await.unwrap(), "one");
}

#[tokio::test]
async fn a_new_key_opens_everything_and_the_old_one_nothing() {
    let world = World::new();
    for name in ["one", "two", "three"] {
        world.set(of("a", name), name).await;
    }
    let path = world.vault.place().path().to_owned();
    let old = std::fs::read(&path).unwrap();

    world.vault.renew_key().await.unwrap();

    for name in ["one", "two", "three"] {
        assert_eq!(read(&world.vault, "a", "", name).await.unwrap(), name);
        assert_eq!(read(&world.restarted(), "a", "", name).await.unwrap(), name);
    }
    std::fs::write(&path, old).unwrap();
    assert_eq!(read(&world.restarted(), "a", "", "one").await, Err("SECRET_OTHER_KEY"));
}

#[tokio::test]
async fn a_crash_while_the_key_changes_loses_nothing() {
    for crash in 1..=3 {
        let world = World::new();
        for name in ["one", "two", "three"] {
            world.set(of("a", name), name).await;
        }
        world.rows.reseals.store(crash, Ordering::Relaxed);

        let died = world.vault.renew_key().await.unwrap_err();

        assert_eq!(died.code(), "SECRET_STORE_UNAVAILABLE");
        let next = world.restarted();
        for name in ["one", "two", "three"] {
            assert_eq!(read(&next, "a", "", name).await.unwrap(), name, "after {crash}");
        }
        next.renew_key().await.unwrap();
        assert_eq!(read(&world.restarted(), "a", "", "three").await.unwrap(), "three");
        let keys = world.vault.place().read().unwrap().unwrap();
        assert_eq!(keys.len(), 1);
    }
}

#[tokio::test]
async fn the_key_stays_while_a_secret_cannot_be_opened() {
    let world = World::new();
    world.set(of("a", "good"), "one").await;
    world.set(of("a", "bad"), "two").await;
    world.rows.all().get_mut(&of("a", "bad")).unwrap().sealed.truncate(40);
    let before = std::fs::read(world.vault.place().path()).unwrap();

    let refused = world.vault.renew_key().await.unwrap_err();

    assert_eq!(refused.code(), "SECRET_KEY_IN_USE");
    assert_eq!(std::fs::read(world.vault.place().path()).unwrap(), before);
}
