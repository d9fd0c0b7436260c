//! With a real hub over a loopback socket.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_core::CoreError;
use berth_core::operations::{Ask, Finished};
use berth_core::port::target::Progress;
use berth_model::WorkspaceId;
use berth_model::tool::ToolFailure;
use berth_provider::{Status, Stopped};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::device::{Bench, Device, ENDPOINT, builder};
use crate::support::{Berth, TOKEN};

fn url(berth: &Berth) -> String {
    format!("http://{}", berth.address)
}

async fn device(berth: &Berth) -> Device {
    Device::start(&url(berth), TOKEN).ready().await
}

fn failure(finished: Result<Finished, CoreError>) -> ToolFailure {
    match finished {
        Ok(finished) => finished.outcome.unwrap_err(),
        Err(CoreError::Tool(failure)) => failure,
        Err(error) => panic!("{error}"),
    }
}

fn content(finished: Result<Finished, CoreError>) -> Value {
    finished.unwrap().outcome.unwrap().content
}

/// Remembers what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

#[async_trait]
impl Progress for Heard {
    fn accepted(&self) {
        self.0.lock().unwrap().push("accepted".to_owned());
    }

    fn report(&self, _: Option<f32>, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }

    async fn partial(&self, _: Vec<u8>) {}
}

fn ask(berth: &Berth, change: impl FnOnce(&mut Ask)) -> JoinHandle<Result<Finished, CoreError>> {
    let mut ask = Ask::of_owner("t.gated", json!({}), WorkspaceId::fixed("home-lab"));
    change(&mut ask);
    let core = berth.core.clone();
    tokio::spawn(async move { core.operate(ask).await })
}

#[tokio::test]
async fn a_provider_that_connects_can_be_called() {
    let berth = Berth::start().await;
    let _device = device(&berth).await;

    let answer = content(berth.call("t.echo", None, json!({ "say": "hi" })).await.unwrap());

    assert_eq!(answer, json!({ "say": "hi" }));
    assert!(berth.is_connected(ENDPOINT));
}

#[tokio::test]
async fn a_snapshot_tells_core_every_tool() {
    let berth = Berth::start().await;
    let _device = device(&berth).await;

    let tools = berth.core.tools(&WorkspaceId::fixed("home-lab")).await.unwrap();

    let keys: Vec<&str> =
        tools.iter().map(|tool| tool.key.as_str()).filter(|key| key.starts_with("t.")).collect();
    assert_eq!(keys.len(), 7, "{keys:?}");
}

#[tokio::test]
async fn who_asked_hears_how_far_a_call_is() {
    let berth = Berth::start().await;
    let device = device(&berth).await;
    let heard = Arc::new(Heard::default());
    let listener: Arc<dyn Progress> = heard.clone();

    let call = ask(&berth, |ask| ask.listener = Some(listener));
    device.bench.begins().await;
    device.bench.lets_one_end();

    assert_eq!(content(call.await.unwrap()), json!({ "done": true }));
    // Core passes on as much as it sees fit.
    assert_eq!(heard.0.lock().unwrap()[..2], ["accepted", "the call has started"]);
}

