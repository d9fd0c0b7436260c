//! A host with an attacker and a neighbour.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Host, Options, fixture, plugin};

/// Limits that are reached in no time.
pub const LIMITS: &str = "[limits]\nmemory_bytes = 16777216\ncpu_ms = 200\ntimeout_ms = 6000\nwritten_bytes = 1048576\ncreated_files = 40\nhandles = 500\n";

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// The tool answered.
    Said(Value),
    /// The tool says that it failed.
    Sorry(Value),
    /// The host says why there is no answer.
    Code(String),
}

/// Ends with this code.
pub fn code(code: &str) -> Ended {
    Ended::Code(code.to_owned())
}

/// Answers with this.
pub fn said(value: Value) -> Ended {
    Ended::Said(value)
}

/// A running host, the plugin `echo` as the neighbour, and who attacks.
pub struct Arena {
    pub host: Host,
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Arena {
    pub fn start() -> Self {
        Self::with_config("")
    }

    /// A host with this `berth.toml`.
    pub fn with_config(config: &str) -> Self {
        let host = Host::start(Options { config: config.to_owned(), ..Options::default() });
        host.cli(&["plugin", "install", plugin("echo").to_str().unwrap()]).ok();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(100)).build().unwrap();
        let (url, token) = (host.url().to_owned(), host.token());
        let arena = Self { host, runtime, client, url, token };
        arena.neighbour_answers();
        arena
    }

    /// Installs the attacker with these lines in its manifest.
    pub fn install_attacker(&self, more: &str) {
        let component = std::fs::read(fixture("attacker")).unwrap();
        let more = format!("[[capability]]\nname = \"endpoint\"\n{more}");
        assert_eq!(self.install("attacker", &component, &more), Ended::Said(json!("installed")));
        // A generation that fails at most of its first calls is taken away from its callers; this one is to stay.
        for _ in 0..20 {
            assert_eq!(
                self.attack(json!({ "attack": "reserve_everything" })),
                said(json!({ "refused": true }))
            );
        }
    }

    /// Installs a component under an id.
    pub fn install(&self, id: &str, component: &[u8], more: &str) -> Ended {
        let manifest = format!("[plugin]\nid = \"{id}\"\nversion = \"0.1.0\"\n{more}\n");
        self.install_package(id, component, manifest.as_bytes())
    }

    /// Installs a folder with this manifest.
    pub fn install_package(&self, id: &str, component: &[u8], manifest: &[u8]) -> Ended {
        let folder = self.folder(id);
        std::fs::write(folder.join(format!("{id}.wasm")), component).unwrap();
        std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
        self.beside(async {
            let body = json!({ "path": folder });
            match self.post("/operator/plugins/install", &body).await {
                (200, _) => Ended::Said(json!("installed")),
                (_, body) => failed(&body),
            }
        })
    }

    /// A folder for a package, or for a grant.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.host.scratch().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Gives the attacker a folder.
    pub fn grant_folder(&self, guest: &str, host: &std::path::Path, access: &str) {
        let scope = json!({ "guest": guest, "host": host, "access": access });
        let body = json!({ "capability": "files", "scope": scope });
        let (status, body) = self.runtime.block_on(self.post("/operator/plugins/attacker/grants", &body));
        assert!(status < 300, "{body}");
    }

    /// One attack of the attacker, while the neighbour is called.
    pub fn attack(&self, arguments: Value) -> Ended {
        self.call("attacker_try", arguments)
    }

    /// One call, while the neighbour is called.
    pub fn call(&self, tool: &str, arguments: Value) -> Ended {
        self.beside(self.ended(tool, arguments))
    }

    /// Calls at the same time, while the neighbour is called.
    pub fn call_all(&self, calls: Vec<(&str, Value)>) -> Vec<Ended> {
        let calls = calls.into_iter().map(|(tool, arguments)| self.ended(tool, arguments));
        self.beside(futures::future::join_all(calls))
    }

    /// Does something, and has the neighbour answer all the while and once more when it is done.
    pub fn beside<T>(&self, something: impl Future<Output = T>) -> T {
        self.runtime.block_on(async {
            let mut something = std::pin::pin!(something);
            loop {
                // Both are polled: a neighbour that does not answer shows here.
                let neighbour = std::pin::pin!(self.neighbour());
                match futures::future::select(something.as_mut(), neighbour).await {
                    futures::future::Either::Left((done, neighbour)) => {
                        neighbour.await;
                        self.neighbour().await;
                        break done;
                    }
                    futures::future::Either::Right(((), _)) => {}
                }
            }
        })
    }

    pub fn neighbour_answers(&self) {
        self.runtime.block_on(self.neighbour());
    }

    /// Everything that the host and its processes said.
    pub fn output(&self) -> String {
        self.host.output()
    }

    /// A request of the operator: status and body.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.host.request(method, path, body)
    }

    async fn neighbour(&self) {
        let ended = self.ended("echo_say", json!({ "text": "still here" })).await;
        assert_eq!(ended, Ended::Said(json!({ "text": "still here" })), "the neighbour answers");
    }

    async fn ended(&self, tool: &str, arguments: Value) -> Ended {
        let body = json!({ "tool": tool, "arguments": arguments });
        match self.post("/operator/plugins/call", &body).await {
            (200, body) if body["status"] == "failed" => Ended::Sorry(body["result"].clone()),
            (200, body) => Ended::Said(body["result"].clone()),
            (_, body) => failed(&body),
        }
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }
}

fn failed(body: &Value) -> Ended {
    Ended::Code(body["error"]["code"].as_str().unwrap_or("no code").to_owned())
}

/// Collects what ended otherwise than it should, to show all of it.
#[derive(Default)]
pub struct Wrong(Vec<String>);

impl Wrong {
    pub fn check(&mut self, what: impl std::fmt::Display, ended: &Ended, expected: &Ended) {
        if ended != expected {
            let line = format!("{what}: {ended:?}, not {expected:?}");
            self.0.push(line.chars().take(600).collect());
        }
    }

    pub fn assert_none(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

/// Runs every attack of a table, and shows all that ended otherwise than they should.
pub fn assert_table(arena: &Arena, table: Vec<(Value, Ended)>) {
    let mut wrong = Wrong::default();
    for (attack, expected) in table {
        wrong.check(&attack, &arena.attack(attack.clone()), &expected);
    }
    wrong.assert_none();
}
