//! What a start of the host costs: time to `/health`, the first call, memory at rest, size of the program.
//!
//! `cargo xtask guests && cargo bench -p berth --bench start`. Starts the very binary, on a data folder beside what was
//! built, whose plugins are installed and compiled. Nothing here fails because it was slow.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for its own author")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_berth");
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ROUNDS: usize = 11;
/// Calls after the first one.
const CALLS: usize = 50;
/// How long the host rests before its memory is looked at.
const REST: Duration = Duration::from_millis(1500);

fn main() {
    // `cargo test --all-targets` starts this too.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let megabytes = std::fs::metadata(BINARY).unwrap().len() as f64 / 1e6;
    println!("program: {megabytes:.1} MB");
    println!(
        "\n| cached plugins | ready p50 ms | most | first call ms | later calls p50 ms | RSS MiB | anonymous |"
    );
    println!("|---|---|---|---|---|---|---|");
    for plugins in [0, 5, 20] {
        println!("{}", runtime.block_on(starts(plugins)));
    }
}

async fn starts(plugins: usize) -> String {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, packages) = (place.path().join("data"), place.path().join("plugins"));
    packed(&packages, plugins);
    // Installs and compiles; what follows finds everything there.
    Host::start(&data, Some(&packages)).await.stop();

    let mut ready = Vec::new();
    let (mut first, mut later, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let host = Host::start(&data, None).await;
        ready.push(millis(host.took));
        if plugins > 0 {
            let mut calls = Vec::new();
            let thread = host.thread().await;
            for _ in 0..=CALLS {
                let begin = Instant::now();
                host.call(&thread).await;
                calls.push(millis(begin.elapsed()));
            }
            first.push(calls.remove(0));
            later.extend(calls);
        }
        host.stop();
    }
    let host = Host::start(&data, None).await;
    tokio::time::sleep(REST).await;
    memory.push((host.memory("VmRSS:"), host.memory("RssAnon:")));
    host.stop();
    let most = ready.iter().copied().fold(0.0, f64::max);
    let (ready, first, later) = (median(ready), median(first), median(later));
    let (resident, anonymous) = memory[0];
    format!(
        "| {plugins} | {ready:.0} | {most:.0} | {first:.2} | {later:.2} | {resident:.1} | {anonymous:.1} |"
    )
}

/// So many plugin folders: the bundled ones and the greeter, again and again under other names.
fn packed(to: &Path, plugins: usize) {
    std::fs::create_dir_all(to).unwrap();
    for number in 0..plugins {
        let folder = to.join(format!("p{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        let names = ["greeter", "clock", "echo", "files", "gpio"];
        let name = names[number % names.len()];
        let (manifest, file, component) = if name == "greeter" {
            let manifest =
                "[plugin]\nid = \"greeter\"\nversion = \"0.1.0\"\n[component]\nfile = \"greeter.wasm\"\n";
            (manifest.to_owned(), "greeter.wasm".to_owned(), built("fixtures").join("bench-typed.wasm"))
        } else {
            let from = built("plugins").join(name);
            let file = format!("{name}.wasm");
            (std::fs::read_to_string(from.join("plugin.toml")).unwrap(), file.clone(), from.join(file))
        };
        let own = format!("id = \"{name}{number}\"");
        let manifest = manifest.replacen(&format!("id = \"{name}\""), &own, 1);
        std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
        let mut component = std::fs::read(&component).unwrap_or_else(|error| {
            panic!("{}: {error}: run `cargo xtask guests` first", component.display())
        });
        // A custom section with a number as its name: another component for the cache.
        let mark = format!("{number:02}");
        component.extend([0, 1 + mark.len() as u8, mark.len() as u8]);
        component.extend(mark.bytes());
        std::fs::write(folder.join(file), component).unwrap();
    }
}

fn built(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target").join(folder)
}

struct Host {
    child: Child,
    client: Client,
    url: String,
    /// From the start of the process until `/health` answered.
    took: Duration,
}

impl Host {
    async fn start(data: &Path, bundled: Option<&Path>) -> Self {
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

    async fn thread(&self) -> String {
        let answer = self.post("/runtime/threads", json!({ "workspace_id": "personal" })).await;
        answer["thread_id"].as_str().unwrap().to_owned()
    }

    async fn call(&self, thread: &str) {
        let body = json!({
            "thread_id": thread, "workspace_id": "personal", "operation_type": "tool_call",
            "tool_key": "greeter0_run", "arguments": { "name": "berth" },
        });
        assert_eq!(self.post("/runtime/operations", body).await["result"], "hello berth");
    }

    /// A line of `/proc/PID/status`, in MiB; 0 where there is none.
    fn memory(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
    }

    fn stop(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap();
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
