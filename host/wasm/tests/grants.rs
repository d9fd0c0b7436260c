//! What a plugin may do is what its operator granted, from the first call to the revocation.
#![allow(clippy::unwrap_used)]

mod support;

use berth_model::plugin::GrantMode;
use berth_model::{Timestamp, WorkspaceId};
use serde_json::{Value, json};
use support::host::{Harness, new_grant};

/// A folder with a note in it.
fn notes() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("today.md"), "buy milk").unwrap();
    folder
}

fn read() -> Value {
    json!({ "path": "/notes/today.md" })
}

#[tokio::test]
async fn a_folder_is_read_or_written_only_as_granted() {
    let berth = Harness::start().await;
    let folder = notes();
    berth.install("files").await;
    let write = json!({ "path": "/notes/new.md", "content": "x" });

    let scope = json!({ "guest": "/notes", "host": folder.path(), "access": "ro" });
    let narrow = berth.grant("files", "files", scope).await;
    assert_eq!(berth.answer("files_read", read()).await["content"], "buy milk");
    assert_eq!(berth.refusal("files_write", write.clone()).await["code"], "denied");
    assert!(!folder.path().join("new.md").exists());

    let scope = json!({ "guest": "/notes", "host": folder.path(), "access": "rw" });
    let wide = berth.grant("files", "files", scope).await;
    berth.answer("files_write", write).await;
    assert_eq!(std::fs::read_to_string(folder.path().join("new.md")).unwrap(), "x");

    berth.host.revoke(wide).await.unwrap();
    berth.host.revoke(narrow).await.unwrap();
    assert_eq!(berth.refusal("files_read", read()).await["code"], "denied");
}

#[tokio::test]
async fn a_path_outside_the_grant_is_denied_as_a_value_that_names_what_to_grant() {
    let berth = Harness::start().await;
    let folder = notes();
    std::os::unix::fs::symlink("/etc", folder.path().join("out")).unwrap();
    berth.install("files").await;
    let command = "berth plugin grant files files --scope";

    let without = berth.refusal("files_read", read()).await;
    assert_eq!(without["code"], "denied");
    assert!(without["message"].as_str().unwrap().contains(command), "{without}");

    berth.grant("files", "files", json!({ "guest": "/notes", "host": folder.path(), "access": "rw" })).await;
    for path in ["/etc/passwd", "/notes/../etc/passwd", "/notes/out/passwd", "/other"] {
        let denied = berth.refusal("files_read", json!({ "path": path })).await;
        assert_eq!(denied["code"], "denied", "{path}: {denied}");
        assert!(denied["message"].as_str().unwrap().contains(command), "{path}: {denied}");
    }
    let above = berth.refusal("files_read", json!({ "path": "../etc/passwd" })).await;
    assert_eq!(above["code"], "denied");
}

