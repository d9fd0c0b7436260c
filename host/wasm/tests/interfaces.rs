//! What a plugin hears of its call, of its grants and of a cancel, and what it tells those who wait.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use berth_model::plugin::GrantMode;
use berth_model::{RunId, ThreadId};
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::grants::{Fixed, GrantView, Granted};
use berth_wasm::capability::process::{Hear, ProgramRunner, Ran, Run};
use berth_wasm::capability::progress::ProgressSink;
use berth_wasm::capability::services::Services;
use berth_wasm::capability::{Capability, CapabilityError};
use berth_wasm::{Docs, LoadedPlugin, Manifest, ToolInvocation};
use serde_json::{Value, json};
use support::host::{Harness, fixture};
use support::{context, engine, load_bytes};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const ASKS: &str =
    "[[capability]]\nname = \"endpoint\"\nscope = { tools = [\"rpi.gpio.*\", \"rpi.never\"] }\n";

async fn waiter() -> LoadedPlugin {
    let package = fixture("host-waiter", ASKS);
    let manifest = Manifest::parse(&package.manifest).unwrap();
    assert!(berth_wasm::inspect::inspect(&package.component, &manifest, &Docs::default()).is_ok());
    load_bytes(&engine(), package.component.to_vec(), manifest).await
}

#[tokio::test]
async fn a_plugin_is_told_who_asked_for_what_and_until_when() {
    let plugin = waiter().await;
    let mut invocation = ToolInvocation::new(
        "who",
        json!({}),
        CallContext {
            run: Some(RunId::from_uuid(uuid::Uuid::from_u128(3))),
            thread: Some(ThreadId::from_uuid(uuid::Uuid::from_u128(4))),
            locale: "de-CH".to_owned(),
            dry_run: true,
            idempotency_key: "once".to_owned(),
            meta: vec![("trace".to_owned(), "7".to_owned())],
            ..context()
        },
    );
    invocation.timeout = Duration::from_secs(20);

    let said = plugin.call(invocation).await.unwrap().content;

    for (key, wanted) in [
        ("call_id", json!(context().call.to_string())),
        ("run_id", json!(RunId::from_uuid(uuid::Uuid::from_u128(3)).to_string())),
        ("thread_id", json!(ThreadId::from_uuid(uuid::Uuid::from_u128(4)).to_string())),
        ("workspace_id", json!("home")),
        ("actor_id", json!("user:self")),
        ("locale", json!("de-CH")),
        ("dry_run", json!(true)),
        ("idempotency_key", json!("once")),
        ("meta", json!([["trace", "7"]])),
        ("cancelled", json!(false)),
    ] {
        assert_eq!(said[key], wanted, "{key} of {said}");
    }
    let left = said["remaining_ms"].as_u64().unwrap();
    assert!((1..=20_000).contains(&left), "{said}");
    // The clock of the tests stands still, so the deadline is at most the whole time away from it.
    let now = 1_777_593_600_000;
    assert!((now..=now + 20_000).contains(&said["deadline_ms"].as_u64().unwrap()), "{said}");
}

#[tokio::test]
async fn a_plugin_asks_what_it_was_granted_and_is_told_no_more() {
    let berth = Harness::start().await;
    berth.install_fixture("host-waiter", ASKS).await.unwrap();
    let may = async |scope: Value| {
        berth.answer("host_waiter_may", json!({ "capability": "endpoint", "scope": scope })).await
    };
    assert_eq!(may(json!({})).await, json!({ "granted": [], "check": false }));

    berth.grant("host-waiter", "endpoint", json!({ "tools": ["rpi.gpio.read"] })).await;

    assert_eq!(may(json!({})).await, json!({ "granted": ["endpoint"], "check": true }));
    assert_eq!(may(json!({ "tools": ["rpi.gpio.read"] })).await["check"], true);
    assert_eq!(may(json!({ "tools": ["rpi.gpio.write"] })).await["check"], false);
    assert_eq!(may(json!("no scope")).await["check"], false);
    let other = json!({ "capability": "magic", "scope": {} });
    assert_eq!(berth.answer("host_waiter_may", other).await["check"], false);
}

/// Writes down what it hears, and takes a piece when it is let.
struct Listener {
    heard: Mutex<Vec<(Option<f32>, String)>>,
    waiting: Semaphore,
    room: Semaphore,
}

#[async_trait]
impl ProgressSink for Listener {
    fn report(&self, fraction: Option<f32>, message: &str) {
        self.heard.lock().unwrap().push((fraction, message.to_owned()));
    }

    async fn partial(&self, bytes: Vec<u8>) {
        self.waiting.add_permits(1);
        self.room.acquire().await.unwrap().forget();
        self.heard.lock().unwrap().push((None, String::from_utf8(bytes).unwrap()));
    }
}

fn listener() -> Arc<Listener> {
    Arc::new(Listener { heard: Mutex::default(), waiting: Semaphore::new(0), room: Semaphore::new(0) })
}

