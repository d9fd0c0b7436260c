//! Channels whose grants say `ask`: the event waits for the owner, and comes again from the start.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/world.rs"]
mod world;

use berth_model::ApprovalId;
use berth_model::approval::ApprovalStatus;
use berth_model::channel::ChannelEventStatus;
use berth_model::operation::OperationStatus;
use berth_model::plugin::GrantMode;
use serde_json::{Value, json};
use support::host::new_grant;
use world::{Peer, World};

/// A channel that may open the door when the owner says so.
async fn asking() -> (World, Peer) {
    let world = World::with_channel().await;
    let door = new_grant("channel", "endpoint", json!({ "tools": ["rpi.door"] }), GrantMode::Ask);
    world.host.grant(door).await.unwrap();
    world.grant("channel", "websocket", json!({ "hosts": ["wss://chat.example"] })).await;
    // A new version: its start wishes the socket.
    world.install_version("channel", 2).await;
    let peer = world.network.peer().await;
    world.until_brought_in("opened feed").await;
    (world, peer)
}

async fn answer(world: &World, approval: ApprovalId, yes: bool) {
    world.core.decide_approval(approval, yes, "because".to_owned()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_needs_a_yes_waits_for_it_and_is_run_again_from_the_start() {
    let (world, peer) = asking().await;

    peer.says("ask").await;
    let approval = world.until_asked().await;
    world.until("it waits", async || world.events("channel").await.len() == 1).await;
    let waiting = world.events("channel").await.remove(0);
    assert_eq!(waiting.status, ChannelEventStatus::Pending);
    assert_eq!(waiting.error, format!("{} waits for an answer", approval.id));
    // The rest goes on, and the one instance with it.
    peer.says("beside").await;
    world.until_brought_in("frame beside").await;
    assert!(!world.brought_in().await.contains(&"frame ask".to_owned()));

    answer(&world, approval.id, true).await;

    world.until_brought_in("frame ask").await;
    world.until("it is over", async || world.events("channel").await.is_empty()).await;
    let operation = world.core.operation(approval.operation).await.unwrap();
    assert_eq!((operation.kind.as_str(), operation.status), ("channel_event", OperationStatus::Succeeded));
    // A yes for once is for this event: the next one asks again.
    peer.says("ask").await;
    assert_ne!(world.until_asked().await.id, approval.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_question_got_a_no_is_denied_and_parked() {
    let (world, peer) = asking().await;
    peer.says("ask").await;
    let approval = world.until_asked().await;
    world.until("it waits", async || world.events("channel").await.len() == 1).await;

    answer(&world, approval.id, false).await;

    world
        .until("it is parked", async || {
            world.events("channel").await.iter().any(|event| event.status == ChannelEventStatus::Parked)
        })
        .await;
    let parked = world.events("channel").await.remove(0);
    assert!(parked.error.starts_with("PERMISSION_DENIED: "), "{}", parked.error);
    assert!(parked.error.contains("the owner said no: because"), "{}", parked.error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_needs_a_yes_is_kept_and_its_provider_need_not_come_again() {
    let (world, _peer) = asking().await;

    let kept = world.post("channel", json!({ "do": "ask" })).await.unwrap();

    assert_eq!((kept.status, kept.body.as_slice()), (202, b"laid aside".as_slice()));
    let approval = world.until_asked().await;
    answer(&world, approval.id, true).await;
    world.until("it is over", async || world.events("channel").await.is_empty()).await;
    let operation = world.core.operation(approval.operation).await.unwrap();
    assert_eq!(operation.status, OperationStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_that_needs_a_yes_waits_for_it() {
    let (world, _peer) = asking().await;

    world.writes("m1", "please ask").await;
    world.until_state("please ask", "waiting").await;
    let approval = world.until_asked().await;
    answer(&world, approval.id, true).await;

    world.until_state("please ask", "delivered").await;
    let sent = world.printed("channel").into_iter().filter(|line| line.starts_with("sent ada"));
    assert_eq!(sent.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guest_is_told_which_question_is_open() {
    let (world, _peer) = asking().await;

    let told: Value = world.told(json!({ "do": "ask-and-tell" })).await;

    let details: Value = serde_json::from_str(told["details"].as_str().unwrap()).unwrap();
    assert_eq!((&told["code"], &told["retryable"]), (&json!("PERMISSION_DENIED"), &json!(true)));
    assert_eq!(details["capability"], "endpoint");
    // It went on without a yes: the question is over with the request.
    let id: ApprovalId = details["approval_id"].as_str().unwrap().parse().unwrap();
    assert_eq!(world.core.approval(id).await.unwrap().status, ApprovalStatus::Expired);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_when_the_host_stopped_asks_anew() {
    let (world, peer) = asking().await;
    peer.says("ask").await;
    let first = world.until_asked().await;
    world.until("it waits", async || world.events("channel").await.len() == 1).await;

    let world = world.restart().await;

    let again = world.until_asked().await;
    assert_ne!(again.id, first.id);
    answer(&world, again.id, true).await;
    world.until_brought_in("frame ask").await;
}
