//! Which crate may use which.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{files, step};

/// Our crates and those of ours that each may use. A new arrow is a change of the architecture.
const ARROWS: [(&str, &[&str]); 22] = [
    ("berth-model", &[]),
    ("berth-proto", &[]),
    ("berth-broker", &[]),
    ("berth-build", &[]),
    ("berth-core", &["berth-model"]),
    ("berth-package", &[]),
    ("berth-process", &[]),
    ("berth-secrets", &[]),
    ("berth-store", &["berth-core", "berth-model"]),
    ("berth-wasm", &["berth-broker", "berth-core", "berth-model", "berth-package", "berth-secrets"]),
    ("berth-kit", &["berth-broker", "berth-core", "berth-model", "berth-secrets", "berth-wasm"]),
    ("berth-llm", &["berth-core"]),
    ("berth-hub", &["berth-core", "berth-model", "berth-proto"]),
    ("berth-http", &["berth-core", "berth-hub", "berth-model"]),
    ("berth-provider", &["berth-proto"]),
    ("berth-edge", &["berth-provider"]),
    ("berth-rpi", &["berth-proto", "berth-provider"]),
    ("berth-testkit", &["berth-core", "berth-model", "berth-store"]),
    ("berth-plugin-derive", &[]),
    ("berth-plugin", &["berth-plugin-derive"]),
    (
        "berth",
        &[
            "berth-broker",
            "berth-build",
            "berth-core",
            "berth-http",
            "berth-hub",
            "berth-kit",
            "berth-llm",
            "berth-model",
            "berth-package",
            "berth-process",
            "berth-proto",
            "berth-secrets",
            "berth-store",
            "berth-wasm",
        ],
    ),
    ("xtask", &["berth-build"]),
];

/// Crates of others that only the named ones of ours may use.
const KEPT_IN: [(&str, &[&str]); 9] = [
    ("landlock", &["berth-process"]),
    ("seccompiler", &["berth-process"]),
    ("sqlx", &["berth-store", "berth-testkit"]),
    ("tar", &["berth-package"]),
    ("wasmtime", &["berth-wasm"]),
    ("wasmtime-wasi", &["berth-wasm"]),
    ("axum", &["berth", "berth-http", "berth-hub"]),
    ("tokio-tungstenite", &["berth", "berth-hub", "berth-provider"]),
    ("clap", &["berth", "berth-edge", "berth-rpi", "xtask"]),
];

/// All that the model may use: no IO, no runtime.
const MODEL: [&str; 4] = ["jiff", "serde_json", "thiserror", "uuid"];

/// All that the wire types may use: data and pure computation, sealed arguments among it.
const PROTO: [&str; 11] = [
    "aes-gcm",
    "base64",
    "hex",
    "hkdf",
    "jiff",
    "semver",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
    "utoipa",
];

struct Package {
    name: String,
    folder: String,
    dependencies: Vec<String>,
}

fn packages() -> Vec<Package> {
    let mut cargo = crate::cargo();
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let metadata: Value =
        serde_json::from_str(&step::quietly("cargo metadata", &mut cargo).unwrap()).unwrap();
    read(&metadata)
}

fn read(metadata: &Value) -> Vec<Package> {
    let root = crate::root();
    let package = |package: &Value| {
        let manifest = std::path::Path::new(package["manifest_path"].as_str().unwrap());
        let folder = manifest.parent().unwrap().strip_prefix(&root).unwrap();
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        Package {
            name: package["name"].as_str().unwrap().to_owned(),
            folder: folder.to_str().unwrap().replace('\\', "/"),
            // What tests use is theirs.
            dependencies: dependencies
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect(),
        }
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

/// Every arrow that is not allowed, in words.
fn wrong_arrows(packages: &[Package]) -> Vec<String> {
    let ours: BTreeSet<_> = packages.iter().map(|package| package.name.as_str()).collect();
    let guests = ["plugins/", "tests/guests/"];
    let mut wrong = Vec::new();
    for package in packages {
        let allowed: &[&str] = match ARROWS.iter().find(|(name, _)| *name == package.name) {
            Some((_, allowed)) => allowed,
            None if guests.iter().any(|folder| package.folder.starts_with(folder)) => &["berth-plugin"],
            None => &[],
        };
        for dependency in &package.dependencies {
            let name = dependency.as_str();
            let inner = ours.contains(name) && !allowed.contains(&name);
            let home = KEPT_IN.iter().find(|(kept, _)| *kept == name);
            let stray = home.is_some_and(|(_, homes)| !homes.contains(&package.name.as_str()));
            let refused = match package.name.as_str() {
                "berth-model" => !MODEL.contains(&name),
                "berth-proto" => !PROTO.contains(&name),
                _ => false,
            };
            if inner || stray || refused {
                wrong.push(format!("{} may not use {name}", package.name));
            }
        }
    }
    wrong
}

#[test]
fn crates_use_each_other_in_one_direction_only() {
    let wrong = wrong_arrows(&packages());

    assert!(wrong.is_empty(), "{wrong:?}: a new arrow is a change of the architecture");
}

#[test]
fn a_wrong_arrow_is_found_and_one_of_tests_is_none() {
    let metadata = json!({ "packages": [
        made_up("host/model", "berth-model", &[("tokio", "normal")]),
        made_up("host/core", "berth-core", &[("berth-model", "normal"), ("berth-store", "normal")]),
        made_up("host/store", "berth-store", &[("sqlx", "normal"), ("berth-hub", "dev")]),
        made_up("host/hub", "berth-hub", &[("sqlx", "build"), ("berth-proto", "normal")]),
        made_up("host/proto", "berth-proto", &[("serde", "normal")]),
        made_up("host/new", "berth-new", &[("berth-model", "normal")]),
        made_up("plugins/clock", "clock", &[("berth-plugin", "normal"), ("berth-core", "normal")]),
        made_up("sdk-guest", "berth-plugin", &[]),
    ] });

    assert_eq!(
        wrong_arrows(&read(&metadata)),
        [
            "berth-model may not use tokio",
            "berth-core may not use berth-store",
            "berth-hub may not use sqlx",
            "berth-new may not use berth-model",
            "clock may not use berth-core",
        ]
    );
}

fn made_up(folder: &str, name: &str, dependencies: &[(&str, &str)]) -> Value {
    let dependencies: Vec<_> = dependencies
        .iter()
        .map(|(name, kind)| json!({ "name": name, "kind": if *kind == "normal" { Value::Null } else { json!(kind) } }))
        .collect();
    let manifest = crate::root().join(folder).join("Cargo.toml");
    json!({ "name": name, "manifest_path": manifest, "dependencies": dependencies })
}

#[test]
fn the_model_has_no_wire_format() {
    for file in files::below(&crate::root().join("host/model/src")).unwrap() {
        let text = files::read_text(&file).unwrap();
        for word in ["Serialize", "Deserialize", "tokio::"] {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}