#[tokio::test]
async fn an_endpoint_is_reached_only_as_granted() {
    let berth = Harness::start().await;
    berth.install("gpio").await;

    let denied = berth.refusal("gpio_read", json!({ "pin": 17 })).await;
    assert_eq!(denied["code"], "PERMISSION_DENIED");
    assert!(denied["message"].as_str().unwrap().contains("berth plugin grant gpio endpoint"), "{denied}");

    berth.grant("gpio", "endpoint", json!({ "tools": ["rpi.gpio.read"] })).await;
    let read = berth.call("gpio_read", json!({ "pin": 17 })).await.unwrap();
    assert_eq!(read.content, json!({ "pin": 17, "value": true }));
    assert!(read.receipt["host_calls"].as_u64().unwrap() > 0);
    let write = berth.refusal("gpio_write", json!({ "pin": 17, "value": true })).await;
    assert_eq!(write["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_grant_that_is_revoked_during_a_call_counts_no_more_at_its_next_step() {
    let berth = Harness::start().await;
    berth.install_fixture("host-waiter", "[[capability]]\nname = \"endpoint\"\n").await.unwrap();
    let grant = berth.grant("host-waiter", "endpoint", json!({})).await;
    berth.open_the_gate();
    assert_eq!(
        berth.answer("host_waiter_ask_twice", json!({})).await,
        json!({ "first": "ok", "second": "ok" })
    );
    berth.until_the_pi_hears().await;
    berth.until_the_pi_hears().await;

    let call = berth.spawn("host_waiter_ask_twice", json!({}));
    berth.until_the_pi_hears().await;
    berth.host.revoke(grant).await.unwrap();
    let answer = call.await.unwrap().unwrap().content;

    assert_eq!(answer, json!({ "first": "PERMISSION_DENIED", "second": "PERMISSION_DENIED" }));
}

#[tokio::test]
async fn a_folder_that_is_revoked_during_a_call_is_read_no_more() {
    let berth = Harness::start().await;
    let folder = notes();
    let asks = "[[capability]]\nname = \"endpoint\"\n[[capability]]\nname = \"files\"\nscope = { guest = \"/notes\" }\n";
    berth.install_fixture("host-waiter", asks).await.unwrap();
    berth.grant("host-waiter", "endpoint", json!({})).await;
    let scope = json!({ "guest": "/notes", "host": folder.path() });
    let read = |twice: bool| json!({ "path": "/notes/today.md", "twice": twice });
    let grant = berth.grant("host-waiter", "files", scope.clone()).await;
    berth.open_the_gate();
    let kept = berth.answer("host_waiter_ask_and_read", read(true)).await;
    assert_eq!(kept, json!({ "before": true, "asked": true, "after": true }));
    berth.until_the_pi_hears().await;

    let call = berth.spawn("host_waiter_ask_and_read", read(false));
    berth.until_the_pi_hears().await;
    berth.host.revoke(grant).await.unwrap();
    berth.open_the_gate();
    let unopened = call.await.unwrap();
    let grant = berth.grant("host-waiter", "files", scope).await;
    let call = berth.spawn("host_waiter_ask_and_read", read(true));
    berth.until_the_pi_hears().await;
    berth.host.revoke(grant).await.unwrap();
    berth.open_the_gate();
    let opened = call.await.unwrap();

    // Some C libraries open the folders before the first line of the plugin, others when they need them.
    match unopened {
        Ok(outcome) => assert_eq!(outcome.content, json!({ "before": false, "asked": true, "after": false })),
        Err(failure) => assert_eq!(failure.code, "PERMISSION_REVOKED"),
    }
    assert_eq!(opened.unwrap_err().code, "PERMISSION_REVOKED");
}

#[tokio::test]
async fn only_a_grant_that_is_live_and_meant_for_the_workspace_counts() {
    let berth = Harness::start().await;
    berth.install("gpio").await;
    let grant = |mode| new_grant("gpio", "endpoint", json!({}), mode);
    // The clock of the test stands still after this.
    let long_ago = Timestamp::from_micros(1);

    let expired = berth_wasm::NewGrant { expires_at: Some(long_ago), ..grant(GrantMode::Allow) };
    let elsewhere =
        berth_wasm::NewGrant { workspace: Some(WorkspaceId::fixed("work")), ..grant(GrantMode::Allow) };
    for dead in [expired, elsewhere, grant(GrantMode::Ask)] {
        berth.host.grant(dead).await.unwrap();
    }
    assert_eq!(berth.refusal("gpio_read", json!({ "pin": 1 })).await["code"], "PERMISSION_DENIED");

    berth.host.grant(grant(GrantMode::Allow)).await.unwrap();
    berth.answer("gpio_read", json!({ "pin": 1 })).await;
    berth.host.grant(grant(GrantMode::Deny)).await.unwrap();
    assert_eq!(berth.refusal("gpio_read", json!({ "pin": 1 })).await["code"], "PERMISSION_DENIED");
}

#[tokio::test]
async fn grants_are_checked_before_an_instance_is_made() {
    let berth = Harness::start().await;
    let dies_at_birth = r#"(component
        (core module $m (func $s unreachable) (start $s) (func (export "run")))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "run"))))"#;
    let asks = "[[capability]]\nname = \"files\"\nrequired = false\nscope = { guest = \"/\" }\n";
    berth.install_text(dies_at_birth, asks).await.unwrap();
    assert_eq!(berth.failure("test_run", json!({})).await.code, "PLUGIN_TRAP");

    berth.grant("test", "files", json!({ "guest": "/", "host": "/nowhere/at/all" })).await;
    let failure = berth.failure("test_run", json!({})).await;

    assert_eq!(failure.code, "PLUGIN_FILES_UNAVAILABLE");
}

