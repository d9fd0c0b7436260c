//! The harness of the engine's stories: an engine, plugins made of text, calls.
#![allow(dead_code, clippy::unwrap_used)]

pub mod core_world;
#[cfg(target_os = "linux")]
pub mod echo;
pub mod host;
#[cfg(target_os = "linux")]
pub mod memory;
pub mod net;
pub mod vault;
pub mod wires;

use std::sync::Arc;
use std::time::Duration;

use berth_core::port::clock::Clock;
use berth_model::{ActorId, CallId, OperationId, Timestamp, WorkspaceId};
use berth_wasm::capability::context::CallContext;
use berth_wasm::{
    CallError, CallOutcome, ComponentSource, Docs, EngineConfig, LoadedPlugin, Manifest, PluginEngine,
    PluginSpec, Pooling, ToolInvocation,
};
use serde_json::Value;

pub struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_777_593_600_000_000)
    }
}

pub fn config() -> EngineConfig {
    let mut config = EngineConfig::new(Arc::new(StoppedClock));
    config.slots = 16;
    config.tick = Duration::from_millis(5);
    config
}

pub fn engine() -> PluginEngine {
    PluginEngine::new(config()).unwrap()
}

pub fn on_demand() -> PluginEngine {
    PluginEngine::new(EngineConfig { pooling: Pooling::Off, ..config() }).unwrap()
}

pub fn context() -> CallContext {
    CallContext {
        call: CallId::from_uuid(uuid::Uuid::from_u128(1)),
        operation: OperationId::from_uuid(uuid::Uuid::from_u128(2)),
        run: None,
        thread: None,
        session: None,
        workspace: WorkspaceId::fixed("home"),
        actor: ActorId::fixed("user:self"),
        locale: "en".to_owned(),
        dry_run: false,
        idempotency_key: "key".to_owned(),
        meta: Vec::new(),
    }
}

pub fn manifest(more: &str) -> Manifest {
    Manifest::parse(&format!("[plugin]\nid = \"test\"\nversion = \"0.1.0\"\n{more}")).unwrap()
}

pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Inspects and loads a component made of text.
pub async fn load(engine: &PluginEngine, text: &str, more: &str) -> LoadedPlugin {
    load_bytes(engine, component(text), manifest(more)).await
}

pub async fn load_bytes(engine: &PluginEngine, bytes: Vec<u8>, manifest: Manifest) -> LoadedPlugin {
    let inspection = berth_wasm::inspect::inspect(&bytes, &manifest, &Docs::default()).unwrap();
    let spec = PluginSpec {
        digest: inspection.digest,
        component: ComponentSource::Bytes(bytes.into()),
        manifest: Arc::new(manifest),
        tools: inspection.tools,
    };
    let plugin = engine.load(spec).await.unwrap();
    if inspection.is_dynamic {
        let tools = plugin.describe(context()).await.unwrap();
        return plugin.with_tools(tools).unwrap();
    }
    plugin
}

pub async fn call(plugin: &LoadedPlugin, tool: &str, arguments: Value) -> Result<CallOutcome, CallError> {
    plugin.call(ToolInvocation::new(tool, arguments, context())).await
}

/// Exports `run`, a function without parameters and result, whose core is `body`.
pub fn runs(body: &str) -> String {
    format!(
        r#"(component
            (core module $m {body})
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    )
}

/// Adds one and answers.
pub const ADD: &str = r#"(component
    (core module $m (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))
    (core instance $i (instantiate $m))
    (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#;

pub const SPIN: &str = r#"(func (export "run") (loop br 0))"#;

/// Grows its memory until it is refused, then gives up.
pub const EAT: &str = r#"(memory 1) (func (export "run")
    (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable)"#;

pub const RECURSE: &str = r#"(func $f (export "run") (call $f))"#;

/// Waits for an hour inside a host function.
pub const WAIT: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $p (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core module $m
        (import "" "block" (func $block (param i32)))
        (import "" "subscribe" (func $subscribe (param i64) (result i32)))
        (func (export "run") (call $block (call $subscribe (i64.const 3600000000000)))))
    (core instance $i (instantiate $m (with "" (instance
        (export "block" (func $block)) (export "subscribe" (func $subscribe))))))
    (func (export "run") (canon lift (core func $i "run"))))"#;

/// Answers a text of `length` bytes.
pub const LONG: &str = r#"(component
    (core module $m
        (memory (export "memory") 400)
        (func (export "run") (param i32) (result i32)
            (memory.fill (i32.const 16) (i32.const 97) (local.get 0))
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (local.get 0))
            (i32.const 0)))
    (core instance $i (instantiate $m))
    (func (export "run") (param "length" u32) (result string)
        (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#;
