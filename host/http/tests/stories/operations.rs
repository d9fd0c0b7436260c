//! Tool calls that a client asks for itself.

use serde_json::{Value, json};

use crate::support::{Berth, tidy};

async fn body(berth: &Berth, change: Value) -> Value {
    let mut body = json!({
        "thread_id": berth.thread().await, "workspace_id": "personal", "operation_type": "tool_call",
        "endpoint_id": "desktop.ui",
    });
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_call_is_answered_when_it_has_ended_and_read_back_without_what_is_secret() {
    let berth = Berth::start().await;
    let wish = json!({ "tool_key": "notes_read", "title": "Look", "arguments": { "note": "a", "api_key": "hunter2" } });
    let wish = body(&berth, wish).await;

    let operation = berth.post("/runtime/operations", wish).await.ok();

    insta::assert_snapshot!("operation", tidy(&operation));
    assert_eq!(operation["result"]["echo"]["api_key"], "hunter2", "who called reads the answer itself");
    let id = operation["operation_id"].as_str().unwrap();
    let stored = berth.get(&format!("/runtime/operations/{id}")).await;
    assert_eq!(stored.ok()["status"], "succeeded");
    assert!(!stored.text.contains("hunter2"), "{}", stored.text);
}

#[tokio::test]
async fn the_tool_is_named_by_key_capability_or_id() {
    let berth = Berth::start().await;
    for field in ["tool_key", "capability_id", "tool_id"] {
        let wish = body(&berth, json!({ field: "notes_read" })).await;
        assert_eq!(berth.post("/runtime/operations", wish).await.ok()["tool_id"], "notes_read", "{field}");
    }
}

#[tokio::test]
async fn a_tool_that_says_that_it_failed_has_answered() {
    let berth = Berth::start().await;
    let wish = body(&berth, json!({ "tool_key": "notes_read", "arguments": { "error": true } })).await;

    let operation = berth.post("/runtime/operations", wish).await.ok();

    assert_eq!(
        (&operation["status"], &operation["error"]["code"]),
        (&json!("failed"), &json!("tool_reported_error"))
    );
}

#[tokio::test]
async fn a_call_that_yields_nothing_is_an_error_that_names_its_operation() {
    let berth = Berth::start().await;
    let wish = body(&berth, json!({ "tool_key": "notes_trap" })).await;

    let error = berth.post("/runtime/operations", wish).await.refuses(502, "PLUGIN_TRAP");

    let id = error["details"]["operation_id"].as_str().unwrap();
    let operation = berth.get(&format!("/runtime/operations/{id}")).await.ok();
    assert_eq!(
        (&operation["status"], &operation["error"]["code"]),
        (&json!("failed"), &json!("PLUGIN_TRAP"))
    );
}

#[tokio::test]
async fn a_call_that_cannot_be_made_is_refused_before_there_is_one() {
    let berth = Berth::start().await;
    berth.endpoint("desktop.old", "personal", false).await;
    for (change, status, code) in [
        (json!({}), 400, "tool_key_required"),
        (json!({ "tool_key": "no_such_tool" }), 503, "execution_target_unavailable"),
        (json!({ "tool_key": "notes_read", "workspace_id": "nowhere" }), 404, "workspace_not_found"),
        (
            json!({ "tool_key": "notes_read", "thread_id": format!("thr_{:032x}", 0xdead) }),
            404,
            "thread_not_found",
        ),
        (
            json!({ "tool_key": "notes_read", "target_endpoint_id": "moon.base" }),
            404,
            "execution_target_not_found",
        ),
        (
            json!({ "tool_key": "gpio.write", "target_endpoint_id": "desktop.old" }),
            400,
            "endpoint_capability_not_found",
        ),
        (json!({ "tool_key": "notes_read", "operation_type": " " }), 422, "invalid_request"),
        (json!({ "tool_key": "notes_read", "arguments": [1] }), 422, "invalid_request"),
        (json!({ "tool_key": "notes_read", "thread_id": null }), 422, "invalid_request"),
    ] {
        let wish = body(&berth, change).await;
        berth.post("/runtime/operations", wish).await.refuses(status, code);
    }
    assert!(berth.shelf.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_tool_that_wants_a_yes_is_refused_until_the_request_carries_it() {
    let berth = Berth::start().await;
    let wish = body(&berth, json!({ "tool_key": "notes_erase" })).await;

    let error = berth.post("/runtime/operations", wish).await.refuses(409, "tool_confirmation_required");

    assert_eq!(error["details"]["risk_level"], "destructive");
    assert!(berth.shelf.calls.lock().unwrap().is_empty());
    let wish = body(&berth, json!({ "tool_key": "notes_erase", "confirmed": true })).await;
    assert_eq!(berth.post("/runtime/operations", wish).await.ok()["status"], "succeeded");
}

#[tokio::test]
async fn unknown_operations_are_refused_by_name() {
    let berth = Berth::start().await;
    for id in [format!("op_{:032x}", 0xdead), "nonsense".to_owned(), "x".repeat(2000)] {
        let error = berth.get(&format!("/runtime/operations/{id}")).await.refuses(404, "operation_not_found");
        assert!(error["message"].as_str().unwrap().contains(&id[..20.min(id.len())]), "{error}");
        assert!(error["message"].as_str().unwrap().len() < 300);
    }
}

#[tokio::test]
async fn the_tools_on_offer_are_listed() {
    let berth = Berth::start().await;

    let tools = berth.get("/runtime/tools").await.ok();

    let tool = tools.as_array().unwrap().iter().find(|tool| tool["name"] == "notes_erase").unwrap();
    insta::assert_snapshot!("tool", tidy(tool));
    berth.get("/runtime/tools?workspace_id=nowhere").await.refuses(404, "workspace_not_found");
}
