//! Plugins and grants, for the operator.

use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::Method;
use berth_model::audit::{AuditDecision, AuditRow};
use berth_model::{ActorId, ApprovalId, AuditId, CallId, OperationId, PluginId, Timestamp, WorkspaceId};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Berth, request, tidy};

#[tokio::test]
async fn a_plugin_is_shown_with_its_tools_wishes_and_grants() {
    let berth = Berth::start().await;
    let grant = json!({
        "capability": "files", "scope": { "guest": "/", "host": "/srv/notes", "access": "ro" }, "reason": "notes",
        "workspace_id": "study", "expires_at": "2026-06-01T00:00:00Z",
    });
    let given = berth.post("/operator/plugins/notes/grants", grant).await.ok();

    let plugin = berth.get("/operator/plugins/notes").await.ok();

    insta::assert_snapshot!("plugin", tidy(&plugin));
    assert_eq!(berth.get("/operator/plugins").await.ok(), json!([plugin]));
    assert_eq!(berth.get("/operator/plugins/notes/grants").await.ok(), json!([given]));
    assert_eq!(berth.get("/operator/grants?plugin_id=notes").await.ok(), json!([given]));
    assert_eq!(berth.get("/operator/grants?plugin_id=other").await.ok(), json!([]));
    assert_eq!(berth.get("/operator/grants").await.ok(), json!([given]));
}

#[tokio::test]
async fn a_grant_is_taken_back_and_twice_is_as_good_as_once() {
    let berth = Berth::start().await;
    let given = berth.post("/operator/plugins/notes/grants", json!({ "capability": "files" })).await.ok();
    let path = format!("/operator/grants/{}/revoke", given["grant_id"].as_str().unwrap());

    let revoked = berth.post(&path, json!({})).await.ok();

    assert_eq!((&given["state"], &revoked["state"]), (&json!("live"), &json!("revoked")));
    assert_eq!(berth.post(&path, json!({})).await.ok(), revoked);
    let unknown = format!("/operator/grants/grant_{:032x}/revoke", 0xdead);
    berth.post(&unknown, json!({})).await.refuses(404, "GRANT_NOT_FOUND");
    berth.post("/operator/grants/nonsense/revoke", json!({})).await.refuses(404, "GRANT_NOT_FOUND");
}

#[tokio::test]
async fn a_grant_that_is_not_right_is_refused_with_its_field() {
    let berth = Berth::start().await;
    for (body, status, code, field) in [
        (json!({}), 422, "invalid_request", "capability"),
        (json!({ "capability": "files", "mode": "perhaps" }), 422, "invalid_request", "mode"),
        (json!({ "capability": "files", "scope": "all" }), 422, "invalid_request", "scope"),
        (json!({ "capability": "files", "expires_at": "tomorrow" }), 422, "invalid_request", "expires_at"),
        (
            json!({ "capability": "files", "expires_at": "2020-01-01T00:00:00Z" }),
            422,
            "invalid_request",
            "expires_at",
        ),
        (json!({ "capability": "files", "reason": "x".repeat(1001) }), 422, "invalid_request", "reason"),
        (json!({ "capability": "magic" }), 422, "GRANT_CAPABILITY_UNKNOWN", ""),
    ] {
        let error = berth.post("/operator/plugins/notes/grants", body).await.refuses(status, code);
        if !field.is_empty() {
            assert_eq!(error["details"]["errors"][0]["field"], field);
        }
    }
    assert_eq!(berth.get("/operator/grants").await.ok(), json!([]));
}

#[tokio::test]
async fn a_plugin_is_installed_switched_and_removed() {
    let berth = Berth::start().await;

    let installed = berth.post("/operator/plugins/install", json!({ "path": "/srv/diary" })).await.ok();

    assert_eq!(
        (&installed["plugin_id"], &installed["warnings"]),
        (&json!("diary"), &json!(["it has no tools"]))
    );
    assert_eq!(berth.post("/operator/plugins/diary/disable", json!({})).await.ok()["status"], "disabled");
    assert_eq!(berth.post("/operator/plugins/diary/enable", json!({})).await.ok()["status"], "ready");
    let logs = berth.get("/operator/plugins/diary/logs").await.ok();
    assert_eq!(logs, json!([{ "level": "stdout", "text": "hello" }]));
    let removed = berth.delete("/operator/plugins/diary").await.ok();
    let kept = json!({ "plugin_id": "diary", "removed": true, "kept_pairs": 2, "purged_pairs": 0 });
    assert_eq!(removed, kept);
    berth.post("/operator/plugins/install", json!({ "path": "/srv/diary" })).await.ok();
    let purged = berth.delete("/operator/plugins/diary?purge=true").await.ok();
    assert_eq!((&purged["kept_pairs"], &purged["purged_pairs"]), (&json!(0), &json!(2)));
    berth.delete("/operator/plugins/diary?purge=perhaps").await.refuses(422, "invalid_request");
    berth.get("/operator/plugins/diary").await.refuses(404, "PLUGIN_NOT_FOUND");
}

#[tokio::test]
async fn an_install_that_cannot_be_is_refused() {
    let berth = Berth::start().await;
    let path = "/operator/plugins/install";
    berth.post(path, json!({ "path": "diary" })).await.refuses(422, "invalid_request");
    berth.post(path, json!({})).await.refuses(422, "invalid_request");
    berth.post(path, json!({ "path": "/srv/nothing" })).await.refuses(422, "PLUGIN_PACKAGE_UNREADABLE");
}

