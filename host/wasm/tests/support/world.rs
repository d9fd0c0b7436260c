//! Channels on a real host and a real Core, with a clock, a network and a model that a story owns.
#![allow(dead_code, reason = "stories of channels and of sockets take what they need")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_core::port::model::{
    ChatMessage, FinishReason, Model, ModelError, ModelEvent, ModelInfo, ModelRequest, ModelStream,
};
use berth_core::port::store::Store;
use berth_core::{Core, CoreConfig, Ports};
use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus};
use berth_model::channel::ChannelEvent;
use berth_model::delivery::Delivery;
use berth_model::plugin::NewGrant;
use berth_model::{ActorId, EndpointId, GrantId, PluginId, Timestamp};
use berth_store::{DatabaseUrl, SqlStore};
use berth_testkit::{CountedIds, NoEndpoints};
use berth_wasm::actor::{
    Alarm, ChannelLink, ChannelParts, ChannelView, Channels, HookAnswer, HookRefusal, Settings,
};
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::endpoint::{EndpointCaller, EndpointInfo};
use berth_wasm::capability::http::HttpOutlet;
use berth_wasm::capability::services::Services;
use berth_wasm::pulse::Pulses;
use berth_wasm::{EngineConfig, HostError, HostParts, Installed, PluginEngine, PluginHost};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::support::config;
use crate::support::host::{fixture, new_grant};
use crate::support::net::Net;
use crate::support::vault;
#[allow(unused_imports, reason = "stories of sockets alone hold the far end of one")]
pub use crate::support::wires::{Network, Peer};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the manifest of the test channel asks for besides what a bare file says.
const WISHES: &str = r#"
[[capability]]
name = "channel"
reason = "it is one"
[[capability]]
name = "websocket"
required = false
reason = "its feed"
scope = { hosts = ["wss://chat.example"] }
[[capability]]
name = "endpoint"
required = false
reason = "to be held up"
[[capability]]
name = "approval"
required = false
reason = "to ask the owner"
[[capability]]
name = "http"
required = false
reason = "its polls"
[[capability]]
name = "secret"
required = false
reason = "its key"
"#;

/// Time that goes on when a story says so.
pub struct Hands {
    now: watch::Sender<Timestamp>,
    sleepers: Mutex<Vec<Timestamp>>,
}

impl Default for Hands {
    fn default() -> Self {
        let now = watch::Sender::new(Timestamp::from_micros(1_777_593_600_000_000));
        Self { now, sleepers: Mutex::default() }
    }
}

impl Hands {
    pub fn advance(&self, span: Duration) {
        self.now.send_modify(|now| *now = now.plus(span));
    }

    /// Whether somebody waits for a time that is to come within `span`.
    fn is_awaited_within(&self, span: Duration) -> bool {
        let now = *self.now.borrow();
        self.sleepers.lock().unwrap().iter().any(|at| *at > now && *at <= now.plus(span))
    }

    /// Whether somebody waits for the time that comes after exactly `span`.
    fn is_awaited_in(&self, span: Duration) -> bool {
        let at = self.now.borrow().plus(span);
        self.sleepers.lock().unwrap().contains(&at)
    }
}

struct Asleep<'a>(&'a Hands, Timestamp);

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.0.sleepers.lock().unwrap();
        let at = sleepers.iter().position(|at| *at == self.1).unwrap();
        sleepers.swap_remove(at);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }
}

#[async_trait]
impl Alarm for Hands {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn until(&self, at: Timestamp) {
        self.sleepers.lock().unwrap().push(at);
        let _asleep = Asleep(self, at);
        self.now.subscribe().wait_for(|now| *now >= at).await.unwrap();
    }
}

/// Repeats what was written last.
struct Echo;

#[async_trait]
impl Model for Echo {
    fn info(&self) -> ModelInfo {
        ModelInfo { provider: "echo".to_owned(), model: "echo".to_owned() }
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        let said = request.messages.iter().rev().find_map(|message| match message {
            ChatMessage::User(text) => Some(text.clone()),
            _ => None,
        });
        let pieces = [
            Ok(ModelEvent::Text(format!("you said: {}", said.unwrap_or_default()))),
            Ok(ModelEvent::Finished(FinishReason::Stop)),
        ];
        Ok(futures::stream::iter(pieces).boxed())
    }
}

/// An endpoint that holds guests up at `rpi.gate` until a story lets them go on, and else says what a story wants.
#[derive(Default)]
struct Gate {
    held: Semaphore0,
    open: Semaphore0,
    says: Mutex<HashMap<String, Value>>,
}

