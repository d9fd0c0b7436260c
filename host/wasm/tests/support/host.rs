//! A plugin host over an empty store, and plugins as `cargo xtask guests` built them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::ids::Ids;
use berth_core::port::target::{PluginTarget, Progress, ToolCall};
use berth_model::plugin::GrantMode;
use berth_model::tool::{ExecutionTarget, ToolFailure, ToolOutcome};
use berth_model::{ActorId, CallId, GrantId, OperationId, PluginId, WorkspaceId};
use berth_secrets::Desk;
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::endpoint::{EndpointCaller, EndpointInfo};
use berth_wasm::capability::http::HttpOutlet;
use berth_wasm::capability::keyvalue::Quota;
use berth_wasm::capability::services::Services;
use berth_wasm::engine::compiler::{Compiler, InProcess};
use berth_wasm::host::Life;
use berth_wasm::host::config::OperatorConfig;
use berth_wasm::host::keyvalue::StoredKeyvalue;
use berth_wasm::{
    EngineConfig, HostError, HostParts, Installed, NewGrant, Package, PluginEngine, PluginHost,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::net::Net;
use super::{StoppedClock, config, vault};

/// Longer than any call of a test takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Counts ids.
#[derive(Default)]
struct Counted(AtomicU64);

impl Ids for Counted {
    fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

/// A Raspberry Pi that tells of each call and then answers with what it was asked, when it is let, or never.
struct Pi {
    heard: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl EndpointCaller for Pi {
    async fn list(&self, _: &str, _: &CallContext) -> Result<Vec<EndpointInfo>, CapabilityError> {
        Ok(vec![EndpointInfo {
            endpoint_id: "rpi.kitchen".to_owned(),
            provider_type: "rpi".to_owned(),
            display_name: "Kitchen".to_owned(),
            online: true,
        }])
    }

    async fn call(
        &self,
        _: &EndpointInfo,
        tool_key: &str,
        arguments: Value,
        _: &CallContext,
        _: &CancellationToken,
    ) -> Result<Value, CapabilityError> {
        self.heard.add_permits(1);
        if tool_key == "rpi.never" {
            std::future::pending::<()>().await;
        }
        if tool_key == "rpi.gate" {
            self.gate.acquire().await.unwrap().forget();
        }
        Ok(json!({ "pin": arguments["pin"], "value": true }))
    }
}

/// Tells when the target has taken a call.
struct Accepted(Arc<Semaphore>);

#[async_trait]
impl Progress for Accepted {
    fn accepted(&self) {
        self.0.add_permits(1);
    }

    fn report(&self, _: Option<f32>, _: &str) {}

    async fn partial(&self, _: Vec<u8>) {}
}

/// A host, its store and its data folder.
pub struct Harness {
    pub host: Arc<PluginHost>,
    pub folder: tempfile::TempDir,
    pub desk: Arc<Desk>,
    store: Arc<berth_store::SqlStore>,
    life: Life,
    accepted: Arc<Semaphore>,
    heard: Arc<Semaphore>,
    gate: Arc<Semaphore>,
    pub net: Net,
}

impl Harness {
    pub async fn start() -> Self {
        Self::over(berth_store::SqlStore::open_in_memory().await.unwrap())
    }

    pub fn over(store: berth_store::SqlStore) -> Self {
        Self::with(store, Life::default())
    }

    pub async fn with_life(life: Life) -> Self {
        Self::with(berth_store::SqlStore::open_in_memory().await.unwrap(), life)
    }

    fn with(store: berth_store::SqlStore, life: Life) -> Self {
        Self::made(tempfile::tempdir().unwrap(), store, life, config())
    }

    /// A host whose guests are looked into, and whose database is a file.
    #[cfg(target_os = "linux")]
    pub async fn looking(memories: Arc<super::memory::Watched>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = berth_store::DatabaseUrl::sqlite(folder.path().join("berth.db"));
        let store = berth_store::SqlStore::open(&url).await.unwrap();
        let pooling = berth_wasm::Pooling::Off;
        let settings = EngineConfig { memories: Some(memories), pooling, ..config() };
        Self::made(folder, store, Life::default(), settings)
    }

    fn made(
        folder: tempfile::TempDir,
        store: berth_store::SqlStore,
        life: Life,
        settings: EngineConfig,
    ) -> Self {
        let store = Arc::new(store);
        let heard = Arc::new(Semaphore::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let desk = vault::desk(store.clone(), folder.path());
        let net = Net::default();
        let pi = Pi { heard: heard.clone(), gate: gate.clone() };
        let host = host(settings, folder.path(), &store, &desk, pi, &net, life.clone());
        Self { net, host, store, folder, desk, life, accepted: Arc::new(Semaphore::new(0)), heard, gate }
    }

    /// A second process over the same store and folder.
    pub async fn restarted(&self) -> Arc<PluginHost> {
        let host = self.other(self.life.clone(), Arc::new(InProcess));
        host.boot().await.unwrap();
        host
    }

    /// A second process over the same store and folder that has not begun to load anything.
    pub fn other(&self, life: Life, compiler: Arc<dyn Compiler>) -> Arc<PluginHost> {
        let settings = EngineConfig { compiler, ..config() };
        let pi = Pi { heard: self.heard.clone(), gate: self.gate.clone() };
        host(settings, self.folder.path(), &self.store, &self.desk, pi, &self.net, life)
    }

    /// Calls a tool of another process over the same store.
    pub async fn call_at(
        &self,
        host: &PluginHost,
        tool: &str,
        arguments: Value,
    ) -> Result<ToolOutcome, ToolFailure> {
        call(host, tool, arguments, self.accepted.clone()).await
    }

    /// Installs a bundled plugin.
    pub async fn install(&self, name: &str) -> Installed {
        self.host.install(Package::read(&plugin_folder(name)).unwrap()).await.unwrap()
    }

    /// Installs a test guest with more lines in its manifest.
    pub async fn install_fixture(&self, name: &str, more: &str) -> Result<Installed, HostError> {
        self.host.install(fixture(name, more)).await
    }

    /// Installs a component made of text under the id `test`.
    pub async fn install_text(&self, text: &str, more: &str) -> Result<Installed, HostError> {
        let manifest = format!("[plugin]\nid = \"test\"\nversion = \"0.1.0\"\n{more}");
        let component = super::component(text);
        self.host.install(Package::new(manifest, component)).await
    }

    /// What the audit has of a plugin, newest first.
    pub async fn audit(&self, plugin: &str) -> Vec<berth_model::audit::AuditRow> {
        use berth_core::port::store::{AuditFilter, Store as _};
        let plugin = Some(PluginId::new(plugin).unwrap());
        let filter = AuditFilter { plugin, limit: 100, ..AuditFilter::default() };
        self.store.read().await.unwrap().list_audit(&filter).await.unwrap()
    }

    pub async fn grant(&self, plugin: &str, capability: &str, scope: Value) -> GrantId {
        let mode = GrantMode::Allow;
        self.host.grant(new_grant(plugin, capability, scope, mode)).await.unwrap().id
    }

    pub async fn call(&self, tool: &str, arguments: Value) -> Result<ToolOutcome, ToolFailure> {
        call(&self.host, tool, arguments, self.accepted.clone()).await
    }

    /// The same at another host, such as the restarted one.
    pub async fn answer_of(&self, host: &PluginHost, tool: &str, arguments: Value) -> Value {
        call(host, tool, arguments, self.accepted.clone()).await.unwrap().content
    }

    /// What a call that works answers.
    pub async fn answer(&self, tool: &str, arguments: Value) -> Value {
        let outcome = self.call(tool, arguments).await.unwrap();
        assert!(!outcome.is_error, "{}", outcome.content);
        outcome.content
    }

    /// The failure that the tool itself answers with.
    pub async fn refusal(&self, tool: &str, arguments: Value) -> Value {
        let outcome = self.call(tool, arguments).await.unwrap();
        assert!(outcome.is_error, "{}", outcome.content);
        outcome.content
    }

    /// The code of a call that yields nothing.
    pub async fn failure(&self, tool: &str, arguments: Value) -> ToolFailure {
        self.call(tool, arguments).await.unwrap_err()
    }

    /// A call in a task of its own.
    pub fn spawn(
        &self,
        tool: &str,
        arguments: Value,
    ) -> tokio::task::JoinHandle<Result<ToolOutcome, ToolFailure>> {
        let (host, tool, accepted) = (self.host.clone(), tool.to_owned(), self.accepted.clone());
        tokio::spawn(async move { call(&host, &tool, arguments, accepted).await })
    }

    /// The same, with what ends it early.
    pub fn spawn_cancellable(
        &self,
        tool: &str,
        arguments: Value,
    ) -> (CancellationToken, tokio::task::JoinHandle<Result<ToolOutcome, ToolFailure>>) {
        let cancel = CancellationToken::new();
        let (host, tool, accepted) = (self.host.clone(), tool.to_owned(), self.accepted.clone());
        let with = cancel.clone();
        (cancel, tokio::spawn(async move { call_until(&host, &tool, arguments, accepted, with).await }))
    }

    /// Waits until so many more calls have reached their plugin.
    pub async fn until_accepted(&self, calls: u32) {
        self.accepted.acquire_many(calls).await.unwrap().forget();
    }

    /// Lets one call of `rpi.gate` go on.
    pub fn open_the_gate(&self) {
        self.gate.add_permits(1);
    }

    /// Waits until the Pi was called once more.
    pub async fn until_the_pi_hears(&self) {
        self.heard.acquire().await.unwrap().forget();
    }
}

pub fn new_grant(plugin: &str, capability: &str, scope: Value, mode: GrantMode) -> NewGrant {
    NewGrant {
        mode,
        granted_by: "owner".to_owned(),
        ..NewGrant::allow(PluginId::new(plugin).unwrap(), capability, scope)
    }
}

/// What a plugin may keep.
pub const QUOTA: Quota = Quota { pairs: 400, bytes: 64 << 10, value_bytes: 16 << 10 };

/// What the operator has set.
fn plugin_settings() -> BTreeMap<String, Value> {
    BTreeMap::from([(
        "standards".to_owned(),
        json!({ "greeting": "hello", "retries": 5, "proxy": { "port": 1 } }),
    )])
}

fn host(
    settings: EngineConfig,
    folder: &Path,
    store: &Arc<berth_store::SqlStore>,
    desk: &Arc<Desk>,
    pi: Pi,
    net: &Net,
    life: Life,
) -> Arc<PluginHost> {
    let cache = Some(folder.join("compiled"));
    let private = Some(folder.canonicalize().unwrap());
    let parts = HostParts {
        engine: PluginEngine::new(EngineConfig { cache, private, ..settings }).unwrap(),
        store: store.clone(),
        clock: Arc::new(StoppedClock),
        ids: Arc::new(Counted::default()),
        folder: folder.join("components"),
        services: Services::none()
            .with_endpoints(Arc::new(pi))
            .with_keyvalue(Arc::new(StoredKeyvalue::new(store.clone(), Arc::new(StoppedClock), QUOTA)))
            .with_config(Arc::new(OperatorConfig::new(plugin_settings())))
            .with_secrets(desk.clone())
            .with_http(HttpOutlet::new(net.broker())),
    };
    PluginHost::with_life(parts, life)
}

async fn call(
    host: &PluginHost,
    tool: &str,
    arguments: Value,
    accepted: Arc<Semaphore>,
) -> Result<ToolOutcome, ToolFailure> {
    call_until(host, tool, arguments, accepted, CancellationToken::new()).await
}

async fn call_until(
    host: &PluginHost,
    tool: &str,
    arguments: Value,
    accepted: Arc<Semaphore>,
    cancel: CancellationToken,
) -> Result<ToolOutcome, ToolFailure> {
    let catalogue = host.catalogue();
    let spec = catalogue.iter().find(|spec| spec.name.as_str() == tool);
    let spec = spec.unwrap_or_else(|| panic!("no tool `{tool}` in the catalogue"));
    let ExecutionTarget::Plugin(plugin) = &spec.target else { panic!("`{tool}` is of no plugin") };
    let call = ToolCall {
        id: CallId::from_uuid(uuid::Uuid::from_u128(7)),
        operation: OperationId::from_uuid(uuid::Uuid::from_u128(8)),
        run: None,
        thread: None,
        session: None,
        workspace: WorkspaceId::fixed("home"),
        actor: ActorId::fixed("user:self"),
        tool: spec.name.clone(),
        key: spec.key.clone(),
        arguments,
        timeout: PATIENCE,
        idempotency_key: String::new(),
        locale: String::new(),
        dry_run: false,
        cancel,
        progress: Arc::new(Accepted(accepted)),
    };
    host.call(plugin, call).await
}

fn built(variable: &str, folder: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(folder),
        PathBuf::from,
    )
}

/// The folder of a built plugin.
pub fn plugin_folder(name: &str) -> PathBuf {
    let path = built("BERTH_PLUGINS", "plugins").join(name);
    let component = path.join(format!("{name}.wasm"));
    assert!(component.is_file(), "{} is missing: run `cargo xtask guests`", component.display());
    path
}

/// The folder of an example plugin as `cargo xtask examples` built it.
pub fn example_folder(name: &str) -> PathBuf {
    let folder = built("BERTH_EXAMPLES", "examples").join(name);
    assert!(folder.exists(), "{} is missing: run `cargo xtask examples`", folder.display());
    folder
}

/// The file of a built test guest.
pub fn fixture_file(name: &str) -> PathBuf {
    let path = built("BERTH_FIXTURES", "fixtures").join(format!("{name}.wasm"));
    assert!(path.is_file(), "{} is missing: run `cargo xtask guests`", path.display());
    path
}

/// A built test guest with more lines in its manifest.
pub fn fixture(name: &str, more: &str) -> Package {
    let mut package = Package::read(&fixture_file(name)).unwrap();
    package.manifest.push_str(more);
    package
}
