//! The bundled plugins, as built: they install, ask for what they use, and answer.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_model::plugin::GrantMode;
use berth_wasm::capability::endpoint::{EndpointCaller, EndpointInfo};
use berth_wasm::capability::grants::{Fixed, GrantView, Granted};
use berth_wasm::capability::{Capability, CapabilityError, context::CallContext};
use berth_wasm::inspect::{Inspection, inspect};
use berth_wasm::{CallError, CallOutcome, Docs, LoadedPlugin, Manifest, ToolInvocation};
use serde_json::{Value, json};
use support::host::plugin_folder;
use support::*;
use tokio_util::sync::CancellationToken;

fn manifest_of(folder: &Path) -> Manifest {
    Manifest::parse(&std::fs::read_to_string(folder.join("plugin.toml")).unwrap()).unwrap()
}

fn component_of(folder: &Path) -> Vec<u8> {
    let file = manifest_of(folder).component.unwrap();
    std::fs::read(folder.join(file)).unwrap()
}

fn inspected(folder: &Path) -> Inspection {
    let wit = folder.join("wit");
    let docs = if wit.exists() { Docs::from_folder(&wit).unwrap() } else { Docs::default() };
    inspect(&component_of(folder), &manifest_of(folder), &docs).unwrap()
}

/// A loaded plugin with grants.
struct Plugin {
    loaded: LoadedPlugin,
    grants: Arc<GrantView>,
    endpoints: Arc<Pi>,
}

impl Plugin {
    async fn start(folder: &Path, capability: Capability, scopes: &[Value]) -> Self {
        let manifest = manifest_of(folder);
        let requests = manifest.requests.clone();
        let grants =
            scopes.iter().map(|scope| Granted { capability, scope: scope.clone(), mode: GrantMode::Allow });
        let grants = Arc::new(GrantView::new(1, &manifest.id, requests, grants.collect()));
        let loaded = load_bytes(&engine(), component_of(folder), manifest).await;
        Self { loaded, grants, endpoints: Arc::new(Pi::default()) }
    }

    /// Calls the tool that models know as `name`.
    async fn call(&self, name: &str, arguments: Value) -> Result<CallOutcome, CallError> {
        let tool = self.loaded.tools().iter().find(|tool| tool.name == name).unwrap();
        let mut invocation = ToolInvocation::new(tool.key(), arguments, context());
        invocation.grants = Arc::new(Fixed(self.grants.clone()));
        invocation.services.endpoints = self.endpoints.clone();
        self.loaded.call(invocation).await
    }

    /// What a call that works answers.
    async fn answer(&self, name: &str, arguments: Value) -> Value {
        let outcome = self.call(name, arguments).await.unwrap();
        assert!(!outcome.is_error, "{}", outcome.content);
        outcome.content
    }

    /// The code of the error that the tool answers with.
    async fn refusal(&self, name: &str, arguments: Value) -> Value {
        let outcome = self.call(name, arguments).await.unwrap();
        assert!(outcome.is_error, "{}", outcome.content);
        outcome.content["code"].clone()
    }
}

/// One connected Raspberry Pi that reads every pin as high.
#[derive(Default)]
struct Pi {
    heard: Mutex<Vec<(String, Value)>>,
}

