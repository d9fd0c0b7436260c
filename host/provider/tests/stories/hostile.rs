//! A Core that says odd things: a provider answers or ignores them, and goes on.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::device::{Device, room};
use crate::puppet::{Core, Puppet, SCHEMA, code};

const TOKEN: &str = "t";

async fn connected() -> (Puppet, Device, Core) {
    let puppet = Puppet::listen().await;
    let device = Device::start(&puppet.url(), TOKEN);
    let core = puppet.serves().await;
    (puppet, device, core)
}

#[tokio::test]
async fn frames_that_mean_nothing_are_passed_over() {
    let (_puppet, _device, mut core) = connected().await;

    for text in [
        "{}".to_owned(),
        json!({ "schema": "other", "type": "x" }).to_string(),
        json!({ "schema": SCHEMA }).to_string(),
        json!({ "schema": SCHEMA, "type": "no.such.frame", "payload": [1] }).to_string(),
        json!({ "schema": SCHEMA, "type": "tool.call.request" }).to_string(),
        json!({ "schema": SCHEMA, "type": "tool.call.request", "payload": { "call_id": "c" } }).to_string(),
        json!({ "schema": SCHEMA, "type": "tool.call.request", "payload": { "tool_key": "t.echo" } }).to_string(),
        json!({ "schema": SCHEMA, "type": "tool.call.cancel", "payload": { "call_id": "none" } }).to_string(),
        json!({ "schema": SCHEMA, "type": "endpoint.ready", "payload": { "registered_capability_count": -1 } })
            .to_string(),
        json!({ "schema": SCHEMA, "type": "delivery.message", "payload": { "content": "hi" } }).to_string(),
        json!({ "schema": SCHEMA, "type": "endpoint.error", "payload": { "code": "x", "message": 7 } }).to_string(),
    ] {
        core.sends(Message::text(text)).await;
    }
    core.sends(Message::binary(vec![0, 159, 146, 150])).await;
    core.sends(Message::Ping(vec![1, 2, 3].into())).await;

    assert_eq!(core.result_of("t.echo", json!({ "still": "there" })).await, json!({ "still": "there" }));
}

#[tokio::test]
async fn no_value_in_the_wrong_place_breaks_a_provider() {
    let (_puppet, _device, mut core) = connected().await;
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!("\u{0}\u{202e}"),
        json!([[], {}]),
        json!({ "": { "a": [null] } }),
    ];
    let fields = [
        "call_id",
        "tool_key",
        "operation_id",
        "arguments",
        "encrypted_arguments",
        "timeout_seconds",
        "audit_context",
        "reason",
    ];

    for kind in
        ["tool.call.request", "tool.call.cancel", "endpoint.ready", "endpoint.error", "subscription.ack"]
    {
        for value in &odd {
            core.says(kind, value.clone()).await;
            for field in fields {
                let mut payload = json!({ "call_id": "odd", "tool_key": "t.none", "arguments": {} });
                payload[field] = value.clone();
                core.says(kind, payload).await;
            }
        }
    }

    assert_eq!(core.result_of("t.echo", json!({})).await, json!({}));
}

#[tokio::test]
async fn a_message_that_is_no_json_object_costs_the_connection_and_not_the_provider() {
    let (puppet, _device, mut core) = connected().await;
    let deep = "[".repeat(100_000);

    for text in ["{", "[1]", "\"x\"", "", deep.as_str()] {
        core.sends(Message::text(text)).await;
        assert_eq!(core.is_closed_with().await, 1007, "{:.20}", text);
        core = puppet.serves().await;
    }

    assert_eq!(core.result_of("t.echo", json!({})).await, json!({}));
}

#[tokio::test]
async fn a_message_that_is_too_large_costs_the_connection_and_not_the_provider() {
    let (puppet, _device, mut core) = connected().await;

    // The provider need not read it to the end, so it may not be sent to the end.
    let _ = core.tries(Message::text("x".repeat(4 * 1024 * 1024 + 1))).await;

    let mut core = puppet.serves().await;
    let text = "x".repeat(3_900_000);
    assert_eq!(core.result_of("t.echo", json!({ "text": text })).await["text"], text);
}

