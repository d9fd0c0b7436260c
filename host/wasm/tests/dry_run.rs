//! Calls that shall change nothing, and the language of who waits.
#![allow(clippy::unwrap_used)]

mod support;

use berth_core::gate::Consent;
use berth_core::operations::Ask;
use berth_model::PluginId;
use berth_model::plugin::{GrantMode, NewGrant};
use serde_json::{Value, json};
use support::core_world::World;
use support::host::fixture;

fn dry(ask: Ask) -> Ask {
    // Nobody has agreed to it, and nobody has to.
    Ask { dry_run: true, consent: Consent::Missing, ..ask }
}

#[tokio::test]
async fn a_dry_run_is_told_to_the_plugin_and_denied_what_changes_something() {
    let berth = World::start().await;
    berth.grant(GrantMode::Allow, |new| new).await;

    let who = berth.finished(dry(berth.ask("host_waiter_who", json!({})))).await;
    let tried = berth
        .finished(dry(berth.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.gpio.write" }))))
        .await;

    assert_eq!((&who["dry_run"], &tried["code"]), (&json!(true), &json!("dry_run")));
    assert_eq!(berth.heard(), 0);
    assert!(berth.audit().await.is_empty());
    assert_eq!(berth.asks_the_pi().await, json!({ "done": true }), "the real call goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_a_dry_run_can_only_be_read() {
    let berth = World::empty().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let wants = "[[capability]]\nname = \"endpoint\"\n[[capability]]\nname = \"files\"\nscope = { guest = \"/rw\", access = \"rw\" }\n";
    berth.host.install(fixture("attacker", wants)).await.unwrap();
    let scope = json!({ "guest": "/rw", "host": folder.path(), "access": "rw" });
    berth.host.grant(NewGrant::allow(PluginId::fixed("attacker"), "files", scope)).await.unwrap();
    let tries = async |attack: &str| -> Value {
        let arguments = json!({ "attack": attack, "path": "/rw/mine.txt" });
        berth.finished(dry(berth.ask("attacker_try", arguments))).await
    };

    assert_eq!(tries("read").await, json!({ "read": "mine" }));
    for attack in ["write", "append", "truncate", "remove", "many_files", "many_folders"] {
        let tried = tries(attack).await;
        assert!(tried["error"].is_string() && tried["done"].as_u64().unwrap_or(0) == 0, "{attack}: {tried}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("mine.txt")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn the_language_of_a_call_is_that_of_who_asked() {
    let berth = World::start().await;
    let told = async |locale: Option<&str>| {
        let ask = Ask { locale: locale.map(str::to_owned), ..berth.ask("host_waiter_who", json!({})) };
        berth.finished(ask).await["locale"].clone()
    };

    assert_eq!(told(Some("de-CH")).await, "de-CH");
    assert_eq!(told(None).await, "", "the host has none");
}
