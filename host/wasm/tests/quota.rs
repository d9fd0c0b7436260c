//! What a granted folder may hold in all, tried by a real guest that would fill it.
#![allow(clippy::unwrap_used)]

mod support;

use berth_model::PluginId;
use berth_model::audit::AuditDecision;
use berth_model::plugin::{GrantMode, NewGrant};
use serde_json::{Value, json};
use support::host::{Harness, new_grant};

const WANTS: &str = "[[capability]]\nname = \"endpoint\"\n[[capability]]\nname = \"files\"\nscope = { guest = \"/rw\", access = \"rw\" }\n\
                     [limits]\ncpu_ms = 20000\n";

/// A host whose attacker may write to a folder within `limit`, beside a plugin that nobody bounds.
async fn bounded(folder: &tempfile::TempDir, limit: Value, more: &str) -> Harness {
    let berth = Harness::start().await;
    let scope = json!({ "guest": "/rw", "host": folder.path(), "access": "rw" });
    let new = NewGrant { limit, ..new_grant("attacker", "files", scope, GrantMode::Allow) };
    berth.host.grant(new).await.unwrap();
    berth.install_fixture("attacker", &format!("{WANTS}{more}")).await.unwrap();
    berth.install("echo").await;
    berth
}

async fn attacks(berth: &Harness, attack: &str, more: Value) -> Value {
    let mut arguments = json!({ "attack": attack });
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    berth.answer("attacker_try", arguments).await
}

/// The C library has no name for it where a file is written as a stream.
fn is_full(ended: &Value) -> bool {
    ["QuotaExceeded", "Uncategorized"].contains(&ended["error"].as_str().unwrap_or_default())
}

fn held(folder: &tempfile::TempDir) -> u64 {
    std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_fills_its_folder_call_after_call_is_stopped_at_its_bound_while_others_answer() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), vec![b'x'; 100_000]).unwrap();
    let berth = bounded(&folder, json!({ "total_bytes": 2 << 20 }), "").await;

    let filling = berth.spawn("attacker_try", json!({ "attack": "fill" }));
    let others = berth.answer("echo_say", json!({ "text": "still here" })).await;
    let filled = filling.await.unwrap().unwrap().content;

    assert_eq!(others, json!({ "text": "still here" }));
    // 2 MiB less what was there: seven blocks of 256 KiB.
    assert!(filled["done"] == 7 && is_full(&filled), "{filled}");
    assert!(held(&folder) <= 2 << 20);
    let again = attacks(&berth, "fill_again", json!({})).await;
    assert!(is_full(&again), "{again}");
    let grown = attacks(&berth, "grow_file", json!({})).await;
    assert_eq!(grown["error"], "QuotaExceeded", "{grown}");
    assert!(held(&folder) <= 2 << 20);
    let row = berth.audit("attacker").await.into_iter().find(|row| row.decision == AuditDecision::Denied);
    let row = row.unwrap();
    assert_eq!((row.capability.as_str(), &row.scope["full"]), ("files", &json!("2097152 bytes")));
    let log = berth.host.logs(&PluginId::fixed("attacker")).unwrap();
    assert!(log.iter().any(|line| line.text.starts_with("FOLDER_FULL: /rw")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_folders_and_links_are_counted_and_what_is_removed_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let berth = bounded(&folder, json!({ "total_files": 5 }), "").await;

    assert_eq!(
        attacks(&berth, "many_files", json!({})).await,
        json!({ "done": 4, "error": "QuotaExceeded" })
    );
    for attack in ["many_folders", "many_links", "deep_folders"] {
        assert_eq!(attacks(&berth, attack, json!({})).await["done"], 0, "{attack}");
    }
    let copied = attacks(&berth, "hard_link", json!({ "path": "/rw/mine.txt" })).await;
    assert_eq!(copied["error"], "QuotaExceeded");
    // A rename over another file leaves one less.
    let moved = json!({ "path": "/rw/many-0", "to": "/rw/many-1" });
    assert_eq!(attacks(&berth, "rename", moved).await, "renamed");
    assert_eq!(attacks(&berth, "remove", json!({ "path": "/rw/many-2" })).await, "removed");

    let made = attacks(&berth, "many_folders", json!({})).await;

    assert_eq!(made, json!({ "done": 2, "error": "QuotaExceeded" }));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_of_the_manifest_counts_too_and_what_is_overwritten_is_not_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let more = "[[capability]]\nname = \"endpoint\"\n[[capability]]\nname = \"files\"\nscope = { guest = \"/rw\", access = \"rw\" }\n\
                limit = { total_bytes = 10 }\n";
    let berth = bounded(&folder, json!({ "total_bytes": 1000 }), "").await;
    for _ in 0..300 {
        assert_eq!(attacks(&berth, "write", json!({ "path": "/rw/note" })).await, "written");
    }
    assert_eq!(held(&folder), 5);

    let narrow = Harness::start().await;
    let scope = json!({ "guest": "/rw", "host": folder.path(), "access": "rw" });
    narrow.grant("attacker", "files", scope).await;
    narrow.install_fixture("attacker", more).await.unwrap();

    assert_eq!(attacks(&narrow, "append", json!({ "path": "/rw/note" })).await, "written");
    let refused = attacks(&narrow, "append", json!({ "path": "/rw/note" })).await;

    assert!(is_full(&refused), "{refused}");
    assert_eq!(held(&folder), 10);
}