#[async_trait]
impl EndpointCaller for Pi {
    async fn list(&self, _: &str, _: &CallContext) -> Result<Vec<EndpointInfo>, CapabilityError> {
        Ok(vec![EndpointInfo {
            endpoint_id: "rpi.kitchen.executor".to_owned(),
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
        let answer = json!({ "pin": arguments["pin"], "value": true });
        self.heard.lock().unwrap().push((tool_key.to_owned(), arguments));
        Ok(answer)
    }
}

#[test]
fn every_bundled_plugin_passes_inspection_without_a_warning() {
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("clock", &["clock_add", "clock_now", "clock_parse"], &[]),
        ("echo", &[], &[]),
        ("files", &["files_edit", "files_list", "files_read", "files_search", "files_write"], &["files"]),
        ("gpio", &["gpio_devices", "gpio_pulse", "gpio_read", "gpio_set", "gpio_write"], &["endpoint"]),
    ];
    for (id, tools, capabilities) in cases {
        let folder = plugin_folder(id);

        let report = inspected(&folder);

        let mut names: Vec<_> = report.tools.iter().map(|tool| tool.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, tools, "{id}");
        assert_eq!(report.warnings, [""; 0], "{id}");
        assert_eq!(report.capabilities, capabilities, "{id}");
        let silent: Vec<_> = report.tools.iter().filter(|tool| tool.description.is_empty()).collect();
        assert!(silent.is_empty(), "{id}: {silent:?}");
        let foreign: Vec<_> = report
            .imports
            .iter()
            .filter(|import| !import.name.starts_with("wasi:") && !import.name.starts_with("berth:plugin/"))
            .collect();
        assert!(foreign.is_empty(), "{id}: {foreign:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_reads_and_writes_where_it_is_granted() {
    let folder = plugin_folder("files");
    let granted = tempfile::tempdir().unwrap();
    std::fs::write(granted.path().join("a.txt"), "one\ntwo\n").unwrap();
    let scope = json!({ "guest": "/", "host": granted.path(), "access": "rw" });
    let files = Plugin::start(&folder, Capability::Files, &[scope]).await;

    let listing = files.answer("files_list", json!({ "path": "." })).await;
    assert_eq!(listing["entries"][0], json!({ "name": "a.txt", "kind": "file", "size": 8 }));
    let read = files.answer("files_read", json!({ "path": "a.txt", "offset": 1 })).await;
    assert_eq!(read["content"], "two\n");
    files.answer("files_edit", json!({ "path": "/a.txt", "old": "two", "new": "2" })).await;
    files.answer("files_write", json!({ "path": "b/c.txt", "content": "x", "parents": true })).await;
    let found = files.answer("files_search", json!({ "text": "2" })).await;
    assert_eq!(found["hits"][0]["path"], "/a.txt");

    assert_eq!(std::fs::read_to_string(granted.path().join("a.txt")).unwrap(), "one\n2\n");
    assert_eq!(std::fs::read_to_string(granted.path().join("b/c.txt")).unwrap(), "x");
    assert_eq!(files.refusal("files_read", json!({ "path": "none" })).await, "not_found");
    assert_eq!(files.refusal("files_read", json!({ "path": "../x" })).await, "denied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_is_denied_what_nobody_granted_and_says_so() {
    let folder = plugin_folder("files");
    let granted = tempfile::tempdir().unwrap();
    std::fs::write(granted.path().join("a.txt"), "one").unwrap();
    std::os::unix::fs::symlink("/etc", granted.path().join("out")).unwrap();
    let read_only = json!({ "guest": "/", "host": granted.path(), "access": "ro" });

    let nothing = Plugin::start(&folder, Capability::Files, &[]).await;
    assert_eq!(nothing.refusal("files_list", json!({})).await, "denied");
    assert_eq!(nothing.refusal("files_write", json!({ "path": "a", "content": "" })).await, "denied");

    let reader = Plugin::start(&folder, Capability::Files, &[read_only]).await;
    assert_eq!(reader.answer("files_read", json!({ "path": "a.txt" })).await["content"], "one");
    let two = json!({ "path": "a.txt", "content": "two" });
    assert_eq!(reader.refusal("files_write", two).await, "denied");
    assert_eq!(reader.refusal("files_read", json!({ "path": "out/passwd" })).await, "denied");
    assert_eq!(std::fs::read_to_string(granted.path().join("a.txt")).unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gpio_reaches_the_pi_only_with_a_grant() {
    let folder = plugin_folder("gpio");
    let scope = json!({ "tools": ["rpi.gpio.read"] });

    let gpio = Plugin::start(&folder, Capability::Endpoint, &[scope]).await;
    assert_eq!(gpio.answer("gpio_read", json!({ "pin": 17 })).await, json!({ "pin": 17, "value": true }));
    let refused = gpio.refusal("gpio_write", json!({ "pin": 17, "value": true })).await;
    assert_eq!(refused, "PERMISSION_DENIED");
    assert_eq!(*gpio.endpoints.heard.lock().unwrap(), [("rpi.gpio.read".into(), json!({ "pin": 17 }))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clock_and_echo_need_no_grant() {
    let clock = Plugin::start(&plugin_folder("clock"), Capability::Files, &[]).await;
    let asked = json!({ "text": "friday 9am", "zone": "Europe/Berlin", "base": "2026-04-29 12:00" });
    assert_eq!(clock.answer("clock_parse", asked).await["utc"], "2026-05-01T07:00:00Z");
    assert_eq!(clock.refusal("clock_now", json!({ "zone": "Mars" })).await, "unknown_zone");

    let echo = Plugin::start(&plugin_folder("echo"), Capability::Files, &[]).await;
    assert_eq!(echo.answer("echo_reverse", json!({ "text": "berth" })).await["text"], "htreb");
}
