//! Sessions, and the conversations of providers.

use serde_json::{Value, json};

use crate::support::{Berth, tidy};

async fn resolve(berth: &Berth, body: Value) -> Value {
    berth.post("/runtime/endpoint-sessions/resolve", body).await.ok()
}

#[tokio::test]
async fn b6_a_conversation_gets_the_same_thread_and_each_time_a_session_of_its_own() {
    let berth = Berth::start().await;
    let body = json!({
        "endpoint_id": "feishu.bot", "conversation_key": "oc_1", "display_name": "Family", "workspace_id": "study",
        "metadata": { "chat_type": "group" },
    });

    let first = resolve(&berth, body.clone()).await;
    let second = resolve(&berth, body).await;

    insta::assert_snapshot!("session_resolve", tidy(&first));
    assert_eq!((&first["thread"], &first["binding"]), (&second["thread"], &second["binding"]));
    assert_ne!(first["session"]["session_id"], second["session"]["session_id"]);
    let other = resolve(&berth, json!({ "endpoint_id": "feishu.bot", "conversation_key": "oc_2" })).await;
    assert_ne!(other["thread"]["thread_id"], first["thread"]["thread_id"]);
}

#[tokio::test]
async fn b8_an_unknown_endpoint_is_made_with_the_provider_that_its_id_names() {
    let berth = Berth::start().await;
    for (body, provider, kind) in [
        (json!({ "endpoint_id": "feishu.bot" }), "feishu", "feishu_ui"),
        (json!({ "endpoint_id": "lonely" }), "external", "external_ui"),
        (
            json!({ "endpoint_id": "a.b", "provider_type": "wechat", "endpoint_type": "wechat_bot" }),
            "wechat",
            "wechat_bot",
        ),
    ] {
        let mut body = body;
        body["thread_strategy"] = json!("shared_endpoint");
        let id = resolve(&berth, body).await["binding"]["endpoint_id"].as_str().unwrap().to_owned();
        let endpoints = berth.get("/runtime/workspaces/personal/endpoints").await.ok();
        let made =
            endpoints.as_array().unwrap().iter().find(|one| one["endpoint_id"] == id.as_str()).unwrap();
        assert_eq!(
            (&made["provider_type"], &made["endpoint_type"]),
            (&json!(provider), &json!(kind)),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a4_each_strategy_binds_by_its_own_key() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    for (body, key) in [
        (json!({ "conversation_key": "k" }), "conversation:k".to_owned()),
        (json!({ "thread_strategy": "per_address", "conversation_key": "k" }), "address:k".to_owned()),
        (
            json!({ "thread_strategy": "per_address", "address_id": "addr.1", "conversation_key": "k" }),
            "address:addr.1".to_owned(),
        ),
        (json!({ "thread_strategy": "shared_endpoint" }), "endpoint:cli.ui".to_owned()),
        (
            json!({ "thread_strategy": "explicit_thread", "explicit_thread_id": thread }),
            format!("thread:{thread}"),
        ),
    ] {
        let mut body = body;
        body["endpoint_id"] = json!("cli.ui");
        let resolved = resolve(&berth, body).await;
        assert_eq!(resolved["binding"]["conversation_key"], key);
        let id = resolved["binding"]["binding_id"].as_str().unwrap();
        assert!(id.strip_prefix("etb.").is_some_and(|hex| hex.len() == 32), "{id}");
    }
}

#[tokio::test]
async fn a4_a_deleted_thread_is_bound_anew() {
    let berth = Berth::start().await;
    let body = json!({ "endpoint_id": "feishu.bot", "conversation_key": "oc_1" });
    let first = resolve(&berth, body.clone()).await;
    berth.delete(&format!("/runtime/threads/{}", first["thread"]["thread_id"].as_str().unwrap())).await.ok();

    let second = resolve(&berth, body).await;

    assert_ne!(second["thread"]["thread_id"], first["thread"]["thread_id"]);
    assert_eq!(second["binding"]["binding_id"], first["binding"]["binding_id"]);
}

#[tokio::test]
async fn a4_an_explicit_thread_decides_under_its_strategy_and_is_a_hint_elsewhere() {
    let berth = Berth::start().await;
    let (thread, deleted) = (berth.thread().await, berth.thread().await);
    berth.delete(&format!("/runtime/threads/{deleted}")).await.ok();
    let hint =
        resolve(&berth, json!({ "endpoint_id": "e", "conversation_key": "a", "explicit_thread_id": thread }))
            .await;
    assert_eq!(hint["thread"]["thread_id"], thread.as_str());
    let wrong = json!({ "endpoint_id": "e", "conversation_key": "b", "explicit_thread_id": deleted });
    assert_ne!(resolve(&berth, wrong).await["thread"]["thread_id"], deleted.as_str());

    let unknown = format!("thr_{:032x}", 0xdead);
    for (change, status, code) in [
        (json!({ "explicit_thread_id": deleted }), 400, "explicit_thread_deleted"),
        (json!({ "explicit_thread_id": unknown }), 404, "explicit_thread_not_found"),
        (json!({ "explicit_thread_id": "nonsense" }), 404, "explicit_thread_not_found"),
        (json!({}), 400, "explicit_thread_id_required"),
        (
            json!({ "explicit_thread_id": thread, "workspace_id": "study" }),
            400,
            "explicit_thread_workspace_mismatch",
        ),
    ] {
        let mut body = json!({ "endpoint_id": "e", "thread_strategy": "explicit_thread" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        berth.post("/runtime/endpoint-sessions/resolve", body).await.refuses(status, code);
    }
}

#[tokio::test]
async fn a_conversation_that_says_too_little_or_too_much_is_refused() {
    let berth = Berth::start().await;
    for (body, status, code) in [
        (json!({}), 400, "endpoint_id_required"),
        (json!({ "endpoint_id": " " }), 400, "endpoint_id_required"),
        (json!({ "endpoint_id": "e" }), 400, "conversation_key_required"),
        (json!({ "endpoint_id": "e", "thread_strategy": "per_address" }), 400, "conversation_key_required"),
        (json!({ "endpoint_id": "e", "thread_strategy": "per_moon" }), 400, "unsupported_thread_strategy"),
        (
            json!({ "endpoint_id": "e", "conversation_key": "k", "workspace_id": "nowhere" }),
            404,
            "workspace_not_found",
        ),
        (json!({ "endpoint_id": "x".repeat(256), "conversation_key": "k" }), 422, "invalid_request"),
        (json!({ "endpoint_id": "e", "conversation_key": "x".repeat(600) }), 422, "invalid_request"),
        (
            json!({ "endpoint_id": "e", "conversation_key": "k", "provider_type": "x".repeat(65) }),
            422,
            "invalid_request",
        ),
        (
            json!({ "endpoint_id": "e", "conversation_key": "k", "title": "x".repeat(256) }),
            422,
            "invalid_request",
        ),
        (json!({ "endpoint_id": "e", "conversation_key": 5 }), 422, "invalid_request"),
        (json!({ "endpoint_id": "core.other", "conversation_key": "k" }), 403, "core_endpoint_reserved"),
        (
            json!({ "endpoint_id": "e", "conversation_key": "k", "provider_type": "core" }),
            403,
            "core_endpoint_reserved",
        ),
    ] {
        berth.post("/runtime/endpoint-sessions/resolve", body).await.refuses(status, code);
    }
}

#[tokio::test]
async fn a_session_is_in_its_threads_workspace_until_it_is_switched() {
    let berth = Berth::start().await;
    let thread = berth.post("/runtime/threads", json!({ "workspace_id": "study" })).await.ok();
    let body =
        json!({ "thread_id": thread["thread_id"], "endpoint_id": "desktop.ui", "endpoint_type": "electron" });

    let session = berth.post("/runtime/sessions", body).await.ok();

    insta::assert_snapshot!("session", tidy(&session));
    assert_eq!(session["active_workspace_id"], "study");
    let path = format!("/runtime/sessions/{}/active-workspace", session["session_id"].as_str().unwrap());
    let switched = berth.patch(&path, json!({ "active_workspace_id": "home-lab" })).await.ok();
    assert_eq!(
        (&switched["active_workspace_id"], &switched["workspace_id"]),
        (&json!("home-lab"), &json!("home-lab"))
    );
    assert_eq!(switched["session_id"], session["session_id"]);
}

#[tokio::test]
async fn a_session_names_only_what_there_is() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    for (body, status, code) in [
        (json!({ "thread_id": format!("thr_{:032x}", 0xdead), "endpoint_id": "e" }), 404, "thread_not_found"),
        (
            json!({ "thread_id": thread, "endpoint_id": "e", "workspace_id": "nowhere" }),
            404,
            "workspace_not_found",
        ),
        (json!({ "thread_id": thread, "endpoint_id": "" }), 422, "invalid_request"),
        (json!({ "thread_id": thread }), 422, "invalid_request"),
        (json!({ "endpoint_id": "e" }), 422, "invalid_request"),
    ] {
        berth.post("/runtime/sessions", body).await.refuses(status, code);
    }
    let unknown = format!("/runtime/sessions/sess_{:032x}/active-workspace", 0xdead);
    berth.patch(&unknown, json!({ "active_workspace_id": "study" })).await.refuses(404, "session_not_found");
    let known = format!("/runtime/sessions/{}/active-workspace", berth.session(&thread).await);
    berth
        .patch(&known, json!({ "active_workspace_id": "nowhere" }))
        .await
        .refuses(404, "workspace_not_found");
    berth.patch(&known, json!({})).await.refuses(422, "invalid_request");
}