struct Semaphore0(Semaphore);

impl Default for Semaphore0 {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

#[async_trait]
impl EndpointCaller for Gate {
    async fn list(&self, _: &str, _: &CallContext) -> Result<Vec<EndpointInfo>, CapabilityError> {
        Ok(vec![EndpointInfo {
            endpoint_id: "rpi.kitchen".to_owned(),
            provider_type: "rpi".to_owned(),
            display_name: String::new(),
            online: true,
        }])
    }

    async fn call(
        &self,
        _: &EndpointInfo,
        tool: &str,
        _: Value,
        _: &CallContext,
        _: &CancellationToken,
    ) -> Result<Value, CapabilityError> {
        if tool != "rpi.gate" {
            return Ok(self.says.lock().unwrap().get(tool).cloned().unwrap_or_else(|| json!({})));
        }
        self.held.0.add_permits(1);
        self.open.0.acquire().await.unwrap().forget();
        Ok(json!({}))
    }
}

/// A host with Core and channels.
pub struct World {
    pub host: Arc<PluginHost>,
    pub channels: Arc<Channels>,
    pub core: Core,
    pub clock: Arc<Hands>,
    pub network: Arc<Network>,
    /// Where requests go: to this machine alone.
    pub net: Net,
    pulses: Pulses,
    store: Arc<SqlStore>,
    gate: Arc<Gate>,
    ids: Arc<CountedIds>,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, network, gate, ids) = <(Arc<Hands>, Arc<Network>, Arc<Gate>, Arc<CountedIds>)>::default();
        let database = DatabaseUrl::sqlite(folder.path().join("berth.db"));
        let store = Arc::new(SqlStore::open(&database).await.unwrap());
        let net = Net::default();
        let (host, channels, core) = launch(folder.path(), &store, &clock, &network, &gate, &ids, &net).await;
        let pulses = Pulses::start(host.clone(), clock.clone(), core.clone());
        Self { host, channels, core, clock, network, net, pulses, store, gate, ids, folder }
    }

    /// With the test channel under the id `channel`, granted all that it asks for but sockets.
    pub async fn with_channel() -> Self {
        let world = Self::start().await;
        world.install("channel").await;
        world.grant("channel", "channel", json!({})).await;
        let tools = json!({ "tools": ["rpi.gate", "rpi.health", "rpi.pulse"] });
        world.grant("channel", "endpoint", tools).await;
        world.until_started("channel").await;
        world
    }

    /// What the endpoint of the house answers from now on.
    pub fn endpoint_says(&self, tool: &str, answer: Value) {
        self.gate.says.lock().unwrap().insert(tool.to_owned(), answer);
    }

    /// A clean stop and another start on the same data.
    pub async fn restart(self) -> Self {
        self.channels.shutdown().await;
        self.pulses.shutdown().await;
        self.core.shutdown().await;
        let Self { clock, network, net, store, gate, ids, folder, .. } = self;
        let (host, channels, core) = launch(folder.path(), &store, &clock, &network, &gate, &ids, &net).await;
        let pulses = Pulses::start(host.clone(), clock.clone(), core.clone());
        Self { host, channels, core, clock, network, net, pulses, store, gate, ids, folder }
    }

    /// Installs the test channel under an id.
    pub async fn install(&self, id: &str) {
        self.install_version(id, 1).await;
    }

    /// Installs the same code under another digest.
    pub async fn install_version(&self, id: &str, version: u8) {
        self.try_version(id, version).await.unwrap();
    }

    pub async fn try_version(&self, id: &str, version: u8) -> Result<Installed, HostError> {
        let manifest =
            format!("[plugin]\nid = \"{id}\"\nversion = \"0.{version}.0\"\nkind = \"channel\"\n{WISHES}");
        self.try_manifest(manifest, version).await
    }

    /// The same with another manifest.
    pub async fn try_manifest(&self, manifest: String, version: u8) -> Result<Installed, HostError> {
        let mut package = fixture("channel", "");
        package.manifest = manifest;
        let mut component = package.component.to_vec();
        // A section that nobody reads.
        component.extend([0, 3, 1, b'v', version]);
        package.component = component.into();
        self.host.install(package).await
    }

    pub async fn grant(&self, plugin: &str, capability: &str, scope: Value) -> GrantId {
        let mode = berth_model::plugin::GrantMode::Allow;
        self.host.grant(new_grant(plugin, capability, scope, mode)).await.unwrap().id
    }

    pub async fn grant_within(&self, plugin: &str, capability: &str, scope: Value, limit: Value) {
        let new = new_grant(plugin, capability, scope, berth_model::plugin::GrantMode::Allow);
        self.host.grant(NewGrant { limit, ..new }).await.unwrap();
    }

    pub fn view(&self, plugin: &str) -> Option<ChannelView> {
        self.channels.view(&PluginId::new(plugin).unwrap())
    }

    /// The path of a web address without its plugin: the name, and the token when there is one.
    pub fn path(&self, plugin: &str, hook: &str) -> (String, Option<String>) {
        let view = self.view(plugin).unwrap();
        let (_, path) = view.hooks.iter().find(|(name, _)| name == hook).unwrap();
        let mut parts = path.split('/').skip(3).map(str::to_owned);
        (parts.next().unwrap(), parts.next())
    }

    /// A request as a provider that knows the path makes it.
    pub async fn post(&self, plugin: &str, body: Value) -> Result<HookAnswer, HookRefusal> {
        let (hook, token) = self.path(plugin, "in");
        let admitted = self.channels.admit(plugin, &hook, token.as_deref(), "POST")?;
        admitted.answer("POST", "", Vec::new(), body.to_string().into_bytes()).await
    }

    /// What a request that works is answered.
    pub async fn told(&self, body: Value) -> Value {
        let answer = self.post("channel", body).await.unwrap();
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The code of a request that does not.
    pub async fn refused(&self, body: Value) -> String {
        let answer = self.post("channel", body).await.unwrap();
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, 500, "{told}");
        told["code"].as_str().unwrap().to_owned()
    }

    /// A person writes.
    pub async fn writes(&self, id: &str, text: &str) -> Value {
        self.told(json!({ "id": id, "from": "ada", "text": text })).await
    }

    /// A request in a task of its own.
    pub fn spawn(&self, body: Value) -> tokio::task::JoinHandle<Result<HookAnswer, HookRefusal>> {
        let (hook, token) = self.path("channel", "in");
        let channels = self.channels.clone();
        tokio::spawn(async move {
            let admitted = channels.admit("channel", &hook, token.as_deref(), "POST")?;
            admitted.answer("POST", "", Vec::new(), body.to_string().into_bytes()).await
        })
    }

    /// Waits until a guest is held up.
    pub async fn until_held(&self) {
        tokio::time::timeout(PATIENCE, self.gate.held.0.acquire()).await.unwrap().unwrap().forget();
    }

    /// Lets guests go on that are held up, or will be.
    pub fn let_go(&self, guests: usize) {
        self.gate.open.0.add_permits(guests);
    }

    /// Waits until a story's condition holds.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !holds().await {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "in vain: {what}\n{:#?}", self.printed("channel"));
    }

    /// Waits until so many instances have broken off, and lets the wait before the next one go by.
    pub async fn until_restarted(&self, times: usize) {
        for _ in 0..times {
            let wait = Duration::from_secs(2);
            self.until("a wait before it begins anew", async || self.clock.is_awaited_within(wait)).await;
            self.clock.advance(wait);
        }
    }

    /// Whether somebody waits for a time that is to come within `span`.
    pub fn sleeps_within(&self, span: Duration) -> bool {
        self.clock.is_awaited_within(span)
    }

    /// Whether somebody waits for exactly `span`.
    pub fn sleeps_for(&self, span: Duration) -> bool {
        self.clock.is_awaited_in(span)
    }

    /// Waits until somebody sleeps for exactly `span`.
    pub async fn until_asleep_for(&self, span: Duration) {
        self.until("a sleep", async || self.clock.is_awaited_in(span)).await;
    }

    pub async fn until_started(&self, plugin: &str) {
        self.until("the channel starts", async || {
            self.view(plugin).is_some_and(|view| !view.hooks.is_empty())
        })
        .await;
    }

    /// What a plugin has printed.
    pub fn printed(&self, plugin: &str) -> Vec<String> {
        let lines = self.host.logs(&PluginId::new(plugin).unwrap()).unwrap_or_default();
        lines.into_iter().map(|line| line.text).collect()
    }

    pub async fn until_printed(&self, text: &str) {
        self.until(text, async || self.printed("channel").iter().any(|line| line.contains(text))).await;
    }

    /// What is shown to the owner beside conversations.
    pub async fn notices(&self) -> Vec<String> {
        let mut tx = self.store.read().await.unwrap();
        let workspace = berth_model::WorkspaceId::fixed("personal");
        let thread = tx.find_default_thread(&workspace, berth_wasm::pulse::THREAD).await.unwrap();
        let Some(thread) = thread else { return Vec::new() };
        let messages = tx.list_messages(thread.id, None).await.unwrap();
        messages.into_iter().map(|message| message.content).collect()
    }

    /// Waits until a channel has asked the owner, and tells what.
    pub async fn until_asked(&self) -> berth_model::approval::Approval {
        let open = async || {
            let pending = berth_model::approval::ApprovalStatus::Pending;
            self.core.list_approvals(Some(pending)).await.unwrap()
        };
        self.until("the owner is asked", async || !open().await.is_empty()).await;
        open().await.remove(0)
    }

    /// The texts that people and the channel itself have brought in, oldest first.
    pub async fn brought_in(&self) -> Vec<String> {
        let mut tx = self.store.read().await.unwrap();
        let filter = berth_core::port::store::ThreadFilter { limit: 100, ..Default::default() };
        let mut texts = Vec::new();
        for thread in tx.list_threads(&filter).await.unwrap() {
            let messages = tx.list_messages(thread.id, None).await.unwrap();
            let by_user = messages.into_iter().filter(|one| one.role == berth_model::message::Role::User);
            texts.extend(by_user.map(|message| message.content));
        }
        texts
    }

    pub async fn until_brought_in(&self, text: &str) {
        self.until(text, async || self.brought_in().await.iter().any(|told| told == text)).await;
    }

    /// The text and the state of each delivery of the channel, newest first.
    pub async fn states(&self) -> Vec<(String, String)> {
        let endpoint = EndpointId::fixed("channel.channel");
        let deliveries = self.core.list_deliveries(&endpoint, 50).await.unwrap();
        let shown = |one: Delivery| {
            (one.payload["content"].as_str().unwrap_or_default().to_owned(), one.status.to_string())
        };
        deliveries.into_iter().map(shown).collect()
    }

    pub async fn until_state(&self, text: &str, state: &str) {
        self.until(&format!("{text} is {state}"), async || {
            let all = self.states().await;
            all.iter().any(|(told, is)| told.contains(text) && is == state)
        })
        .await;
    }

    /// What the owner is asked.
    pub async fn questions(&self) -> Vec<Approval> {
        self.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap()
    }

    pub async fn answers(&self, question: &Approval, answer: ApprovalAnswer) {
        let owner = ActorId::fixed("user:self");
        self.core.answer_approval(question.id, &owner, answer, "go ahead".to_owned()).await.unwrap();
    }

    pub async fn events(&self, plugin: &str) -> Vec<ChannelEvent> {
        self.channels.events(&PluginId::new(plugin).unwrap()).await.unwrap()
    }

    /// Keeps a secret of a plugin.
    pub async fn keep_secret(&self, plugin: &str, name: &str, value: &[u8]) {
        let desk = vault::desk(self.store.clone(), self.folder.path());
        vault::keep(&desk, plugin, name, value).await;
    }

    pub async fn plugin(&self, id: &str) -> berth_model::plugin::Plugin {
        self.host.show(&PluginId::new(id).unwrap()).await.unwrap().plugin
    }
}