#[tokio::test]
async fn reports_are_heard_and_pieces_wait_until_there_is_room() {
    let (plugin, listener) = (waiter().await, listener());
    let mut invocation = ToolInvocation::new("tell", json!({ "pieces": 3 }), context());
    invocation.progress = listener.clone();
    let call = tokio::spawn(async move { plugin.call(invocation).await });

    listener.waiting.acquire().await.unwrap().forget();
    let before = listener.heard.lock().unwrap().clone();
    assert_eq!(before[0], (Some(0.5), "half way there".to_owned()), "it cannot draw on a terminal");
    assert_eq!(before[1..], [(None, "somewhere".to_owned()), (Some(1.0), "beyond".to_owned())]);
    assert!(!call.is_finished(), "the first piece has no room yet");
    listener.room.add_permits(3);

    assert_eq!(call.await.unwrap().unwrap().content, json!({ "handed": 3 }));
    let pieces: Vec<String> = listener.heard.lock().unwrap()[3..].iter().map(|one| one.1.clone()).collect();
    assert_eq!(pieces, ["piece 0", "piece 1", "piece 2"]);
}

/// A program that says two lines, one of which would draw on a terminal.
struct Talker;

#[async_trait]
impl ProgramRunner for Talker {
    async fn run(&self, _: Run, _: &CancellationToken, hear: Hear) -> Result<Ran, CapabilityError> {
        hear("copied 1 of 2");
        hear("\u{1b}[2Jcopied 2 of 2");
        Ok(Ran { exit: 0, stdout: b"done".to_vec(), stderr: Vec::new(), truncated: false })
    }
}

#[tokio::test]
async fn lines_of_a_running_program_are_progress_of_its_call() {
    let scope = json!({ "programs": ["copy"] });
    let package =
        fixture("process", "[[capability]]\nname = \"process\"\nscope = { programs = [\"copy\"] }\n");
    let manifest = Manifest::parse(&package.manifest).unwrap();
    let requests = manifest.requests.clone();
    let plugin = load_bytes(&engine(), package.component.to_vec(), manifest).await;
    let listener = listener();
    let mut invocation = ToolInvocation::new("run", json!({ "program": "copy" }), context());
    let granted = Granted { capability: Capability::Process, scope: scope.into(), mode: GrantMode::Allow };
    invocation.grants = Arc::new(Fixed(Arc::new(GrantView::new(1, "process", requests, vec![granted]))));
    invocation.services = Services::none().with_programs(Arc::new(Talker));
    invocation.progress = listener.clone();

    let ran = plugin.call(invocation).await.unwrap().content;

    assert_eq!(ran["stdout"], "done", "{ran}");
    let heard: Vec<String> = listener.heard.lock().unwrap().iter().map(|one| one.1.clone()).collect();
    assert_eq!(heard, ["copied 1 of 2", "copied 2 of 2"]);
}

/// What a cancelled call printed before it ended.
async fn last_words(tool: &str, progress: Arc<Listener>) -> Vec<String> {
    let plugin = waiter().await;
    let cancel = CancellationToken::new();
    let mut invocation = ToolInvocation::new(tool, json!({ "pieces": 3 }), context());
    (invocation.cancel, invocation.progress) = (cancel.clone(), progress.clone());
    let running = plugin.clone();
    let call = tokio::spawn(async move { running.call(invocation).await });
    if tool == "tell" {
        progress.waiting.acquire().await.unwrap().forget();
    }
    cancel.cancel();

    let error = call.await.unwrap().unwrap_err();

    assert_eq!(error.code(), "PLUGIN_CANCELLED");
    plugin.recent_logs().into_iter().map(|line| line.text).collect()
}

#[tokio::test]
async fn a_cancelled_guest_sees_the_flag_and_has_time_to_return() {
    let said = last_words("until_cancelled", listener()).await;

    assert!(said.iter().any(|line| line.starts_with("noticed with ")), "{said:?}");
}

#[tokio::test]
async fn a_cancel_ends_what_a_guest_waits_for_with_a_value_that_says_so() {
    // The guest is told of the cancelled call in another instance, at the same time.
    let mut said = last_words("tell", listener()).await;
    said.retain(|line| line.starts_with("piece "));
    assert_eq!(said, ["piece 0 ended with cancelled"]);

    let berth = Harness::start().await;
    berth.install_fixture("host-waiter", ASKS).await.unwrap();
    berth.grant("host-waiter", "endpoint", json!({ "tools": ["rpi.never"] })).await;
    let (cancel, call) = berth.spawn_cancellable("host_waiter_never", json!({}));
    berth.until_the_pi_hears().await;
    cancel.cancel();
    assert_eq!(call.await.unwrap().unwrap_err().code, "PLUGIN_CANCELLED");
    let logs = berth.host.logs(&"host-waiter".parse().unwrap()).unwrap();
    assert_eq!(logs.last().unwrap().text, "ended with cancelled");
}
