//! The SDK for plugins in Rust, as it lies beside the host in this repository.
//!
//! It is in no registry, and a new plugin must build on every machine, also without a network that reaches more than
//! the registry of crates: so its sources travel in the binary and become `vendor/` of the plugin.

macro_rules! sources {
    ($($path:literal),+ $(,)?) => {
        &[
            $((
                concat!("berth-plugin/", $path),
                include_str!(concat!("../../../../../../sdk-guest/", $path)),
            )),+
        ]
    };
}

macro_rules! interfaces {
    ($($name:literal),+ $(,)?) => {
        &[$((concat!("wit/", $name), include_str!(concat!("../../../../../../wit/", $name)))),+]
    };
}

type Files = &'static [(&'static str, &'static str)];

const MANIFESTS: Files = &[
    ("berth-plugin/Cargo.toml", include_str!("../../../../templates/rust/vendor/berth-plugin/Cargo.toml")),
    (
        "berth-plugin/derive/Cargo.toml",
        include_str!("../../../../templates/rust/vendor/berth-plugin/derive/Cargo.toml"),
    ),
];

const SOURCES: Files = sources![
    "derive/src/field.rs",
    "derive/src/lib.rs",
    "derive/src/variants.rs",
    "src/approval.rs",
    "src/argument.rs",
    "src/argument/object.rs",
    "src/bindings.rs",
    "src/call.rs",
    "src/capabilities.rs",
    "src/channel.rs",
    "src/clock.rs",
    "src/config.rs",
    "src/endpoints.rs",
    "src/error.rs",
    "src/export.rs",
    "src/heap.rs",
    "src/heap/global.rs",
    "src/http.rs",
    "src/http/wasi.rs",
    "src/keyvalue.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/panics.rs",
    "src/process.rs",
    "src/progress.rs",
    "src/secrets.rs",
    "src/testing.rs",
    "src/testing/secrets.rs",
    "src/testing/standards.rs",
    "src/tool.rs",
    "wit/base.wit",
    "wit/http/http.wit",
    "wit/standards/standards.wit",
];

const INTERFACES: Files = interfaces![
    "approval.wit",
    "call.wit",
    "capabilities.wit",
    "channel.wit",
    "endpoints.wit",
    "inbound.wit",
    "optional.wit",
    "process.wit",
    "progress.wit",
    "secrets.wit",
    "tools.wit",
    "types.wit",
    "websocket.wit",
    "world.wit",
];

/// The files below `vendor/`, path by path.
pub fn files() -> impl Iterator<Item = (&'static str, &'static str)> {
    [MANIFESTS, SOURCES, INTERFACES].into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// Every source below `folder`, without tests, as the lists above name it.
    fn below(folder: &str, prefix: &str) -> BTreeSet<String> {
        let folder = root().join(folder);
        let files = berth_build::files::below(&folder).unwrap();
        let names = files.iter().map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned());
        let is_source =
            |name: &String| (name.ends_with(".rs") || name.ends_with(".wit")) && !name.ends_with("tests.rs");
        names.filter(is_source).map(|name| format!("{prefix}{name}")).collect()
    }

    #[test]
    fn every_file_of_the_sdk_and_every_interface_travels() {
        let mut wanted = below("sdk-guest", "berth-plugin/");
        wanted.extend(below("wit", "wit/"));

        let told: BTreeSet<_> =
            files().map(|(path, _)| path.to_owned()).filter(|path| !path.ends_with("Cargo.toml")).collect();

        assert_eq!(told, wanted);
    }

    #[test]
    fn the_copy_is_built_with_the_crates_that_the_sdk_is_tested_with() {
        let read = |path: &str| -> toml::Table {
            std::fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
        };
        let ours = &read("Cargo.toml")["workspace"];
        for (manifest, (_, text)) in ["sdk-guest", "sdk-guest/derive"].into_iter().zip(MANIFESTS) {
            let original = read(&format!("{manifest}/Cargo.toml"));
            let copy: toml::Table = text.parse().unwrap();

            let names = |table: &toml::Table| -> Vec<_> {
                table["dependencies"].as_table().unwrap().keys().cloned().collect()
            };
            assert_eq!(names(&copy), names(&original), "{manifest}");
            assert_eq!(copy["package"]["name"], original["package"]["name"]);
            for key in ["version", "edition", "rust-version", "license"] {
                assert_eq!(copy["package"][key], ours["package"][key], "{manifest}: {key}");
            }
            for name in names(&copy).iter().filter(|name| !name.starts_with("berth-")) {
                assert_eq!(copy["dependencies"][name], ours["dependencies"][name], "{manifest}: {name}");
            }
        }
    }
}