async fn launch(
    folder: &Path,
    store: &Arc<SqlStore>,
    clock: &Arc<Hands>,
    network: &Arc<Network>,
    gate: &Arc<Gate>,
    ids: &Arc<CountedIds>,
    net: &Net,
) -> (Arc<PluginHost>, Arc<Channels>, Core) {
    let cache = Some(folder.join("compiled"));
    let host = PluginHost::new(HostParts {
        engine: PluginEngine::new(EngineConfig { cache, ..config() }).unwrap(),
        store: store.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        folder: folder.join("components"),
        services: Services::none()
            .with_endpoints(gate.clone())
            .with_http(HttpOutlet::new(net.broker()))
            .with_secrets(vault::desk(store.clone(), folder)),
    });
    host.boot().await.unwrap();
    let channels = Channels::new(ChannelParts {
        host: host.clone(),
        alarm: clock.clone(),
        dialer: network.clone(),
        // No other wait is as long: a story can tell it from that for a silent peer.
        settings: Settings { idle: Duration::from_secs(20), ..Settings::default() },
    });
    let ports = Ports {
        store: store.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
        model: Arc::new(Echo),
        plugins: host.clone(),
        endpoints: Arc::new(ChannelLink { others: Arc::new(NoEndpoints), channels: channels.clone() }),
    };
    let core = Core::start(ports, CoreConfig::default()).await.unwrap();
    host.attach(core.clone());
    host.listen_for_answers(channels.clone());
    channels.start(core.clone());
    core.go_on();
    (host, channels, core)
}
