//! The schema of a plugin's settings is a part of its build: another schema is another generation.
#![allow(clippy::unwrap_used)]

mod support;

use berth_wasm::{Outcome, Package};
use serde_json::{Value, json};
use support::host::{Harness, fixture};
use support::vault;

const ASKS: &str = "[config]\nschema_file = \"s.json\"\n[[capability]]\nname = \"endpoint\"\n\
    [[capability]]\nname = \"secret\"\nscope = { id = \"other\" }\n";

fn with_schema(properties: Value) -> Package {
    let mut package = fixture("secrets", ASKS);
    package.config_schema = Some(json!({ "properties": properties }).to_string());
    package
}

#[tokio::test]
async fn a_schema_that_alone_has_changed_makes_another_generation_with_a_schema_of_its_own() {
    let berth = Harness::start().await;
    let plain = json!({ "colour": { "default": "red" } });
    let first = berth.host.install(with_schema(plain.clone())).await.unwrap();
    assert_eq!(first.outcome, Outcome::Active);

    let other = json!({ "colour": { "default": "blue" } });
    let second = berth.host.install(with_schema(other.clone())).await.unwrap();
    let again = berth.host.install(with_schema(other)).await.unwrap();

    assert_eq!((second.generation, second.outcome), (2, Outcome::Active));
    assert_eq!((again.generation, again.outcome), (2, Outcome::Unchanged));
    let back = berth.host.rollback(&first.plugin.id, None).await.unwrap();
    assert_eq!(
        back.manifest, first.plugin.manifest,
        "the first one is there with what it was installed with"
    );
    assert_eq!(berth.host.install(with_schema(plain)).await.unwrap().outcome, Outcome::Unchanged);
}

#[tokio::test]
async fn a_schema_that_asks_for_a_secret_waits_and_the_one_in_place_is_not_touched() {
    let berth = Harness::start().await;
    let first = berth.host.install(with_schema(json!({ "colour": {} }))).await.unwrap();
    vault::keep(&berth.desk, "secrets", "token", b"a good secret").await;
    berth.grant("secrets", "secret", json!({ "id": "token" })).await;
    let open = json!({ "name": "token" });

    let wider = with_schema(json!({ "colour": {}, "token": { "type": "string", "x-secret": true } }));
    let waiting = berth.host.install(wider).await.unwrap();

    assert_eq!(waiting.outcome, Outcome::Waiting);
    let diff = waiting.diff;
    assert!(diff.lines().iter().any(|line| line.contains("secret")), "{:?}", diff.lines());
    let restarted = berth.restarted().await;
    let said = berth.answer_of(&restarted, "secrets_open", open.clone()).await;
    assert_eq!(said["code"], "PERMISSION_DENIED", "a start gives it nothing that nobody agreed to: {said}");
    berth.host.accept(&first.plugin.id).await.unwrap();
    assert_eq!(berth.answer("secrets_open", open).await, "token");
}
