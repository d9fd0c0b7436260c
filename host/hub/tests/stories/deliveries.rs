//! Deliveries to endpoints and addresses, and what becomes of them.

use berth_model::delivery::DeliveryStatus;
use berth_model::{AddressId, EndpointId};
use berth_testkit::tidy;
use serde_json::{Value, json};

use crate::support::{Berth, End};

const EDGE: &str = "edge";

async fn notice(berth: &Berth, content: &str) -> DeliveryStatus {
    let payload = json!({ "content": content });
    berth.core.deliver(EndpointId::fixed(EDGE), None, "notice", payload).await.unwrap().status
}

async fn known_address(berth: &Berth, item: Value) -> AddressId {
    let mut client = berth.surface(EDGE).await;
    client.say("endpoint.address.upsert", item).await;
    let ack = client.hears("endpoint.addresses.ack").await;
    client.say("endpoint.goodbye", json!({})).await;
    assert_eq!(client.hears_the_end().await, End::Closed(1000));
    AddressId::new(ack["payload"]["addresses"][0]["address_id"].as_str().unwrap()).unwrap()
}

async fn send(berth: &Berth, address: &AddressId) -> DeliveryStatus {
    let payload = json!({ "message_id": "msg_9", "role": "assistant", "content": "**Good** morning" });
    let sent = berth.core.deliver(EndpointId::fixed(EDGE), Some(address.clone()), "message", payload).await;
    sent.unwrap().status
}

#[tokio::test]
async fn a_delivery_for_an_address_names_it_and_its_result_settles_it() {
    let berth = Berth::start().await;
    let address = known_address(&berth, json!({ "external_ref": "wx1", "supports_markdown": false })).await;
    let mut client = berth.surface(EDGE).await;

    assert_eq!(send(&berth, &address).await, DeliveryStatus::Dispatched);
    let frame = client.hears("delivery.message").await;
    client.say("delivery.result", json!({ "delivery_id": frame["delivery_id"], "status": "Sent" })).await;
    let ack = client.hears("delivery.result.ack").await;

    insta::assert_snapshot!(format!("{}\n{}", tidy(&frame), tidy(&ack)), @r#"
    {"schema":"meetyou.endpoint.ws.v4","type":"delivery.message","target_endpoint_id":"edge","delivery_id":"delivery_1","payload":{"message_id":"msg_9","role":"assistant","content":"Good morning","target_address_id":"addr.edge.direct.wx1","target_provider_type":"edge","target_address_type":"direct","target_external_ref":"wx1","delivery_id":"delivery_1"}}
    {"schema":"meetyou.endpoint.ws.v4","type":"delivery.result.ack","endpoint_id":"edge","correlation_id":"m2","payload":{"ok":true,"status":"delivered","delivery_id":"delivery_1","attempt_status":"delivered"}}
    "#);
}

#[tokio::test]
async fn v20_results_of_deliveries_that_do_not_exist_are_said_to_be_so() {
    let berth = Berth::start().await;
    let mut client = berth.surface(EDGE).await;

    for id in ["delivery_00000000000000000000000000000099", "x"] {
        client.say("delivery.result", json!({ "delivery_id": id })).await;
        let ack = client.hears("delivery.result.ack").await;
        assert_eq!(ack["payload"], json!({ "ok": false, "reason": "delivery_not_found", "delivery_id": id }));
    }
    client.say("delivery.error", json!({})).await;

    client.hears_error("delivery_id_required").await;
}

#[tokio::test]
async fn a_failed_delivery_comes_again_under_its_own_id() {
    let berth = Berth::start().await;
    let address = known_address(&berth, json!({ "external_ref": "u1" })).await;
    let mut client = berth.surface(EDGE).await;
    send(&berth, &address).await;
    let first = client.hears("delivery.message").await;

    client
        .say(
            "delivery.error",
            json!({ "delivery_id": first["delivery_id"], "error": { "message": "flood" } }),
        )
        .await;
    let ack = client.hears("delivery.result.ack").await;
    client.say("endpoint.heartbeat", json!({})).await;
    client.hears_nothing_more().await;
    berth.clock.advance(3);
    client.say("endpoint.heartbeat", json!({})).await;
    let second = client.hears("delivery.message").await;

    assert_eq!((&ack["payload"]["status"], &ack["payload"]["queued"]), (&json!("retry"), &json!(true)));
    assert_eq!(first["delivery_id"], second["delivery_id"]);
}

#[tokio::test]
async fn what_an_absent_endpoint_missed_it_gets_after_hello_in_order() {
    let berth = Berth::start().await;
    drop(berth.surface(EDGE).await);
    let mut pi = berth.surface("pi").await;
    while berth.is_connected(EDGE) {
        pi.hears_nothing_more().await;
    }

    assert_eq!(notice(&berth, "one").await, DeliveryStatus::Queued);
    assert_eq!(notice(&berth, "two").await, DeliveryStatus::Queued);
    let mut client = berth.surface(EDGE).await;

    assert_eq!(client.hears("delivery.notice").await["payload"]["content"], "one");
    assert_eq!(client.hears("delivery.notice").await["payload"]["content"], "two");
    client.hears_nothing_more().await;
    pi.hears_nothing_more().await;
}

#[tokio::test]
async fn a_delivery_with_only_foreign_chats_open_waits_for_the_channel() {
    let berth = Berth::start().await;
    let address = known_address(&berth, json!({ "external_ref": "u1" })).await;
    let mut chat = berth.surface(EDGE).await;
    chat.follows("thread", &berth.thread().await.to_string(), None).await;

    assert_eq!(send(&berth, &address).await, DeliveryStatus::Retry);
    chat.hears_nothing_more().await;
    berth.clock.advance(3);
    let mut channel = berth.surface(EDGE).await;

    channel.hears("delivery.message").await;
    chat.hears_nothing_more().await;
}

#[tokio::test]
async fn a_notice_reaches_one_of_two_sockets() {
    let berth = Berth::start().await;
    let mut channel = berth.surface(EDGE).await;
    let mut chat = berth.surface(EDGE).await;
    chat.follows("thread", &berth.thread().await.to_string(), None).await;

    assert_eq!(notice(&berth, "once").await, DeliveryStatus::Sent);

    channel.hears("delivery.notice").await;
    channel.hears_nothing_more().await;
    chat.hears_nothing_more().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed_and_what_it_missed_is_kept() {
    let berth = Berth::start().await;
    let mut client = berth.surface(EDGE).await;
    let big = "x".repeat(3_000_000);

    let mut sent = 0;
    while notice(&berth, &big).await == DeliveryStatus::Sent {
        sent += 1;
        assert!(sent < 100, "the queue has no end");
    }

    assert_eq!(client.hears_the_end().await, End::Closed(1013));
    berth.clock.advance(10);
    let mut again = berth.surface(EDGE).await;
    again.hears("delivery.notice").await;
}

#[tokio::test]
async fn a_delivery_that_no_frame_can_carry_is_refused() {
    let berth = Berth::start().await;
    let _client = berth.surface(EDGE).await;

    let payload = json!({ "content": "x".repeat(4_000_000) });
    let refused = berth.core.deliver(EndpointId::fixed(EDGE), None, "notice", payload).await;

    assert_eq!(refused.unwrap_err().code(), "delivery_too_large");
}
