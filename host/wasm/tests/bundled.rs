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
        let grants = scopes.iter().map(|scope| Granted {
            capability,
            scope: scope.clone().into(),
            mode: GrantMode::Allow,
        });
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
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("calc", &["calc_convert", "calc_evaluate", "calc_units"], &[]),
        ("clock", &["clock_add", "clock_between", "clock_next", "clock_now", "clock_parse"], &[]),
        ("echo", &[], &[]),
        (
            "files",
            &[
                "files_changed",
                "files_diff",
                "files_edit",
                "files_list",
                "files_move",
                "files_read",
                "files_search",
                "files_tree",
                "files_write",
            ],
            &["files"],
        ),
        (
            "gpio",
            &[
                "gpio_devices",
                "gpio_pulse",
                "gpio_read",
                "gpio_set",
                "gpio_status",
                "gpio_watch",
                "gpio_write",
            ],
            &["endpoint", "config"],
        ),
        ("http", &["http_read", "http_send"], &["http"]),
        (
            "notes",
            &[
                "notes_add",
                "notes_change",
                "notes_get",
                "notes_list",
                "notes_remove",
                "notes_search",
                "notes_tags",
            ],
            &["keyvalue"],
        ),
        ("shell", &["shell_allowed", "shell_run"], &["process"]),
        ("web", &["web_feed", "web_read", "web_search"], &["http", "config"]),
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
    let moved = json!({ "source": "b/c.txt", "target": "a.txt" });
    assert_eq!(files.refusal("files_move", moved).await, "exists");
    files.answer("files_move", json!({ "source": "b", "target": "d" })).await;
    let tree = files.answer("files_tree", json!({})).await;
    assert_eq!(tree["text"], "a.txt  6\nd/\n  c.txt  1\n");
    let diff = files.answer("files_diff", json!({ "path": "a.txt", "text": "one\n" })).await;
    assert_eq!((&diff["removed"], &diff["added"]), (&json!(1), &json!(0)));
    let changed = files.answer("files_changed", json!({ "since_ms": 0 })).await;
    assert_eq!(changed["files"].as_array().unwrap().len(), 2);
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
    assert_eq!(reader.refusal("files_move", json!({ "source": "a.txt", "target": "b" })).await, "denied");
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
    let quiet = gpio.answer("gpio_watch", json!({ "pin": 17, "until": false, "timeout_ms": 300 })).await;
    assert_eq!((&quiet["happened"], &quiet["waited_ms"]), (&json!(false), &json!(300)));
    assert_eq!(gpio.endpoints.heard.lock().unwrap().len(), 4, "asked at once, on the way, and at the end");
    let at_once = gpio.answer("gpio_watch", json!({ "pin": 17, "until": true })).await;
    assert_eq!(at_once, json!({ "happened": true, "value": true, "waited_ms": 0 }));
    assert_eq!(gpio.refusal("gpio_status", json!({ "device_id": "lamp" })).await, "PERMISSION_DENIED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clock_and_echo_need_no_grant() {
    let clock = Plugin::start(&plugin_folder("clock"), Capability::Files, &[]).await;
    let asked = json!({ "text": "friday 9am", "zone": "Europe/Berlin", "base": "2026-04-29 12:00" });
    assert_eq!(clock.answer("clock_parse", asked).await["utc"], "2026-05-01T07:00:00Z");
    assert_eq!(clock.refusal("clock_now", json!({ "zone": "Mars" })).await, "unknown_zone");
    let rule = json!({ "rule": "every weekday at 9:00", "base": "2026-05-01 12:00", "count": 2 });
    let next = clock.answer("clock_next", rule).await;
    assert_eq!((&next[0]["utc"], &next[1]["weekday"]), (&json!("2026-05-04T09:00:00Z"), &json!("Tuesday")));
    let span = json!({ "start": "2026-05-01 12:00", "end": "2026-05-02 13:30" });
    assert_eq!(clock.answer("clock_between", span).await["words"], "1 day 1 hour 30 minutes");

    let echo = Plugin::start(&plugin_folder("echo"), Capability::Files, &[]).await;
    assert_eq!(echo.answer("echo_reverse", json!({ "text": "berth" })).await["text"], "htreb");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calc_is_exact_without_a_grant() {
    let calc = Plugin::start(&plugin_folder("calc"), Capability::Files, &[]).await;

    let sum = calc.answer("calc_evaluate", json!({ "expression": "0.1 + 0.2" })).await;
    let warm = calc.answer("calc_convert", json!({ "value": "100", "source": "C", "target": "F" })).await;

    assert_eq!(sum, json!({ "value": "0.3", "exact": true }));
    assert_eq!(warm, json!({ "value": "212", "unit": "F", "exact": true }));
    let deep = json!({ "expression": "(".repeat(4096) });
    assert_eq!(calc.refusal("calc_evaluate", deep).await, "too_large");
    assert_eq!(calc.refusal("calc_evaluate", json!({ "expression": "1 / 0" })).await, "divided_by_zero");
}

/// The least that a plugin is: its WIT and one function.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_is_a_wit_and_eight_lines_and_a_small_file() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/hello/src/lib.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let lines = source.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 8, "{lines} lines:\n{source}");

    let file = support::host::fixture_file("hello");
    let component = std::fs::read(&file).unwrap();
    assert!(component.len() < 60_000, "{} bytes", component.len());

    let manifest = manifest("");
    let hello = load_bytes(&engine(), component, manifest).await;
    let outcome = call(&hello, &hello.tools()[0].key(), json!({ "name": "Ada" })).await.unwrap();
    assert_eq!(outcome.content, json!("Hello, Ada!"));
}