#[tokio::test]
async fn a_core_that_leaves_in_the_middle_of_anything_is_tried_again() {
    let puppet = Puppet::listen().await;
    let device = Device::start(&puppet.url(), TOKEN);

    drop(puppet.accepts().await);
    let mut core = puppet.accepts().await;
    core.hears("endpoint.hello").await;
    drop(core);
    let mut core = puppet.accepts().await;
    core.hears("endpoint.hello").await;
    core.accepts_hello(20).await;
    drop(core);
    let mut core = puppet.serves().await;
    core.calls("t.gated", json!({})).await;
    device.bench.begins().await;
    drop(core);
    device.bench.is_cut_off().await;

    assert_eq!(puppet.serves().await.result_of("t.echo", json!({})).await, json!({}));
}

#[tokio::test]
async fn a_flood_of_calls_is_answered_call_by_call() {
    let puppet = Puppet::listen().await;
    let _device = Device::start_with(&puppet.url(), TOKEN, |builder| builder.limits(room(1, 2)));
    let mut core = puppet.serves().await;
    let calls: u64 = 500;

    for _ in 0..calls {
        core.calls("t.gated", json!({})).await;
    }

    let mut busy = 0;
    while busy < calls - 3 {
        let frame = core.next().await.unwrap();
        if frame["type"] == "tool.call.error" {
            assert_eq!(code(&frame["payload"]), "busy");
            assert_eq!(frame["payload"]["error"]["retryable"], true);
            busy += 1;
        }
    }
}

