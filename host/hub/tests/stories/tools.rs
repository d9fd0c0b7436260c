//! Calls at endpoints.

use berth_core::CoreError;
use berth_core::operations::Finished;
use berth_model::operation::OperationStatus;
use berth_model::tool::ToolFailure;
use berth_testkit::tidy;
use serde_json::json;

use crate::support::Berth;

fn add() -> serde_json::Value {
    json!([{ "tool_key": "math.add", "risk_level": "read", "input_schema": { "type": "object" } }])
}

fn failure(finished: Result<Finished, CoreError>) -> ToolFailure {
    match finished {
        Ok(finished) => finished.outcome.unwrap_err(),
        Err(CoreError::Tool(failure)) => failure,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_call_goes_out_and_its_steps_and_result_come_back() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge.lab1.executor", add()).await;

    let work = berth.call("math.add", None, json!({ "left": 2, "right": 3 }));
    let request = edge.hears("tool.call.request").await;
    let call = request["payload"]["call_id"].as_str().unwrap().to_owned();
    edge.say("tool.call.accepted", json!({ "call_id": call, "accepted": true })).await;
    edge.say("tool.call.progress", json!({ "call_id": call, "phase": "running", "detail": "adding" })).await;
    edge.answers(&call, json!({ "summary": "2 + 3 = 5", "result": 5 })).await;

    let finished = work.await.unwrap().unwrap();
    assert_eq!(finished.outcome.unwrap().content, json!({ "summary": "2 + 3 = 5", "result": 5 }));
    assert_eq!(finished.operation.status, OperationStatus::Succeeded);
    edge.hears_nothing_more().await;
    insta::assert_snapshot!(tidy(&request), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"tool.call.request","message_id":"dispatch-call_1","endpoint_id":"edge.lab1.executor","payload":{"operation_id":"op_1","call_id":"call_1","workspace_id":"home-lab","tool_key":"math.add","capability_id":"endpoint.edge.lab1.executor.math.add","arguments":{"left":2,"right":3},"encrypted_arguments":null,"timeout_seconds":120,"audit_context":{"requested_by_actor_id":"user:self","requested_by_run_id":"","execution_target_id":"edge.lab1.executor"}}}"#);
}

#[tokio::test]
async fn v19_steps_of_calls_that_do_not_exist_are_ignored() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge", add()).await;

    for payload in
        [json!({ "call_id": "call_00000000000000000000000000000099" }), json!({ "call_id": "x" }), json!({})]
    {
        for kind in [
            "tool.call.accepted",
            "tool.call.progress",
            "tool.call.result",
            "tool.call.error",
            "tool.call.cancel",
        ] {
            edge.say(kind, payload.clone()).await;
        }
    }

    edge.hears_nothing_more().await;
}

#[tokio::test]
async fn v27_of_two_sockets_exactly_one_gets_the_call() {
    let berth = Berth::start().await;
    let mut first = berth.provider("edge", add()).await;
    let mut second = berth.provider("edge", add()).await;
    let mut chat = berth.surface("edge").await;

    let work = berth.call("math.add", None, json!({}));
    let call = second.takes_call().await;
    first.answers(&call, json!({ "from": "first" })).await;
    first.hears_nothing_more().await;
    second.answers(&call, json!({ "from": "second" })).await;

    assert_eq!(work.await.unwrap().unwrap().outcome.unwrap().content, json!({ "from": "second" }));
    chat.hears_nothing_more().await;
}

#[tokio::test]
async fn v28_a_result_that_is_a_text_succeeds_with_an_empty_object() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge", add()).await;

    let work = berth.call("math.add", Some("edge"), json!({}));
    let call = edge.takes_call().await;
    edge.answers(&call, json!("text")).await;

    assert_eq!(work.await.unwrap().unwrap().outcome.unwrap().content, json!({}));
}

