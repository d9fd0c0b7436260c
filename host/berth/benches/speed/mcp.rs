//! The same echo from a server of the Model Context Protocol, in Node over standard input and output.
//!
//! `cargo xtask bench` installs the server and names its script in `BERTH_MCP_SERVER`; without it the part is left out.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use berth_wasm::call::ready::InstancePolicy;
use futures::FutureExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;

use super::measure::Way;
use super::report::{Aim, Report};
use super::{guests, plugins};

/// The server takes one call after another, so more callers show what a queue costs there.
const CALLERS: [usize; 4] = [1, 4, 8, 64];

/// The echo of our engine beside the one of the server.
pub fn echo(report: &mut Report) {
    let Some(script) = std::env::var_os("BERTH_MCP_SERVER") else {
        println!("mcp: left out, BERTH_MCP_SERVER names no server (cargo xtask bench installs one)");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start(script));
    let manifest = plugins::minimal("bench-dynamic");
    let plugin = plugins::load(guests::fixture("bench-dynamic"), &manifest, plugins::crowded());
    // As the server does it: what one call leaves behind is there in the next.
    let wish = format!("{manifest}[limits]\ninstances = \"pool\"\n");
    let instances = InstancePolicy { pool: true, ..InstancePolicy::default() };
    let config = berth_wasm::EngineConfig { instances, ..plugins::crowded() };
    let pooled = plugins::load(guests::fixture("bench-dynamic"), &wish, config);
    for callers in CALLERS {
        let (asked, loaded, kept) = (server.clone(), plugin.clone(), pooled.clone());
        let ours = Way::in_tasks("echo: berth's engine, fresh instance", &runtime, move |_| {
            let plugin = loaded.clone();
            async move { plugins::echo(&plugin).await }.boxed()
        });
        let again = Way::in_tasks("echo: berth's engine, used instance", &runtime, move |_| {
            let plugin = kept.clone();
            async move { plugins::echo(&plugin).await }.boxed()
        });
        let theirs = Way::in_tasks("echo: MCP server in Node over stdio", &runtime, move |_| {
            let asked = asked.clone();
            async move { asked.echo().await }.boxed()
        });
        let figures = report.compare(callers, &[theirs, ours, again]);
        let mut aim = |way: &str, what: &str, times: f64| {
            let what = format!("echo of {way} beside an MCP server in Node, callers: {callers}, {what}");
            report.aim(&what, times, "×", Aim::AtLeast(10.0));
        };
        for (way, ours) in [("a fresh instance", figures[1]), ("a used instance", figures[2])] {
            // More callers than cores wait for a core, or for the server.
            if callers == 1 {
                aim(way, "p50", 1.0 / ours.times_p50);
            }
            aim(way, "p99", 1.0 / ours.times_p99);
            aim(way, "calls/s", ours.times_rate);
        }
    }
}

/// A running server; it ends with the last owner.
struct Server {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next: AtomicU64,
    _process: Child,
}

impl Server {
    async fn start(script: std::ffi::OsString) -> Arc<Self> {
        let mut process = Command::new("node")
            .arg(script)
            .arg("stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let waiting = Arc::<Mutex<HashMap<u64, oneshot::Sender<Value>>>>::default();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let answered = waiting.clone();
        tokio::spawn(async move {
            while let Some(line) = lines.next_line().await.unwrap() {
                let message: Value = serde_json::from_str(&line).unwrap();
                let waiter = message["id"].as_u64().and_then(|id| answered.lock().unwrap().remove(&id));
                if let Some(waiter) = waiter {
                    // A caller that is gone waits for nothing.
                    drop(waiter.send(message));
                }
            }
        });
        let input = tokio::sync::Mutex::new(process.stdin.take().unwrap());
        let server = Arc::new(Self { input, waiting, next: AtomicU64::new(1), _process: process });
        let client = json!({ "name": "bench", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        assert!(server.ask("initialize", hello).await["result"]["serverInfo"].is_object());
        server.write(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        server
    }

    async fn echo(&self) {
        let params = json!({ "name": "echo", "arguments": { "message": "berth" } });
        let answer = self.ask("tools/call", params).await;
        assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("berth"), "{answer}");
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id, sender);
        self.write(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        answer.await.unwrap()
    }

    async fn write(&self, message: &Value) {
        let line = format!("{message}\n");
        let mut input = self.input.lock().await;
        input.write_all(line.as_bytes()).await.unwrap();
        input.flush().await.unwrap();
    }
}