#[tokio::test]
async fn a_queue_before_one_tool_takes_no_place_from_another() {
    let puppet = Puppet::listen().await;
    let device = Device::start_with(&puppet.url(), TOKEN, |builder| builder.limits(room(2, 8)));
    let mut core = puppet.serves().await;

    let first = core.calls("t.serial", json!({})).await;
    device.bench.begins().await;
    let second = core.calls("t.serial", json!({})).await;
    let third = core.calls("t.serial", json!({})).await;
    assert_eq!(core.result_of("t.echo", json!({})).await, json!({}));
    device.bench.nothing_more_begins();

    for call in [first, second, third] {
        device.bench.lets_one_end();
        assert_eq!(core.hears_the_end_of(&call).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn tools_that_misbehave_fail_their_call_only() {
    let (_puppet, _device, mut core) = connected().await;

    for (tool, code) in [
        ("t.panics", "tool_execution_failed"),
        ("t.text", "tool_execution_failed"),
        ("t.huge", "result_too_large"),
        ("t.none", "capability_not_found"),
    ] {
        assert_eq!(core.failure_of(tool, json!({})).await, code, "{tool}");
    }

    assert_eq!(core.result_of("t.echo", json!({})).await, json!({}));
}

#[tokio::test]
async fn an_operation_that_comes_again_is_told_and_not_done_again() {
    let (puppet, _device, mut core) = connected().await;

    let first = core.calls_for("op_a", "t.count", json!({ "n": 1 })).await;
    let told = core.hears_the_end_of(&first).await;
    let again = core.calls_for("op_a", "t.count", json!({ "n": 1 })).await;
    let told_again = core.hears_the_end_of(&again).await;
    let other = core.calls_for("op_a", "t.count", json!({ "n": 2 })).await;
    let refused = core.hears_the_end_of(&other).await;
    drop(core);
    let mut core = puppet.serves().await;
    let later = core.calls_for("op_a", "t.count", json!({ "n": 1 })).await;

    assert_eq!((&told["result"], &told_again["result"]), (&json!({ "count": 1 }), &json!({ "count": 1 })));
    assert_eq!(code(&refused), "operation_conflict");
    assert_eq!(core.hears_the_end_of(&later).await["result"], json!({ "count": 1 }));
}

#[tokio::test]
async fn an_operation_that_comes_again_while_it_runs_is_done_once_and_told_twice() {
    let (_puppet, device, mut core) = connected().await;

    let first = core.calls_for("op_a", "t.gated", json!({})).await;
    device.bench.begins().await;
    let second = core.calls_for("op_a", "t.gated", json!({})).await;
    let third = core.calls_for("op_a", "t.gated", json!({})).await;
    core.says("tool.call.cancel", json!({ "call_id": third })).await;
    assert_eq!(code(&core.hears_the_end_of(&third).await), "tool_call_cancelled");
    device.bench.lets_one_end();

    let mut ended = Vec::new();
    while ended.len() < 2 {
        let frame = core.next().await.unwrap();
        if frame["type"] == "tool.call.result" {
            ended.push(frame["payload"]["call_id"].as_str().unwrap().to_owned());
        }
    }
    assert!(ended.contains(&first) && ended.contains(&second), "{ended:?}");
    device.bench.nothing_more_begins();
}

#[tokio::test]
async fn a_call_id_that_comes_again_changes_nothing() {
    let (_puppet, device, mut core) = connected().await;
    let request = |operation: &str| json!({ "operation_id": operation, "call_id": "call_x", "tool_key": "t.gated", "arguments": {} });

    core.requests(request("op_a")).await;
    device.bench.begins().await;
    core.requests(request("op_b")).await;
    assert_eq!(core.result_of("t.echo", json!({})).await, json!({}));
    device.bench.nothing_more_begins();
    device.bench.lets_one_end();

    assert_eq!(core.hears_the_end_of("call_x").await["status"], "succeeded");
}

#[tokio::test]
async fn arguments_that_were_sealed_by_somebody_else_are_refused() {
    let (_puppet, _device, mut core) = connected().await;

    for sealed in [json!({ "alg": "none" }), json!({ "iv": 7, "ciphertext": [], "tag": null, "x": 1 })] {
        core.requests(json!({
            "call_id": "call_s", "tool_key": "t.echo", "arguments": { "a": 1 }, "encrypted_arguments": sealed,
        }))
        .await;

        assert_eq!(code(&core.hears_the_end_of("call_s").await), "credential_decrypt_failed");
    }
}

#[tokio::test]
async fn what_core_will_not_change_its_mind_about_ends_the_provider() {
    let unauthorized = json!({
        "schema": "meetyou.ws.v1", "kind": "error",
        "error": { "code": "unauthorized", "category": "runtime", "message": "no", "retryable": false },
    });
    let rejected = json!({
        "schema": SCHEMA, "type": "endpoint.hello.ack",
        "payload": { "accepted": false, "reject_reason": { "code": "endpoint_required", "message": "who?" } },
    });
    let protocol = json!({
        "schema": SCHEMA, "type": "endpoint.hello.ack",
        "payload": { "accepted": true, "protocol": { "selected_schema": SCHEMA, "selected_version": 5 } },
    });
    for (frame, wanted) in [
        (unauthorized, "provider_unauthorized"),
        (rejected, "provider_rejected"),
        (protocol, "provider_protocol"),
    ] {
        let puppet = Puppet::listen().await;
        let mut device = Device::start(&puppet.url(), TOKEN);
        let mut core = puppet.accepts().await;

        core.hears("endpoint.hello").await;
        core.sends(Message::text(frame.to_string())).await;

        assert_eq!(device.ends().await.unwrap_err().code(), wanted);
    }
}

#[tokio::test]
async fn a_complaint_instead_of_a_welcome_is_tried_again() {
    let puppet = Puppet::listen().await;
    let _device = Device::start(&puppet.url(), TOKEN);
    let mut core = puppet.accepts().await;

    core.hears("endpoint.hello").await;
    core.says("endpoint.error", json!({ "code": "endpoint_required", "message": "who?" })).await;

    assert_eq!(core.is_closed_with().await, 1001);
    puppet.serves().await;
}
