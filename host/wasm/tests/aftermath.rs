//! What is left of a generation that was given up, and of a plugin that was removed.
#![allow(clippy::unwrap_used)]

mod support;

use berth_model::audit::AuditDecision;
use berth_wasm::{Package, Pairs, Removed};
use serde_json::json;
use support::host::Harness;
use support::{ADD, component};

const KEEPS: &str =
    "[[capability]]\nname = \"keyvalue\"\nscope = { access = \"rw\" }\n[[capability]]\nname = \"endpoint\"\n";

/// The tool of [`ADD`], which crashes.
const BROKEN: &str = r#"(component
    (core module $m (func (export "run") (param i32) (result i32) unreachable))
    (core instance $i (instantiate $m))
    (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#;

fn version(version: &str, text: &str) -> Package {
    let manifest = format!("[plugin]\nid = \"test\"\nversion = \"{version}\"\n");
    Package::new(manifest, component(text))
}

#[tokio::test]
async fn a_generation_that_the_host_gives_up_is_in_the_audit() {
    let berth = Harness::start().await;
    berth.host.install(version("1.0.0", ADD)).await.unwrap();
    berth.host.install(version("2.0.0", BROKEN)).await.unwrap();
    for number in 0..11 {
        berth.failure("test_next", json!({ "number": number })).await;
    }
    berth.host.drained().await;

    let rows = berth.audit("test").await;

    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.capability.as_str(), row.decision), ("generation", AuditDecision::Denied));
    assert_eq!(
        (row.scope["generation"].as_i64(), row.actor.to_string()),
        (Some(2), "system:host".to_owned())
    );
    let why = row.scope["why"].as_str().unwrap();
    assert!(why.starts_with("rolled back to 1.0.0: ") && why.contains("PLUGIN_TRAP"), "{why}");
}

#[tokio::test]
async fn a_first_generation_that_is_given_up_is_in_the_audit_as_well() {
    let berth = Harness::start().await;
    berth.host.install(version("1.0.0", BROKEN)).await.unwrap();
    for number in 0..11 {
        berth.failure("test_next", json!({ "number": number })).await;
    }
    berth.host.drained().await;

    let rows = berth.audit("test").await;

    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].scope["why"].as_str().unwrap().starts_with("quarantined: "), "{rows:?}");
}

#[tokio::test]
async fn what_a_removed_plugin_has_kept_stays_until_it_is_purged() {
    let berth = Harness::start().await;
    berth.install_fixture("standards", KEEPS).await.unwrap();
    berth.grant("standards", "keyvalue", json!({ "access": "rw" })).await;
    let standards = "standards".parse().unwrap();
    let pairs = async |steps: serde_json::Value| {
        berth.answer("standards_pairs", json!({ "bucket": "notes", "steps": steps })).await
    };
    let write = json!([{ "do": "set-many", "keys": ["a", "b"], "value": "kept" }]);
    pairs(write.clone()).await;

    let kept = berth.host.remove_with(&standards, Pairs::Keep).await.unwrap();
    assert_eq!(kept, Removed { kept_pairs: 2, purged_pairs: 0 });
    berth.install_fixture("standards", KEEPS).await.unwrap();
    assert_eq!(pairs(json!([{ "do": "get", "key": "a" }])).await, json!(["kept"]));

    let purged = berth.host.remove_with(&standards, Pairs::Purge).await.unwrap();
    assert_eq!(purged, Removed { kept_pairs: 0, purged_pairs: 2 });
    berth.install_fixture("standards", KEEPS).await.unwrap();
    assert_eq!(pairs(json!([{ "do": "get", "key": "a" }])).await, json!([null]));

    pairs(write).await;
    berth.host.remove(&standards).await.unwrap();
    let later = berth.host.remove_with(&standards, Pairs::Purge).await.unwrap();
    assert_eq!(later.purged_pairs, 2, "also of one that was removed before");
    let nothing = berth.host.remove_with(&standards, Pairs::Purge).await.unwrap_err();
    assert_eq!(nothing.code(), "PLUGIN_NOT_FOUND");
}
