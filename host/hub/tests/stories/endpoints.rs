//! Capabilities, heartbeats, addresses.

use berth_model::{EndpointId, WorkspaceId};
use berth_testkit::tidy;
use serde_json::{Value, json};

use crate::support::Berth;

async fn keys(berth: &Berth, endpoint: &str) -> Vec<(String, String)> {
    let views = berth.core.endpoints_of_workspace(&WorkspaceId::fixed("home-lab")).await.unwrap();
    let view = views.into_iter().find(|view| view.endpoint.id == EndpointId::new(endpoint).unwrap()).unwrap();
    view.capabilities.into_iter().map(|tool| (tool.tool_key.to_string(), tool.capability_id)).collect()
}

#[tokio::test]
async fn v13_a_snapshot_counts_what_has_a_key_and_keeps_ids_that_are_ids() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge.lab1").await;

    client
        .say(
            "endpoint.capabilities.snapshot",
            json!({ "endpoint_id": "edge.lab1", "revision": 1, "capabilities": [
                { "tool_key": "a.b" }, { "name": "c.d", "schema": { "type": "object" } }, {}, 7,
                { "tool_key": "e", "capability_id": "weird" },
            ] }),
        )
        .await;

    insta::assert_snapshot!(tidy(&client.hears_any().await), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"endpoint.ready","endpoint_id":"edge.lab1","correlation_id":"m2","payload":{"registered_capability_count":3}}"#);
    let pair = |key: &str| (key.to_owned(), format!("endpoint.edge.lab1.{key}"));
    assert_eq!(keys(&berth, "edge.lab1").await, [pair("a.b"), pair("c.d"), pair("e")]);
}

#[tokio::test]
async fn a_snapshot_replaces_the_one_before() {
    let berth = Berth::start().await;
    let mut client = berth.provider("edge", json!([{ "tool_key": "a" }, { "tool_key": "b" }])).await;

    client
        .say(
            "endpoint.capabilities.snapshot",
            json!({ "capabilities": [{ "tool_key": "b" }, { "tool_key": "b" }] }),
        )
        .await;

    let ready = client.hears("endpoint.ready").await;
    assert_eq!(ready["payload"]["registered_capability_count"], 2, "duplicates count");
    assert_eq!(keys(&berth, "edge").await, [("b".to_owned(), "endpoint.edge.b".to_owned())]);
}

#[tokio::test]
async fn v14_a_snapshot_for_an_endpoint_of_somebody_else_is_refused() {
    let berth = Berth::start().await;
    let _owner = berth.provider("pi", json!([{ "tool_key": "gpio.write" }])).await;
    let mut client = berth.surface("edge").await;

    for endpoint in ["nowhere", "pi"] {
        client
            .say("endpoint.capabilities.snapshot", json!({ "endpoint_id": endpoint, "capabilities": [] }))
            .await;
        client.hears_error("endpoint_not_found").await;
    }

    assert_eq!(keys(&berth, "pi").await.len(), 1);
}

#[tokio::test]
async fn too_many_tools_are_refused_as_a_whole() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;
    let tools: Vec<Value> = (0..2001).map(|number| json!({ "tool_key": format!("t{number}") })).collect();

    client.say("endpoint.capabilities.snapshot", json!({ "capabilities": tools })).await;

    client.hears_error("too_many_capabilities").await;
    assert_eq!(keys(&berth, "edge").await, []);
}

#[tokio::test]
async fn v15_nothing_answers_a_heartbeat_before_or_after_hello() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;
    client.say("endpoint.heartbeat", json!({ "endpoint_id": "edge" })).await;
    client.hears_nothing_more().await;

    let mut client = berth.surface("edge").await;
    client.say("endpoint.heartbeat", json!({ "status": "ready", "metrics": { "active_calls": 2 } })).await;
    client.say("endpoint.ready", json!({})).await;
    client.hears_nothing_more().await;

    let endpoint = berth.core.endpoint(&EndpointId::fixed("edge")).await.unwrap();
    assert_eq!(endpoint.status, "ready");
    assert_eq!(endpoint.metadata["heartbeat_metrics"], json!({ "active_calls": 2 }));
}

#[tokio::test]
async fn v21_an_address_gets_its_id_and_type_and_defaults() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;

    client
        .say(
            "endpoint.addresses.snapshot",
            json!({ "addresses": [{ "external_ref": "u1", "address_type": "p2p" }, 3, {}] }),
        )
        .await;

    insta::assert_snapshot!(tidy(&client.hears_any().await), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"endpoint.addresses.ack","endpoint_id":"edge","correlation_id":"m2","payload":{"count":1,"addresses":[{"address_id":"addr.edge.direct.u1","provider_type":"edge","address_type":"direct","external_ref":"u1","display_name":"u1","workspace_ids":["home-lab"],"status":"sendable","capabilities":["receive_message"],"supports_markdown":true,"metadata":{"supports_markdown":true},"last_seen_at":"<time>","last_verified_at":"<time>"}]}}"#);
}

#[tokio::test]
async fn v22_an_address_is_known_by_its_channels_words() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;

    client
        .say("endpoint.address.upsert", json!({ "chat_id": "g1", "chat_type": "group_chat", "name": "G" }))
        .await;

    let ack = client.hears("endpoint.addresses.ack").await;
    let address = &ack["payload"]["addresses"][0];
    assert_eq!((&address["address_type"], &address["display_name"]), (&json!("group"), &json!("G")));
}

#[tokio::test]
async fn v23_an_address_is_deleted_once_it_is_known_and_only_by_its_owner() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;
    client.say("endpoint.address.upsert", json!({ "external_ref": "u1" })).await;
    client.hears("endpoint.addresses.ack").await;
    let mut other = berth.surface("pi").await;

    other.say("endpoint.address.delete", json!({ "address_id": "addr.edge.direct.u1" })).await;
    let foreign = other.hears("endpoint.address.delete.ack").await;
    client.say("endpoint.address.delete", json!({ "address_id": "addr.edge.direct.u1" })).await;
    let own = client.hears("endpoint.address.delete.ack").await;
    client.say("endpoint.address.delete", json!({ "address_id": "addr.nobody" })).await;
    let unknown = client.hears("endpoint.address.delete.ack").await;

    assert_eq!(foreign["payload"]["deleted"], false);
    assert_eq!(own["payload"], json!({ "address_id": "addr.edge.direct.u1", "deleted": true }));
    assert_eq!(unknown["payload"]["deleted"], false);
}

#[tokio::test]
async fn an_address_of_another_endpoint_is_not_taken_over() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;
    client.say("endpoint.address.upsert", json!({ "address_id": "addr.x", "external_ref": "u1" })).await;
    client.hears("endpoint.addresses.ack").await;
    let mut other = berth.surface("pi").await;

    other.say("endpoint.address.upsert", json!({ "address_id": "addr.x", "external_ref": "u2" })).await;

    other.hears_error("address_of_another_endpoint").await;
}
