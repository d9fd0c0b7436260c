//! Waits and deadlines, on a clock that jumps.

use std::time::Duration;

use berth_provider::Limits;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::device::Device;
use crate::puppet::{Core, InMemory, code};

fn device() -> (Device, mpsc::Receiver<Core>) {
    let (dial, cores) = InMemory::new();
    (Device::start_with("http://in.memory", "t", |builder| builder.dial(dial)), cores)
}

async fn connected() -> (Device, mpsc::Receiver<Core>, Core) {
    let (device, mut cores) = device();
    let mut core = cores.recv().await.unwrap();
    core.welcomes().await;
    (device, cores, core)
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_comes_as_often_as_core_wants_it() {
    let (_device, mut cores) = device();
    let mut core = cores.recv().await.unwrap();
    core.hears("endpoint.hello").await;
    core.accepts_hello(7).await;
    let began = Instant::now();
    core.hears("endpoint.capabilities.snapshot").await;

    let beat = core.hears("endpoint.heartbeat").await;
    core.hears("endpoint.heartbeat").await;

    assert_eq!(began.elapsed().as_secs(), 14);
    assert_eq!((&beat["status"], &beat["metrics"]["active_calls"]), (&json!("ready"), &json!(0)));
}

#[tokio::test(start_paused = true)]
async fn a_core_that_does_not_answer_hello_is_left() {
    let (_device, mut cores) = device();
    let mut silent = cores.recv().await.unwrap();
    let began = Instant::now();

    silent.hears("endpoint.hello").await;
    assert_eq!(silent.is_closed_with().await, 1001);

    assert_eq!(began.elapsed().as_secs(), 15);
    cores.recv().await.unwrap().welcomes().await;
}

#[tokio::test(start_paused = true)]
async fn a_core_that_gives_no_sign_of_life_is_left() {
    let (_device, mut cores, silent) = connected().await;
    let began = Instant::now();

    // It reads nothing, and so answers no ping.
    let mut next = cores.recv().await.unwrap();

    assert!((40..60).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    next.welcomes().await;
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_accepted_then_told_of_and_then_ended() {
    let (device, _cores, mut core) = connected().await;

    let call = core.calls("t.gated", json!({})).await;
    let accepted = core.hears("tool.call.accepted").await;
    let started = core.hears("tool.call.progress").await;
    let half = core.hears("tool.call.progress").await;
    device.bench.lets_one_end();
    let end = core.hears("tool.call.result").await;

    assert_eq!((&accepted["accepted"], &accepted["call_id"]), (&json!(true), &json!(call)));
    assert_eq!((&started["phase"], &half["phase"]), (&json!("running"), &json!("working")));
    assert_eq!(half["detail"], "half way");
    assert_eq!(end["result"], json!({ "done": true }));
}

#[tokio::test(start_paused = true)]
async fn a_call_has_the_time_that_core_gives_it() {
    let (device, _cores, mut core) = connected().await;
    let began = Instant::now();

    core.requests(json!({ "call_id": "c", "tool_key": "t.gated", "arguments": {}, "timeout_seconds": 3 }))
        .await;
    let end = core.hears_the_end_of("c").await;

    assert_eq!((code(&end).as_str(), began.elapsed().as_secs()), ("operation_timeout", 3));
    device.bench.is_cut_off().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_has_no_more_time_than_the_owner_allows() {
    let (dial, mut cores) = InMemory::new();
    let limits = Limits { max_timeout: Duration::from_secs(9), ..Limits::default() };
    let _device = Device::start_with("http://in.memory", "t", |builder| builder.dial(dial).limits(limits));
    let mut core = cores.recv().await.unwrap();
    core.welcomes().await;
    let began = Instant::now();

    core.requests(json!({ "call_id": "c", "tool_key": "t.gated", "arguments": {}, "timeout_seconds": 900 }))
        .await;

    assert_eq!(code(&core.hears_the_end_of("c").await), "operation_timeout");
    assert_eq!(began.elapsed().as_secs(), 9);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_end_before_the_stop_is_cut_off_and_answered() {
    let (mut device, _cores, mut core) = connected().await;
    let call = core.calls("t.gated", json!({})).await;
    device.bench.begins().await;

    device.told_to_stop();
    let late = core.calls("t.echo", json!({})).await;

    assert_eq!(code(&core.hears_the_end_of(&late).await), "provider_stopping");
    assert_eq!(code(&core.hears_the_end_of(&call).await), "tool_call_cancelled");
    core.hears("endpoint.goodbye").await;
    assert_eq!(core.is_closed_with().await, 1000);
    assert_eq!(device.ends().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_core_that_does_not_read_its_answers_is_left() {
    let (_device, mut cores, mut deaf) = connected().await;
    let text = "x".repeat(40_000);
    let began = Instant::now();

    for _ in 0..3 {
        deaf.calls("t.echo", json!({ "text": text })).await;
    }
    let mut next = cores.recv().await.unwrap();

    assert_eq!(began.elapsed().as_secs(), 20);
    next.welcomes().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_between_two_tries_is_heard_at_once() {
    let (mut device, cores) = device();
    drop(cores);
    device.is(berth_provider::Status::Waiting).await;

    device.told_to_stop();

    assert_eq!(device.ends().await, Ok(()));
}
