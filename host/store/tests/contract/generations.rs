//! Generations of plugins.

use berth_core::port::store::StoreError;
use berth_model::PluginId;
use berth_model::generation::{Generation, GenerationState, Origin, Provenance};
use serde_json::json;

use crate::fixture::{Fixture, at};

fn generation(plugin: &str, number: i64, state: GenerationState) -> Generation {
    Generation {
        plugin: PluginId::new(plugin).unwrap(),
        number,
        origin: Origin::Upgrade,
        digest: "ab".repeat(32),
        version: "0.1.0".to_owned(),
        manifest: "[plugin]\nid = \"files\"\n".to_owned(),
        provenance: Provenance {
            source: "/plugins/files.berth".to_owned(),
            package: "cd".repeat(32),
            publisher: "ed25519:AA".to_owned(),
        },
        tools: json!([]),
        state,
        is_proven: false,
        failed_starts: 0,
        last_error: String::new(),
        created_at: at(1),
        activated_at: None,
        retired_at: None,
    }
}

pub async fn a_generation_reads_back_as_it_was_written(fixture: &Fixture) {
    let mut tx = fixture.write().await;
    let mut files = generation("files", 1, GenerationState::Staged);
    tx.insert_generation(&files).await.unwrap();
    assert_eq!(tx.list_generations(Some(&files.plugin)).await.unwrap(), [files.clone()]);

    files.state = GenerationState::Rejected { code: "COMPONENT_TEXT".to_owned() };
    files.tools = json!([{ "name": "files_list" }]);
    files.is_proven = true;
    files.failed_starts = 2;
    files.last_error = "the file is text".to_owned();
    files.activated_at = Some(at(2));
    files.retired_at = Some(at(3));
    tx.update_generation(&files).await.unwrap();

    assert_eq!(tx.list_generations(None).await.unwrap(), [files.clone()]);
    let again = tx.insert_generation(&files).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict { index } if index == "plugin_generation_number"));
    let gone = generation("gone", 1, GenerationState::Active);
    assert!(matches!(tx.update_generation(&gone).await.unwrap_err(), StoreError::Inconsistent { .. }));
    assert!(tx.remove_generation(&files.plugin, 1).await.unwrap());
    assert!(!tx.remove_generation(&files.plugin, 1).await.unwrap());
}

pub async fn generations_are_found_by_plugin_and_by_what_is_left_to_do(fixture: &Fixture) {
    let mut tx = fixture.write().await;
    let words = [
        "staged",
        "inspected",
        "awaiting_consent",
        "compiled",
        "active",
        "quarantined",
        "draining",
        "retired",
        "rejected",
    ];
    for (number, word) in (1..).zip(words) {
        let state = GenerationState::parse(word, "").unwrap();
        tx.insert_generation(&generation("files", number, state)).await.unwrap();
    }
    tx.insert_generation(&generation("echo", 1, GenerationState::Active)).await.unwrap();
    let found = |all: Vec<Generation>| -> Vec<String> {
        all.iter().map(|one| format!("{} {}", one.plugin, one.state.as_str())).collect()
    };

    let current = found(tx.current_generations().await.unwrap());
    let unsettled = found(tx.unsettled_generations().await.unwrap());

    assert_eq!(current, ["echo active", "files active", "files quarantined"]);
    assert_eq!(unsettled, ["files staged", "files inspected", "files compiled", "files draining"]);
    assert_eq!(tx.remove_generations(&PluginId::new("files").unwrap()).await.unwrap(), 9);
    assert_eq!(found(tx.list_generations(None).await.unwrap()), ["echo active"]);
}