#[tokio::test]
async fn unknown_plugins_are_refused_by_name() {
    let berth = Berth::start().await;
    for (method, path) in [
        (Method::GET, "/operator/plugins/other"),
        (Method::DELETE, "/operator/plugins/other"),
        (Method::POST, "/operator/plugins/other/enable"),
        (Method::POST, "/operator/plugins/other/disable"),
        (Method::GET, "/operator/plugins/other/logs"),
    ] {
        let answer = berth.send(request(method, path).body(Body::empty()).unwrap()).await;
        let error = answer.refuses(404, "PLUGIN_NOT_FOUND");
        assert!(error["message"].as_str().unwrap().contains("other"), "{error}");
    }
    let long = format!("/operator/plugins/{}", "x".repeat(65));
    berth.get(&long).await.refuses(404, "PLUGIN_NOT_FOUND");
}

#[tokio::test]
async fn what_went_wrong_inside_stays_inside() {
    let berth = Berth::start().await;
    berth.shelf.is_broken.store(true, Ordering::Relaxed);

    let answer = berth.get("/operator/plugins/notes").await;

    answer.refuses(500, "internal_error");
    assert!(!answer.text.contains("secret"), "{}", answer.text);
}

#[tokio::test]
async fn a_tool_is_called_by_the_operator_himself() {
    let berth = Berth::start().await;
    let body = json!({ "tool": "notes_erase", "arguments": { "note": "a" } });

    let answer = berth.post("/operator/plugins/call", body).await.ok();

    insta::assert_snapshot!("plugin_call", tidy(&answer));
    berth.post("/operator/plugins/call", json!({ "tool": "notes_trap" })).await.refuses(502, "PLUGIN_TRAP");
    berth.post("/operator/plugins/call", json!({})).await.refuses(422, "invalid_request");
}

#[tokio::test]
async fn a_call_of_an_operator_who_goes_away_is_cancelled() {
    let berth = Berth::start().await;
    let call = berth.post("/operator/plugins/call", json!({ "tool": "notes_wait" }));
    let mut steps = berth.core.operation_updates();

    tokio::select! {
        answer = call => panic!("{}", answer.text),
        () = berth.shelf.waiting.notified() => {}
    }

    while steps.recv().await.unwrap().phase != "cancelled" {}
}

#[tokio::test]
async fn a_grant_says_for_which_builds_when_and_how_often() {
    let berth = Berth::start().await;
    let rule = format!("sha256:{}", "ab".repeat(32));
    let body = json!({
        "capability": "files", "scope": { "guest": "/" }, "mode": "ask", "rule": rule, "uses": 3,
        "starts_at": "2098-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z", "limit": { "a": 1 },
    });

    let grant = berth.post("/operator/plugins/notes/grants", body).await.ok();

    for (key, value) in [
        ("mode", json!("ask")),
        ("state", json!("not_begun")),
        ("rule", json!(rule)),
        ("uses_left", json!(3)),
        ("starts_at", json!("2098-01-01T00:00:00.000000Z")),
        ("limit", json!({ "a": 1 })),
        ("revoked_by", json!("")),
    ] {
        assert_eq!(grant[key], value, "{key}");
    }
    for (wrong, field) in [
        (json!({ "mode": "often" }), "mode"),
        (json!({ "rule": "sha256:12" }), "rule"),
        (json!({ "uses": 0 }), "uses"),
        (json!({ "starts_at": "soon" }), "starts_at"),
        (json!({ "starts_at": "2099-01-01T00:00:00Z", "expires_at": "2098-01-01T00:00:00Z" }), "expires_at"),
    ] {
        let mut body = json!({ "capability": "files" });
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let error = berth.post("/operator/plugins/notes/grants", body).await.refuses(422, "invalid_request");
        assert_eq!(error["details"]["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn the_audit_tells_what_a_plugin_did_newest_first() {
    let berth = Berth::start().await;
    let row = |number: u128, decision| AuditRow {
        id: AuditId::from_uuid(Uuid::from_u128(number)),
        plugin: PluginId::fixed("notes"),
        capability: "files".to_owned(),
        scope: json!({ "guest": "/notes" }),
        decision,
        is_write: true,
        uses: 7,
        call: CallId::from_uuid(Uuid::from_u128(2)),
        operation: OperationId::from_uuid(Uuid::from_u128(3)),
        run: None,
        workspace: WorkspaceId::fixed("personal"),
        actor: ActorId::fixed("user:self"),
        grant: None,
        approval: Some(ApprovalId::from_uuid(Uuid::from_u128(4))),
        created_at: Timestamp::from_micros(0),
    };
    let rows = vec![row(1, AuditDecision::Denied), row(2, AuditDecision::Observed)];
    *berth.shelf.audit.lock().unwrap() = rows;

    let all = berth.get("/operator/plugins/notes/audit").await.ok();
    let denied = berth.get("/operator/plugins/notes/audit?decision=denied").await.ok();

    assert_eq!((all.as_array().unwrap().len(), &all[0]), (2, &denied[0]));
    let first = &denied[0];
    assert_eq!((&first["decision"], &first["uses"]), (&json!("denied"), &json!(7)));
    assert_eq!((&first["run_id"], &first["grant_id"]), (&json!(""), &json!("")));
    assert_eq!(first["approval_id"], "approval_00000000000000000000000000000004");
    assert_eq!(berth.get("/operator/plugins/other/audit").await.ok(), json!([]));
    let wrong = berth.get("/operator/plugins/notes/audit?decision=maybe").await;
    wrong.refuses(422, "invalid_request");
    let suggestion = berth.get("/operator/plugins/notes/suggest").await.ok();
    assert_eq!(suggestion["capabilities"], json!([{ "name": "files", "scope": { "guest": "/notes" } }]));
    assert_eq!((&suggestion["uses"], &suggestion["manifest"]), (&json!(2), &json!("[[capability]]\n")));
}
