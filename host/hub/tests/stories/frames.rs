//! What is no frame, or no frame to Core.

use berth_proto::SCHEMA;
use berth_testkit::tidy;
use futures::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Berth, End};

#[tokio::test]
async fn v05_json_that_is_no_object_is_refused_and_the_socket_stays() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    for text in ["[1]", "\"x\"", "null", "3"] {
        client.send(text).await;
        let error = client.hears_error("invalid_payload").await;
        assert_eq!(error["correlation_id"], "", "{text}");
    }

    client.hears_nothing_more().await;
}

#[tokio::test]
async fn v06_an_object_without_the_schema_is_refused() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client.send(r#"{"type":"endpoint.hello","message_id":"m1"}"#).await;

    insta::assert_snapshot!(tidy(&client.hears_any().await), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"endpoint.error","endpoint_id":"","correlation_id":"","payload":{"code":"invalid_schema","message":"the schema is not meetyou.endpoint.ws.v4"}}"#);
}

#[tokio::test]
async fn v07_an_unknown_type_is_refused_by_name() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client.say("foo.bar", json!({})).await;

    insta::assert_snapshot!(tidy(&client.hears_any().await), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"endpoint.error","endpoint_id":"","correlation_id":"m1","payload":{"code":"unsupported_frame","message":"there is no frame `foo.bar` to Core"}}"#);
}

#[tokio::test]
async fn v26_a_frame_above_16_mib_closes_with_1009_and_one_below_is_handled() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;
    let heartbeat = |bytes: usize| {
        json!({ "schema": SCHEMA, "type": "endpoint.heartbeat", "payload": {}, "filler": "x".repeat(bytes) })
            .to_string()
    };

    client.send(heartbeat(15 << 20)).await;
    client.hears_nothing_more().await;
    client.send(heartbeat(17 << 20)).await;

    assert_eq!(client.hears_the_end().await, End::Closed(1009));
    assert!(!berth.is_connected("edge"));
}

#[tokio::test]
async fn a_binary_frame_closes_with_1003() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();

    client.hears_error("invalid_json").await;
    assert_eq!(client.hears_the_end().await, End::Closed(1003));
}

#[tokio::test]
async fn a_text_that_is_no_json_closes_with_1007() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client.send("hello?").await;

    client.hears_error("invalid_json").await;
    assert_eq!(client.hears_the_end().await, End::Closed(1007));
}

#[tokio::test]
async fn json_as_deep_as_a_stack_is_refused_like_any_other_nonsense() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client.send(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))).await;

    client.hears_error("invalid_json").await;
    assert_eq!(client.hears_the_end().await, End::Closed(1007));
}

#[tokio::test]
async fn fields_of_the_wrong_type_break_nothing() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;

    for kind in [
        "endpoint.heartbeat",
        "endpoint.ready",
        "endpoint.capabilities.snapshot",
        "endpoint.addresses.snapshot",
        "endpoint.address.upsert",
        "endpoint.address.delete",
        "subscription.start",
        "subscription.update",
        "subscription.stop",
        "delivery.result",
        "delivery.error",
        "tool.call.accepted",
        "tool.call.progress",
        "tool.call.result",
        "tool.call.error",
        "tool.call.cancel",
        "endpoint.hello",
    ] {
        for odd in
            [json!(null), json!([]), json!({ "a": [1] }), json!(1e300), json!("\u{0}\u{1}"), json!(true)]
        {
            let keys = [
                "endpoint_id",
                "status",
                "metrics",
                "capabilities",
                "addresses",
                "address",
                "address_id",
                "target_type",
                "target_id",
                "subscription_id",
                "last_seen_event_seq",
                "replay",
                "delivery_id",
                "error",
                "call_id",
                "result",
                "protocol",
                "provider",
                "endpoints",
                "detail",
                "phase",
                "reason",
            ];
            let payload: serde_json::Map<String, Value> =
                keys.iter().map(|key| ((*key).to_owned(), odd.clone())).collect();
            client.say(kind, payload.into()).await;
        }
    }

    client.say("probe", json!({})).await;
    let last = client.hears_until(|frame| frame["payload"]["code"] == "unsupported_frame").await;
    assert_eq!(last["correlation_id"], "m104");
    assert!(berth.is_connected("edge"));
}

#[tokio::test]
async fn before_hello_only_subscriptions_are_carried_out() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    for kind in [
        "endpoint.capabilities.snapshot",
        "endpoint.addresses.snapshot",
        "endpoint.address.delete",
        "delivery.result",
    ] {
        client.say(kind, json!({})).await;
        client.hears_error("hello_required").await;
    }
    client.follows("thread", "thr_x", None).await;
}
