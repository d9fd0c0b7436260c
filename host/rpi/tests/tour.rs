//! From what a person says to a pin: model, gate, plugin component, hop, hub, berth-pi.

#![allow(clippy::unwrap_used)]

#[path = "../../hub/tests/stories/support.rs"]
#[allow(dead_code, reason = "the hub's own stories need more of it")]
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_model::{PluginId, RunId, ThreadId};
use berth_provider::{Provider, Status, Stopped, Token};
use berth_rpi::{Board, Config, SimulatedGpio, tools};
use berth_wasm::capability::services::Services;
use berth_wasm::host::endpoints::LinkedEndpoints;
use berth_wasm::{EngineConfig, HostParts, NewGrant, Package, PluginEngine, PluginHost};
use serde_json::{Value, json};
use support::{Berth, Client, Parts, TOKEN};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn gpio_plugin() -> PathBuf {
    let folder = std::env::var_os("BERTH_PLUGINS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"), PathBuf::from);
    let folder = folder.join("gpio");
    assert!(
        folder.join("gpio.wasm").is_file(),
        "{} is not built: run `cargo xtask guests`",
        folder.display()
    );
    folder
}

/// A host with the gpio plugin, and a kitchen with a lamp on pin 17.
struct Kitchen {
    berth: Berth,
    plugins: Arc<PluginHost>,
    gpio: SimulatedGpio,
    chat: Client,
    _folder: tempfile::TempDir,
    stop: CancellationToken,
    pi: Option<JoinHandle<Result<(), Stopped>>>,
}

impl Drop for Kitchen {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Kitchen {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let parts = Parts::new().await;
        let endpoints = Arc::new(LinkedEndpoints::new(parts.store.clone(), parts.links.clone()));
        let plugins = PluginHost::new(HostParts {
            engine: PluginEngine::new(EngineConfig::new(parts.clock.clone())).unwrap(),
            store: parts.store.clone(),
            clock: parts.clock.clone(),
            ids: parts.ids.clone(),
            folder: folder.path().to_owned(),
            services: Services::none().with_endpoints(endpoints.clone()),
        });
        plugins.boot().await.unwrap();
        plugins.install(Package::read(&gpio_plugin()).unwrap()).await.unwrap();
        let berth = Berth::assemble("127.0.0.1:0", |_| {}, parts, plugins.clone()).await;
        endpoints.attach(berth.core.clone());
        let (gpio, stop) = (SimulatedGpio::new(), CancellationToken::new());
        let chat = berth.surface("cil.ui").await;
        let mut kitchen = Self { berth, plugins, gpio, chat, _folder: folder, stop, pi: None };
        kitchen.pi_connects().await;
        kitchen
    }

    async fn pi_connects(&mut self) {
        let file = json!({
            "endpoint_id": "kitchen", "workspace_ids": ["home-lab"],
            "devices": [{ "device_id": "lamp", "type": "led", "pin": 17, "direction": "out", "max_on_ms": 30000 }],
        });
        let config = Config::parse(&file.to_string(), |_| None).unwrap();
        let pins = config.allowed_pins.iter().copied();
        let board = Board::new(Box::new(self.gpio.clone()), pins, config.off_levels());
        let address = format!("ws://{}", self.berth.address);
        let provider = Provider::builder(&address, Token::new(TOKEN), config.identity.clone())
            .tools(tools(&board, &config))
            .build()
            .unwrap();
        let mut status = provider.status();
        self.pi = Some(tokio::spawn(provider.run(self.stop.clone())));
        status.wait_for(|status| *status == Status::Ready).await.unwrap();
    }

    /// Core has closed the connection when this is done.
    async fn pi_leaves(&mut self) {
        self.stop.cancel();
        self.pi.take().unwrap().await.unwrap().unwrap();
    }

    async fn grants(&self, tools: &[&str]) {
        let grant = NewGrant {
            granted_by: "owner".to_owned(),
            reason: "kitchen lamp".to_owned(),
            ..NewGrant::allow(PluginId::new("gpio").unwrap(), "endpoint", json!({ "tools": tools }))
        };
        self.plugins.grant(grant).await.unwrap();
    }

    /// Says something and, when somebody must agree, does; what the model says in the end.
    async fn says(&mut self, text: &str) -> String {
        let (thread, _) = self.begins(text).await;
        self.agrees_and_hears_the_end(thread).await
    }

    /// Says something, and who follows it.
    async fn begins(&mut self, text: &str) -> (ThreadId, RunId) {
        let thread = self.berth.thread().await;
        self.chat.follows_beside("thread", &thread.to_string()).await;
        (thread, self.berth.message(thread, text).await)
    }