#[tokio::test]
async fn a_cancelled_call_is_cut_off_at_the_device() {
    let berth = Berth::start().await;
    let device = device(&berth).await;
    let cancel = CancellationToken::new();

    let call = ask(&berth, |ask| ask.cancel = cancel.clone());
    device.bench.begins().await;
    cancel.cancel();

    assert_eq!(failure(call.await.unwrap()).code, "tool_call_cancelled");
    device.bench.is_cut_off().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cut_off_at_the_device() {
    let berth = Berth::start().await;
    let device = device(&berth).await;

    let call = ask(&berth, |ask| ask.timeout = Some(std::time::Duration::from_secs(1)));
    device.bench.begins().await;

    let failure = failure(call.await.unwrap());
    assert_eq!((failure.code.as_str(), failure.retryable), ("operation_timeout", true));
    device.bench.is_cut_off().await;
}

#[tokio::test]
async fn a_provider_comes_back_when_its_host_does() {
    let berth = Berth::start().await;
    let (mut device, address) = (device(&berth).await, berth.address.to_string());

    berth.stop().await;
    device.is(Status::Waiting).await;
    let berth = Berth::start_at(&address, |_| {}).await;
    device.is(Status::Ready).await;

    let answer = content(berth.call("t.echo", None, json!({ "again": true })).await.unwrap());
    assert_eq!(answer, json!({ "again": true }));
}

#[tokio::test]
async fn of_two_sockets_the_newer_takes_the_calls_until_it_goes() {
    let berth = Berth::start().await;
    let older = device(&berth).await;
    let mut newer = device(&berth).await;

    let first = berth.call("t.gated", None, json!({}));
    newer.bench.begins().await;
    newer.bench.lets_one_end();
    content(first.await.unwrap());
    newer.told_to_stop();
    newer.ends().await.unwrap();
    let second = berth.call("t.gated", None, json!({}));
    older.bench.begins().await;
    older.bench.lets_one_end();

    content(second.await.unwrap());
    newer.bench.nothing_more_begins();
    assert!(berth.is_connected(ENDPOINT));
}

#[tokio::test]
async fn a_provider_that_is_told_to_stop_ends_its_calls_and_says_goodbye() {
    let berth = Berth::start().await;
    let mut device = device(&berth).await;

    let call = berth.call("t.gated", None, json!({}));
    device.bench.begins().await;
    device.told_to_stop();
    device.bench.lets_one_end();

    assert_eq!(device.ends().await, Ok(()));
    assert_eq!(content(call.await.unwrap()), json!({ "done": true }));
    assert!(!berth.is_connected(ENDPOINT));
    assert_eq!(berth.status_of(ENDPOINT).await, "offline");
}

#[tokio::test]
async fn calls_fail_at_once_when_their_last_socket_is_gone() {
    let berth = Berth::start().await;
    let device = device(&berth).await;
    let call = berth.call("t.gated", None, json!({}));
    device.bench.begins().await;

    device.dies().await;

    assert_eq!(failure(call.await.unwrap()).code, "endpoint_disconnected");
}

#[tokio::test]
async fn sensitive_arguments_arrive_although_nobody_on_the_way_can_read_them() {
    let berth = Berth::start_with(|config| config.secret = Some(TOKEN.to_owned())).await;
    let _device = device(&berth).await;

    let arguments = json!({ "user": "ann", "password": "hush" });
    let answer = berth.call("t.echo", None, arguments.clone()).await.unwrap().unwrap().outcome.unwrap();

    assert_eq!(answer.content["user"], "ann");
    assert_eq!(answer.content["password"], arguments["password"]);
}

#[tokio::test]
async fn a_provider_with_another_secret_says_that_it_cannot_open_them() {
    let berth = Berth::start_with(|config| config.secret = Some("another".to_owned())).await;
    let _device = device(&berth).await;

    let failure = failure(berth.call("t.echo", None, json!({ "password": "hush" })).await.unwrap());

    assert_eq!(failure.code, "credential_decrypt_failed");
    assert!(failure.message.contains("the secret"), "{failure:?}");
}

#[tokio::test]
async fn a_wrong_token_ends_it_for_good_without_showing_the_token() {
    let berth = Berth::start().await;
    let mut device = Device::start(&url(&berth), "battery-staple");

    let stopped = device.ends().await.unwrap_err();

    assert_eq!((stopped.code(), stopped.exit_code()), ("provider_unauthorized", 3));
    let told = format!("{stopped} {stopped:?}");
    assert!(told.contains("core refuses the access token") && !told.contains("battery"), "{told}");
}

#[tokio::test]
async fn a_hello_that_core_refuses_ends_it_with_the_reason() {
    let berth = Berth::start().await;
    let identity = berth_provider::Identity {
        endpoint_id: "core.local".to_owned(),
        ..berth_provider::Identity::executor("edge", "lab1")
    };
    let provider =
        berth_provider::Provider::builder(&url(&berth), berth_provider::Token::new(TOKEN), identity);

    let stopped = provider.build().unwrap().run(CancellationToken::new()).await.unwrap_err();

    let Stopped::Rejected { code, .. } = &stopped else { panic!("{stopped:?}") };
    assert_eq!((code.as_str(), stopped.code()), ("core_endpoint_reserved", "provider_rejected"));
}

#[tokio::test]
async fn an_address_without_an_endpoint_socket_is_tried_again_and_said_to_be_none() {
    let berth = Berth::start().await;
    let mut device = Device::start(&format!("{}/elsewhere", url(&berth)), TOKEN);

    device.is(Status::Waiting).await;
    device.told_to_stop();

    assert_eq!(device.ends().await, Ok(()));
    let unusable = builder("127.0.0.1:8787", TOKEN, &Bench::new()).build().err().unwrap();
    assert_eq!(unusable.code(), "provider_address");
}