#[tokio::test]
async fn a_grant_may_be_given_before_the_install_and_outlives_the_removal() {
    let berth = Harness::start().await;
    berth.grant("gpio", "endpoint", json!({})).await;

    let installed = berth.install("gpio").await;
    berth.answer("gpio_read", json!({ "pin": 1 })).await;
    berth.host.remove(&installed.plugin.id).await.unwrap();
    berth.install("gpio").await;

    berth.answer("gpio_read", json!({ "pin": 1 })).await;
}

#[tokio::test]
async fn a_grant_that_makes_no_sense_is_refused_with_the_reason() {
    let berth = Harness::start().await;
    for (capability, scope, code, word) in [
        ("teleport", json!({}), "GRANT_CAPABILITY_UNKNOWN", "files"),
        ("files", json!({ "guest": "/" }), "GRANT_SCOPE_INVALID", "`host`"),
        ("files", json!({ "host": "notes" }), "GRANT_SCOPE_INVALID", "absolute"),
        ("files", json!({ "host": "/srv", "access": "all" }), "GRANT_SCOPE_INVALID", "`access`"),
        ("endpoint", json!([]), "GRANT_SCOPE_INVALID", "table"),
    ] {
        let error =
            berth.host.grant(new_grant("any", capability, scope, GrantMode::Allow)).await.unwrap_err();

        assert_eq!(error.code(), code);
        assert!(error.to_string().contains(word), "{error}");
    }
    let nobody = berth_model::GrantId::from_uuid(uuid::Uuid::from_u128(99));
    assert_eq!(berth.host.revoke(nobody).await.unwrap_err().code(), "GRANT_NOT_FOUND");
}

#[tokio::test]
async fn the_data_folder_is_shown_to_no_guest_whatever_is_granted() {
    let berth = Harness::start().await;
    let outside = notes();
    let data = berth.folder.path().canonicalize().unwrap();
    std::fs::write(data.join("today.md"), "secret").unwrap();
    std::fs::create_dir(data.join("files")).unwrap();
    let link = outside.path().join("link");
    std::os::unix::fs::symlink(&data, &link).unwrap();
    let scope = |host: &std::path::Path| json!({ "guest": "/notes", "host": host, "access": "rw" });
    berth.install("files").await;

    for host in [&data, &data.join("components"), data.parent().unwrap(), &link, "/".as_ref()] {
        let grant = new_grant("files", "files", scope(host), GrantMode::Allow);
        let error = berth.host.grant(grant).await.unwrap_err();
        assert_eq!(error.code(), "GRANT_SCOPE_INVALID", "{}", host.display());
        assert!(error.to_string().contains(data.to_str().unwrap()), "{error}");
    }

    let swapped = outside.path().join("swapped");
    std::fs::create_dir(&swapped).unwrap();
    let grant = berth.grant("files", "files", scope(&swapped)).await;
    std::fs::remove_dir(&swapped).unwrap();
    std::os::unix::fs::symlink(&data, &swapped).unwrap();
    assert_eq!(berth.failure("files_read", read()).await.code, "PLUGIN_FILES_UNAVAILABLE");
    berth.host.revoke(grant).await.unwrap();

    berth.grant("files", "files", scope(&data.join("files"))).await;
    berth.answer("files_write", json!({ "path": "/notes/new.md", "content": "x" })).await;
    assert_eq!(std::fs::read_to_string(data.join("files/new.md")).unwrap(), "x");
}