    async fn agrees_and_hears_the_end(&mut self, thread: ThreadId) -> String {
        loop {
            let event = self
                .chat
                .hears_until(|frame| {
                    let kind = frame["payload"]["type"].as_str().unwrap_or_default();
                    frame["payload"]["thread_id"] == thread.to_string().as_str()
                        && ["confirm.requested", "message.completed", "run.cancelled"].contains(&kind)
                })
                .await;
            let inner: &Value = &event["payload"]["payload"];
            if let Some(approval) = inner["approval_id"].as_str() {
                self.berth
                    .core
                    .decide_approval(approval.parse().unwrap(), true, String::new())
                    .await
                    .unwrap();
                continue;
            }
            return inner["message"]["content"].as_str().unwrap_or_default().to_owned();
        }
    }
}

const ALL: [&str; 5] =
    ["rpi.gpio.read", "rpi.gpio.write", "rpi.device.list", "rpi.device.set", "rpi.device.pulse"];

#[tokio::test]
async fn what_a_person_asks_the_model_for_switches_the_pin() {
    let mut kitchen = Kitchen::new().await;
    kitchen.grants(&ALL).await;

    let wrote = kitchen.says(r#"/call gpio_write {"pin": 17, "value": true, "duration_ms": 0}"#).await;
    let read = kitchen.says(r#"/call gpio_read {"pin": 17}"#).await;

    assert!(wrote.contains(r#""value":true"#), "{wrote}");
    assert!(read.contains(r#"{"pin":17,"value":true}"#), "{read}");
    assert_eq!(kitchen.gpio.history(), [(17, true)]);
}

#[tokio::test]
async fn a_pulse_through_everything_ends_off() {
    let mut kitchen = Kitchen::new().await;
    kitchen.grants(&ALL).await;

    let answer = kitchen.says(r#"/call gpio_pulse {"device_id": "lamp", "duration_ms": 1}"#).await;

    assert!(answer.contains(r#""device_id":"lamp""#), "{answer}");
    assert_eq!(kitchen.gpio.history(), [(17, true), (17, false)]);
}

#[tokio::test]
async fn stopping_the_run_ends_the_pulse() {
    let mut kitchen = Kitchen::new().await;
    kitchen.grants(&ALL).await;

    let (thread, run) =
        kitchen.begins(r#"/call gpio_pulse {"device_id": "lamp", "duration_ms": 10000}"#).await;
    let (core, gpio) = (kitchen.berth.core.clone(), kitchen.gpio.clone());
    let stopping = tokio::spawn(async move {
        gpio.until(17, true).await;
        assert!(core.stop_run(run).await.unwrap());
        gpio.until(17, false).await;
    });
    let said = kitchen.agrees_and_hears_the_end(thread).await;

    assert_eq!(said, "", "it came to an end by itself");
    stopping.await.unwrap();
    assert_eq!(kitchen.gpio.history(), [(17, true), (17, false)]);
}

#[tokio::test]
async fn the_board_has_the_last_word_on_its_pins() {
    let mut kitchen = Kitchen::new().await;
    kitchen.grants(&ALL).await;

    let answer = kitchen.says(r#"/call gpio_write {"pin": 4, "value": true}"#).await;

    assert!(answer.contains("gpio_pin_not_allowed") && answer.contains("17, 22, 27"), "{answer}");
    assert_eq!(kitchen.gpio.history(), []);
}

#[tokio::test]
async fn a_plugin_reaches_no_more_of_the_board_than_it_was_granted() {
    let mut kitchen = Kitchen::new().await;
    kitchen.grants(&["rpi.gpio.read"]).await;

    let read = kitchen.says(r#"/call gpio_read {"pin": 17}"#).await;
    let write = kitchen.says(r#"/call gpio_write {"pin": 17, "value": true}"#).await;

    assert!(read.contains(r#""value":false"#), "{read}");
    assert!(write.contains("failed") && write.contains("rpi.gpio.write"), "{write}");
    assert_eq!(kitchen.gpio.history(), []);
}

#[tokio::test]
async fn a_board_that_has_left_is_said_to_be_away() {
    let mut kitchen = Kitchen::new().await;
    kitchen.grants(&ALL).await;

    kitchen.pi_leaves().await;
    let answer = kitchen.says(r#"/call gpio_read {"pin": 17}"#).await;

    assert!(answer.contains("target_endpoint_unavailable"), "{answer}");
}
