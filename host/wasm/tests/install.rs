//! From a folder, or a file, to tools in the catalogue; and what is turned away at the door.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use berth_core::port::target::PluginTarget;
use berth_model::PluginId;
use berth_wasm::{HostError, Package, limits};
use serde_json::json;
use support::host::{Harness, fixture, fixture_file, plugin_folder};
use support::{ADD, SPIN, component, runs};

const MANIFEST: &str = "[plugin]\nid = \"adder\"\nversion = \"1.2.3\"\n";

/// A folder with a manifest and, if any, the component that it is to have.
fn folder(manifest: &str, component: Option<&[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plugin.toml"), manifest).unwrap();
    if let Some(component) = component {
        std::fs::write(folder.path().join("adder.wasm"), component).unwrap();
    }
    folder
}

/// Installs what is at `path`, which must fail and leave nothing behind.
async fn refused(berth: &Harness, path: &Path) -> HostError {
    let error = match Package::read(path) {
        Ok(package) => berth.host.install(package).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(berth.host.catalogue().is_empty());
    assert!(berth.host.list().await.unwrap().is_empty());
    assert!(!berth.folder.path().join("components").exists(), "a refused component was kept");
    error
}

#[tokio::test]
async fn a_folder_is_installed_with_its_manifest_and_docs() {
    let berth = Harness::start().await;
    berth.install("files").await;

    let catalogue = berth.host.catalogue();
    let read = catalogue.iter().find(|tool| tool.name.as_str() == "files_read").unwrap();

    assert!(!read.description.is_empty());
    assert_eq!(read.title, "Read a file");
    assert_eq!(read.input_schema["required"], json!(["path"]));
    assert_eq!(read.timeout, Duration::from_secs(10));
}

#[tokio::test]
async fn a_component_is_installed_with_the_manifest_beside_it_that_names_it() {
    let berth = Harness::start().await;
    let folder = folder(MANIFEST, Some(&component(ADD)));

    let package = Package::read(&folder.path().join("adder.wasm")).unwrap();
    let installed = berth.host.install(package).await.unwrap();

    assert_eq!((installed.plugin.id.as_str(), installed.plugin.version.as_str()), ("adder", "1.2.3"));
    assert_eq!(berth.answer("adder_next", json!({ "number": 1 })).await, json!(2));
}

#[tokio::test]
async fn a_component_that_no_manifest_names_is_called_after_its_file() {
    let berth = Harness::start().await;
    let folder = folder(MANIFEST, None);
    let bare = folder.path().join("Other.wasm");
    std::fs::write(&bare, component(ADD)).unwrap();

    let installed = berth.host.install(Package::read(&bare).unwrap()).await.unwrap();

    assert_eq!((installed.plugin.id.as_str(), installed.plugin.version.as_str()), ("other", "0.0.0"));
    assert_eq!(berth.answer("other_next", json!({ "number": 1 })).await, json!(2));
}

#[tokio::test]
async fn a_folder_without_a_manifest_or_a_component_says_which_file_is_missing() {
    let berth = Harness::start().await;
    let empty = tempfile::tempdir().unwrap();
    let no_component = folder(MANIFEST, None);

    for (path, missing) in [
        (empty.path(), "plugin.toml"),
        (no_component.path(), "adder.wasm"),
        (&empty.path().join("gone.wasm"), "gone.wasm"),
    ] {
        let error = refused(&berth, path).await;

        assert_eq!(error.code(), "PLUGIN_PACKAGE_UNREADABLE");
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_key_of_the_manifest_is_named_with_its_line() {
    let berth = Harness::start().await;
    let manifest = format!("{MANIFEST}\n[limits]\nmemory = 1\n");

    let error = refused(&berth, folder(&manifest, Some(&component(ADD))).path()).await;

    assert_eq!(error.code(), "MANIFEST_UNKNOWN_KEY");
    assert!(error.to_string().starts_with("plugin.toml:6: unknown field `memory`"), "{error}");
}

#[tokio::test]
async fn what_is_no_component_is_refused_by_what_it_is() {
    let berth = Harness::start().await;
    let good = component(ADD);
    let compiled = wasmtime::Engine::default().precompile_component(&good).unwrap();
    for (bytes, code) in [
        (&good[..good.len() / 2], "COMPONENT_TRUNCATED"),
        (&compiled, "COMPONENT_PRECOMPILED"),
        (&wat::parse_str("(module)").unwrap(), "COMPONENT_CORE_MODULE"),
        (b"", "COMPONENT_EMPTY"),
        (b"#!/bin/sh\n", "COMPONENT_NOT_WASM"),
    ] {
        let error = refused(&berth, folder(MANIFEST, Some(bytes)).path()).await;

        assert_eq!(error.code(), code, "{error}");
    }
}

#[tokio::test]
async fn a_component_that_is_too_large_is_not_even_read() {
    let berth = Harness::start().await;
    let folder = folder(MANIFEST, None);
    // A hole: the file has a length and takes no room.
    let file = std::fs::File::create(folder.path().join("adder.wasm")).unwrap();
    file.set_len(limits::COMPONENT_BYTES as u64 + 1).unwrap();

    let error = refused(&berth, folder.path()).await;

    assert_eq!(error.code(), "COMPONENT_TOO_LARGE");
}

#[tokio::test]
async fn an_unknown_import_is_refused_by_name() {
    let berth = Harness::start().await;

    let error = refused(&berth, &fixture_file("unknown-import")).await;

    assert_eq!(error.code(), "IMPORT_UNKNOWN");
    assert!(error.to_string().contains("acme:stuff/things"), "{error}");
}

#[tokio::test]
async fn a_component_other_than_the_packed_one_is_refused() {
    let berth = Harness::start().await;
    let packed = berth_wasm::digest(&component(ADD));
    let manifest = format!("{MANIFEST}[component]\nfile = \"adder.wasm\"\nsha256 = \"{packed}\"\n");

    let error = refused(&berth, folder(&manifest, Some(&component(&runs(SPIN)))).path()).await;

    assert_eq!(error.code(), "PLUGIN_PACKAGE_DIGEST");
}

#[tokio::test]
async fn a_capability_that_the_manifest_hides_is_refused_with_the_lines_to_add() {
    let berth = Harness::start().await;
    let mut package = Package::read(&plugin_folder("gpio")).unwrap();
    package.manifest = "[plugin]\nid = \"gpio\"\nversion = \"0.1.0\"\n".to_owned();

    let error = berth.host.install(package).await.unwrap_err();

    assert_eq!(error.code(), "CAPABILITY_NOT_REQUESTED");
    assert!(error.to_string().contains("add a [[capability]] with name = \"endpoint\""), "{error}");
}

#[tokio::test]
async fn a_tool_name_that_another_plugin_has_is_refused_and_nothing_changes() {
    let berth = Harness::start().await;
    berth.install("echo").await;
    let package = fixture("typed", "[tool.join]\nname = \"echo_say\"\n");

    let error = berth.host.install(package).await.unwrap_err();

    assert_eq!(error.code(), "TOOL_NAME_TAKEN");
    assert!(error.to_string().contains("`echo`"), "{error}");
    assert_eq!(berth.host.catalogue().len(), 3);
    assert_eq!(berth.host.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_second_install_takes_the_place_of_the_first() {
    let berth = Harness::start().await;
    berth.install_text(ADD, "").await.unwrap();

    berth.install_text(&runs(r#"(func (export "run"))"#), "").await.unwrap();

    let names: Vec<String> = berth.host.catalogue().iter().map(|tool| tool.name.to_string()).collect();
    assert_eq!(names, ["test_run"]);
    assert_eq!(berth.host.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn disabling_takes_the_tools_away_enabling_brings_them_back_and_removing_forgets() {
    let berth = Harness::start().await;
    berth.install("echo").await;
    let id = PluginId::new("echo").unwrap();

    berth.host.disable(&id).await.unwrap();
    assert!(berth.host.catalogue().is_empty());
    berth.host.enable(&id).await.unwrap();
    assert_eq!(berth.answer("echo_shout", json!({ "text": "a" })).await, json!({ "text": "A" }));
    berth.host.remove(&id).await.unwrap();

    assert!(berth.host.catalogue().is_empty());
    assert_eq!(berth.host.show(&id).await.unwrap_err().code(), "PLUGIN_NOT_FOUND");
    assert_eq!(berth.host.remove(&id).await.unwrap_err().code(), "PLUGIN_NOT_FOUND");
    assert_eq!(berth.host.enable(&id).await.unwrap_err().code(), "PLUGIN_NOT_FOUND");
}

#[tokio::test]
async fn a_restart_keeps_installs_grants_and_what_was_disabled_and_runs_no_guest_code() {
    let berth = Harness::start().await;
    for name in ["echo", "clock", "gpio"] {
        berth.install(name).await;
    }
    berth.grant("gpio", "endpoint", json!({})).await;
    let clock = PluginId::new("clock").unwrap();
    berth.host.disable(&clock).await.unwrap();
    let before = berth.host.catalogue();

    let again = berth.restarted().await;

    assert_eq!(*again.catalogue(), *before);
    assert_eq!(before.len(), 10);
    assert!(!again.show(&clock).await.unwrap().is_ready);
    assert_eq!(again.show(&PluginId::new("gpio").unwrap()).await.unwrap().grants.len(), 1);
    assert_eq!(again.engine().status().running_calls, 0);
}

#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_keeps_its_error_and_stops_nobody() {
    let berth = Harness::start().await;
    berth.install("echo").await;
    berth.install("clock").await;
    let id = PluginId::new("clock").unwrap();
    let digest = berth.host.show(&id).await.unwrap().plugin.digest;
    std::fs::remove_file(berth.folder.path().join("components").join(format!("{digest}.wasm"))).unwrap();
    std::fs::remove_dir_all(berth.folder.path().join("compiled")).unwrap();

    let again = berth.restarted().await;

    assert!(again.catalogue().iter().all(|tool| tool.name.as_str().starts_with("echo_")));
    assert_eq!(again.catalogue().len(), 3);
    let view = again.show(&id).await.unwrap();
    assert!(!view.is_ready);
    assert!(view.plugin.last_error.starts_with("PLUGIN_COMPONENT_UNREADABLE"), "{}", view.plugin.last_error);
}
