//! The sockets of channels: kept by the host, at no cost of an instance.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use berth_model::channel::ChannelEventStatus;
use berth_wasm::actor::wire::Heard;
use serde_json::json;
use world::{Peer, World};

/// A channel with its socket open.
async fn connected() -> (World, Peer) {
    let world = World::start().await;
    world.install("channel").await;
    world.grant("channel", "endpoint", json!({ "tools": ["rpi.gate"] })).await;
    world.grant("channel", "websocket", json!({ "hosts": ["wss://chat.example"] })).await;
    world.grant("channel", "channel", json!({})).await;
    let peer = world.network.peer().await;
    world.until_brought_in("opened feed").await;
    (world, peer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_come_as_events_and_answers_go_back_on_the_same_socket() {
    let (world, mut peer) = connected().await;
    assert_eq!(peer.url, "wss://chat.example/feed");

    peer.says("hello").await;
    peer.says("echo").await;

    world.until_brought_in("frame hello").await;
    assert_eq!(peer.hears.recv().await.unwrap(), "echo");
    peer.says("hang up").await;
    assert_eq!(peer.hears.recv().await.unwrap(), "close 1000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_socket_needs_no_instance_and_a_frame_makes_one() {
    let (world, peer) = connected().await;
    // Whatever it was told before is over.
    world.told(json!({ "do": "asked" })).await;
    world.clock.advance(Duration::from_secs(31));
    world.until("the instance is gone", async || world.view("channel").unwrap().residents == 0).await;

    peer.says("wake up").await;

    world.until_brought_in("frame wake up").await;
    assert_eq!(world.view("channel").unwrap().residents, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_asked_and_then_left_and_the_socket_is_opened_again() {
    let (world, mut peer) = connected().await;

    world.until_asleep_for(Duration::from_secs(30)).await;
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(peer.hears.recv().await.unwrap(), "ping");
    peer.say.send(Ok(Heard::Alive)).await.unwrap();
    world.until_asleep_for(Duration::from_secs(30)).await;
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(peer.hears.recv().await.unwrap(), "ping");
    world.until_asleep_for(Duration::from_secs(44)).await;
    world.clock.advance(Duration::from_secs(44));

    world.until_brought_in("closed feed 1006 the peer is silent").await;
    world.until("it waits", async || world.sleeps_within(Duration::from_secs(2))).await;
    world.clock.advance(Duration::from_secs(2));
    let again = world.network.peer().await;
    again.says("back").await;
    world.until_brought_in("frame back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_does_not_open_is_tried_again_ever_later() {
    let (world, peer) = connected().await;
    world.network.fail(2);
    drop(peer);

    world.until_brought_in("closed feed 1006 the connection broke off").await;
    // 1 s, then 2 s, then 4 s, and up to a quarter more.
    for wait in [2, 3, 6] {
        assert!(!world.network.has_peer());
        world.until("it waits", async || world.sleeps_within(Duration::from_secs(wait))).await;
        world.clock.advance(Duration::from_secs(wait));
    }

    world.network.peer().await.says("at last").await;
    world.until_brought_in("frame at last").await;
    assert_eq!(world.brought_in().await.iter().filter(|text| text.contains("nobody is there")).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_socket_is_closed_at_once_and_opened_with_the_next_grant() {
    let world = World::start().await;
    world.install("channel").await;
    let grant = world.grant("channel", "websocket", json!({ "hosts": ["wss://chat.example"] })).await;
    world.grant("channel", "channel", json!({})).await;
    let mut peer = world.network.peer().await;

    world.host.revoke(grant).await.unwrap();

    assert_eq!(peer.hears.recv().await.unwrap(), "close 1008");
    world.until_brought_in("closed feed 1008 the grant is gone").await;
    let denied =
        world.post("channel", json!({ "do": "connect", "name": "x", "url": "wss://chat.example/x" }));
    let told: serde_json::Value = serde_json::from_slice(&denied.await.unwrap().body).unwrap();
    assert_eq!(told["code"], "PERMISSION_DENIED");
    world.grant("channel", "websocket", json!({ "hosts": ["wss://chat.example"] })).await;
    assert_eq!(world.network.peer().await.url, "wss://chat.example/feed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_socket_leads_where_no_grant_does() {
    let (world, _peer) = connected().await;
    for url in ["wss://evil.example/x", "ws://chat.example/x", "wss:/chat.example", ""] {
        let asked = json!({ "do": "connect", "name": "x", "url": url });
        let refused = world.post("channel", asked).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(told["code"], "PERMISSION_DENIED", "{url}: {told}");
    }
    assert!(!world.network.has_peer());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_stops_while_the_mailbox_is_full_and_no_frame_is_lost() {
    let (world, peer) = connected().await;
    peer.says("wait").await;
    world.until_held().await;

    // One is at the guest, 64 fill the mailbox, and the next one stays with the peer.
    for number in 0..64 {
        peer.says(&number.to_string()).await;
    }
    world.until("all are read", async || peer.say.capacity() == 1).await;
    peer.says("64").await;
    assert!(peer.say.try_send(Ok(Heard::Alive)).is_err(), "nothing holds the peer back");
    assert_eq!(world.view("channel").unwrap().waiting, 64);

    world.let_go(1);

    peer.says("last").await;
    world.until_brought_in("frame last").await;
    let mut frames = world.brought_in().await;
    frames.retain(|text| text.starts_with("frame "));
    let wanted = std::iter::once("wait".to_owned())
        .chain((0..=64).map(|number| number.to_string()))
        .chain(["last".to_owned()]);
    assert_eq!(frames, wanted.map(|text| format!("frame {text}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_reads_nothing_fills_the_queue_and_the_guest_hears_of_it() {
    let (world, _peer) = connected().await;
    let url = "wss://chat.example/second";
    let socket = world.told(json!({ "do": "connect", "name": "second", "url": url })).await["socket"].clone();
    let silent = world.network.peer().await;
    assert_eq!(silent.url, url);

    let mut code = json!(null);
    for _ in 0..100 {
        let asked = json!({ "do": "send", "socket": socket, "text": "x" });
        let answer = world.post("channel", asked).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        if answer.status != 200 {
            code = told["code"].clone();
            break;
        }
    }

    assert_eq!(code, "SOCKET_BUSY");
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_guest_refuses_is_parked_what_it_puts_off_comes_again_and_poison_is_parked_too() {
    let (world, peer) = connected().await;
    for text in ["refuse", "later", "poison", "fine"] {
        peer.says(text).await;
    }
    world.until_restarted(2).await;
    world.until_brought_in("frame fine").await;
    assert!(!world.brought_in().await.contains(&"frame later".to_owned()));
    world.clock.advance(Duration::from_secs(6));
    world.until_brought_in("frame later").await;

    // The one that was put off is done with.
    world.until("two are parked", async || world.events("channel").await.len() == 2).await;
    let parked = world.events("channel").await;
    let errors: Vec<_> = parked.iter().map(|event| event.error.split(':').next().unwrap()).collect();
    assert_eq!(errors, ["REFUSED", "PLUGIN_TRAP"]);
    assert!(parked.iter().all(|event| event.status == ChannelEventStatus::Parked));
    // The operator has it handed over again: the guest refuses it as before.
    let id = berth_model::PluginId::fixed("channel");
    let again = world.channels.retry_event(&id, &parked[0].id).await.unwrap();
    assert_eq!((again.status, again.attempts), (ChannelEventStatus::Pending, 0));
    world
        .until("it is parked again", async || {
            let event = world.events("channel").await.into_iter().find(|event| event.id == parked[0].id);
            event.is_some_and(|event| event.status == ChannelEventStatus::Parked)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limits_of_a_grant_bound_sockets_and_frames() {
    let world = World::start().await;
    world.install("channel").await;
    let limit = json!({ "concurrent": 1, "per_minute": 2, "max_frame_bytes": 5 });
    world.grant_within("channel", "websocket", json!({ "hosts": ["wss://chat.example"] }), limit).await;
    world.grant("channel", "channel", json!({})).await;
    let mut peer = world.network.peer().await;
    world.until_brought_in("opened feed").await;

    let connect = json!({ "do": "connect", "name": "other", "url": "wss://chat.example/x" });
    let send = |text: &str| json!({ "do": "send", "socket": 1, "text": text });
    assert_eq!(world.refused(connect).await, "SOCKET_LIMIT");
    assert_eq!(world.refused(send("longer")).await, "INVALID_ARGUMENTS");
    world.told(send("one")).await;
    world.told(send("two")).await;
    assert_eq!(world.refused(send("three")).await, "CAPABILITY_RATE_LIMITED");
    assert_eq!(peer.hears.recv().await.unwrap(), "one");
    assert_eq!(peer.hears.recv().await.unwrap(), "two");

    peer.says("too long").await;
    assert_eq!(peer.hears.recv().await.unwrap(), "close 1009");
    world.until_brought_in("closed feed 1009 a frame was longer than its limit").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wished_socket_counts_among_those_of_the_grant_and_one_too_many_is_told_once() {
    let world = World::start().await;
    world.install("channel").await;
    let feed = json!({ "hosts": ["wss://chat.example"] });
    world.grant_within("channel", "websocket", feed, json!({ "concurrent": 1 })).await;
    world.endpoint_says("rpi.sockets", json!(["wss://chat.example/first", "wss://chat.example/second"]));
    world.grant("channel", "endpoint", json!({ "tools": ["rpi.sockets"] })).await;
    world.grant("channel", "channel", json!({})).await;

    let peer = world.network.peer().await;
    assert_eq!(peer.url, "wss://chat.example/first");
    let told = "closed socket-1 1008 the channel has at most 1 sockets";
    world.until_brought_in(told).await;

    // Another change of grants says nothing new.
    world.grant("channel", "approval", json!({})).await;
    peer.says("still here").await;
    world.until_brought_in("frame still here").await;
    assert!(!world.network.has_peer());
    assert_eq!(world.brought_in().await.iter().filter(|text| *text == told).count(), 1);
}
