//! The very binary, as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

pub const BINARY: &str = env!("CARGO_BIN_EXE_berth");
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A host at work.
pub struct Host {
    child: Child,
    client: Client,
    url: String,
    /// From the start of the process until `/health` answered.
    pub took: Duration,
}

impl Host {
    /// Starts it and waits until it answers; installs what `bundled` holds.
    pub async fn start(data: &Path, bundled: Option<&Path>) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        if let Some(folder) = bundled {
            command.arg("--bundled").arg(folder);
        }
        command.env("BERTH_ACCESS_TOKEN", TOKEN).env("RUST_BACKTRACE", "0");
        // Made before the clock runs.
        let client = Client::builder().no_proxy().build().unwrap();
        let begin = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().expect("the host says that it is ready").unwrap();
        let url = line.rsplit(' ').next().unwrap().to_owned();
        let answer = client.get(format!("{url}/health")).send().await.unwrap();
        assert!(answer.status().is_success());
        Self { child, client, url, took: begin.elapsed() }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(TOKEN).json(&body);
        let answer = request.send().await.unwrap();
        let (good, body) = (answer.status().is_success(), answer.text().await.unwrap());
        assert!(good, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn thread(&self) -> String {
        let answer = self.post("/runtime/threads", json!({ "workspace_id": "personal" })).await;
        answer["thread_id"].as_str().unwrap().to_owned()
    }

    /// Calls the plugin `greeter0` over HTTP.
    pub async fn call(&self, thread: &str) {
        let body = json!({
            "thread_id": thread, "workspace_id": "personal", "operation_type": "tool_call",
            "tool_key": "greeter0_run", "arguments": { "name": "berth" },
        });
        assert_eq!(self.post("/runtime/operations", body).await["result"], "hello berth");
    }

    /// A line of `/proc/PID/status`, in MiB; 0 where there is none.
    pub fn memory(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
    }

    pub fn stop(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap();
    }
}