#[tokio::test]
async fn v29_a_provider_may_cancel_with_a_reason() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge", add()).await;

    let work = berth.call("math.add", Some("edge"), json!({}));
    let call = edge.takes_call().await;
    edge.say("tool.call.cancel", json!({ "call_id": call, "reason": "user" })).await;

    let finished = work.await.unwrap().unwrap();
    assert_eq!(finished.operation.status, OperationStatus::Cancelled);
    let failure = finished.outcome.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("endpoint_tool_cancelled", "user"));
}

#[tokio::test]
async fn v30_an_endpoint_that_offers_nothing_any_more_is_no_target() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge", add()).await;

    edge.say("endpoint.capabilities.snapshot", json!({ "capabilities": [] })).await;
    edge.hears("endpoint.ready").await;

    let failure = failure(berth.call("math.add", None, json!({})).await.unwrap());
    assert_eq!((failure.code.as_str(), failure.retryable), ("execution_target_unavailable", true));
}

#[tokio::test]
async fn a_providers_own_error_is_told_as_it_is() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge", add()).await;

    let work = berth.call("math.add", None, json!({}));
    let call = edge.takes_call().await;
    let error = json!({ "code": "gpio_pin_not_allowed", "message": "pin 4", "retryable": false, "details": { "pin": 4 } });
    edge.say("tool.call.error", json!({ "call_id": call, "status": "failed", "error": error })).await;
    edge.answers(&call, json!({ "late": true })).await;

    let finished = work.await.unwrap().unwrap();
    assert_eq!(finished.operation.status, OperationStatus::Failed);
    let failure = finished.outcome.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.details), ("gpio_pin_not_allowed", json!({ "pin": 4 })));
    edge.hears_nothing_more().await;
}

#[tokio::test]
async fn every_call_has_an_operation_of_its_own() {
    let berth = Berth::start().await;
    let mut pi = berth.provider("pi", add()).await;

    let mut operations = Vec::new();
    for _ in 0..2 {
        let work = berth.call("math.add", None, json!({}));
        let request = pi.hears("tool.call.request").await;
        pi.answers(request["payload"]["call_id"].as_str().unwrap(), json!({})).await;
        work.await.unwrap().unwrap();
        operations.push(request["payload"]["operation_id"].clone());
    }

    assert_ne!(operations[0], operations[1]);
}

#[tokio::test]
async fn a_peer_that_dies_during_a_call_fails_it_at_once() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge", add()).await;
    let mut other = berth.surface("edge").await;

    let work = berth.call("math.add", None, json!({}));
    edge.takes_call().await;
    drop(edge);

    let failure = failure(work.await.unwrap());
    assert_eq!((failure.code.as_str(), failure.retryable), ("endpoint_disconnected", true));
    other.hears_nothing_more().await;
    assert!(berth.is_connected("edge"));
}

#[tokio::test]
async fn a_reconnected_provider_takes_calls_again() {
    let berth = Berth::start().await;
    drop(berth.provider("edge", add()).await);
    let mut edge = berth.provider("edge", add()).await;

    let work = berth.call("math.add", None, json!({}));
    let call = edge.takes_call().await;
    edge.answers(&call, json!({ "again": true })).await;

    assert_eq!(work.await.unwrap().unwrap().outcome.unwrap().content, json!({ "again": true }));
}

#[tokio::test]
async fn a_stopped_run_cancels_the_call_at_the_provider() {
    let berth = Berth::start().await;
    let mut edge = berth.provider("edge", add()).await;
    let thread = berth.thread().await;
    let tools = berth.core.tools(&berth_model::WorkspaceId::fixed("home-lab")).await.unwrap();
    let name = tools.iter().find(|tool| tool.key.as_str() == "math.add").unwrap().name.clone();

    let run = berth.message(thread, &format!("/call {name} {{}}")).await;
    let call = edge.takes_call().await;
    assert!(berth.core.stop_run(run).await.unwrap());
    let cancel = edge.hears("tool.call.cancel").await;
    edge.say(
        "tool.call.error",
        json!({ "call_id": call, "error": { "code": "tool_call_cancelled", "message": "off" } }),
    )
    .await;

    assert_eq!(cancel["payload"]["call_id"], call);
    edge.hears_nothing_more().await;
}
