//! Plugins in an engine of ours, without a host around them.

use std::sync::Arc;

use berth_model::{ActorId, CallId, OperationId, WorkspaceId};
use berth_wasm::capability::context::CallContext;
use berth_wasm::limits::Limits;
use berth_wasm::{
    ComponentSource, Docs, EngineConfig, LoadedPlugin, Manifest, PluginEngine, PluginSpec, ToolInvocation,
};
use serde_json::{Value, json};

use super::guests;
use super::world::Now;

/// A manifest that wishes for nothing.
pub fn minimal(id: &str) -> String {
    format!("[plugin]\nid = \"{id}\"\nversion = \"0.1.0\"\n")
}

/// The settings of a server.
pub fn server() -> EngineConfig {
    EngineConfig::new(Arc::new(Now))
}

/// The same for as many callers of one plugin as a host has calls.
pub fn crowded() -> EngineConfig {
    let mut config = server();
    let limits = Limits { concurrent_calls: config.concurrent_calls, ..Limits::default() };
    (config.ceilings.concurrent_calls, config.defaults) = (limits.concurrent_calls, limits);
    config
}

/// What the engine makes ready, as an install finds it.
pub fn spec(component: Vec<u8>, manifest: &str) -> PluginSpec {
    let manifest = Manifest::parse(manifest).unwrap();
    let inspection = berth_wasm::inspect::inspect(&component, &manifest, &Docs::default()).unwrap();
    PluginSpec {
        digest: inspection.digest,
        component: ComponentSource::Bytes(component.into()),
        manifest: Arc::new(manifest),
        tools: inspection.tools,
    }
}

/// A plugin in an engine of its own, with the tools that it tells.
pub fn load(component: Vec<u8>, manifest: &str, config: EngineConfig) -> LoadedPlugin {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = PluginEngine::new(config).unwrap();
        let plugin = engine.load(spec(component, manifest)).await.unwrap();
        if plugin.is_dynamic() {
            let tools = plugin.describe(context()).await.unwrap();
            return plugin.with_tools(tools).unwrap();
        }
        plugin
    })
}

/// The greeter, with more lines of its manifest.
pub fn greeter(guest: &str, more: &str, config: EngineConfig) -> LoadedPlugin {
    load(guests::fixture(guest), &format!("{}{more}", minimal(guest)), config)
}

/// Greets once.
pub async fn greet(plugin: &LoadedPlugin) {
    let call = ToolInvocation::new(plugin.tools()[0].key(), name(), context());
    assert_eq!(plugin.call(call).await.unwrap().content, "hello berth");
}

/// The arguments of a greeting and of an echo.
pub fn name() -> Value {
    json!({ "name": "berth" })
}

/// Says its arguments back.
pub async fn echo(plugin: &LoadedPlugin) {
    let call = ToolInvocation::new("echo", name(), context());
    assert_eq!(plugin.call(call).await.unwrap().content["name"], "berth");
}

/// The owner calls.
pub fn context() -> CallContext {
    CallContext {
        call: CallId::from_uuid(uuid::Uuid::from_u128(1)),
        operation: OperationId::from_uuid(uuid::Uuid::from_u128(2)),
        run: None,
        thread: None,
        session: None,
        workspace: WorkspaceId::fixed("personal"),
        actor: ActorId::fixed("user:self"),
        locale: String::new(),
        dry_run: false,
        idempotency_key: String::new(),
        meta: Vec::new(),
    }
}
