//! The self-test of the sandbox: a hostile component tries every forbidden thing, and each try is told.
//!
//! The component is part of the program (`../probe/probe.wasm`, made of the two files beside it by a test), each of its
//! functions tries one thing and comes back with 1000 where nothing stops it. To add a try: a function there, a line in
//! `tries`.

mod folders;
mod network;
mod tries;

use std::sync::Arc;
use std::time::Instant;

use berth_model::plugin::GrantMode;
use berth_model::{ActorId, CallId, OperationId, WorkspaceId};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wasmtime::component::Linker;

use crate::call::ToolInvocation;
use crate::call::state::PluginState;
use crate::capability::Capability;
use crate::capability::context::CallContext;
use crate::capability::grants::{Fixed, GrantView, Granted};
use crate::capability::services::Services;
use crate::engine::{EngineConfig, PluginEngine};
use crate::error::{CallError, EngineError, InstallError, LoadError};
use crate::inspect::{Docs, inspect};
use crate::limits::{self, KEYS, Limits};
use crate::manifest::{Manifest, ManifestError};
use crate::plugin::{ComponentSource, LoadedPlugin, PluginSpec};
use folders::Folders;
use network::{Gaps, REQUESTS, Recorder, Request};
use tries::{Says, TRIES};

/// The component that tries.
pub const COMPONENT: &[u8] = include_bytes!("../probe/probe.wasm");

/// What came of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Blocked,
    Allowed,
    NotApplicable,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub name: String,
    pub outcome: Outcome,
    /// What stopped it, or what was seen of it.
    pub by: String,
    pub ms: u64,
}

impl Row {
    /// A try that was begun at `begin`.
    pub fn new(name: &str, begin: Instant, outcome: Outcome, by: impl Into<String>) -> Self {
        let ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        Self { name: name.to_owned(), outcome, by: by.into(), ms }
    }
}

/// Why the self-test could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("the engine of the self-test cannot start")]
    Engine(#[from] EngineError),
    #[error("the component of the self-test cannot be inspected")]
    Inspect(#[from] InstallError),
    #[error("the component of the self-test cannot be loaded")]
    Load(#[from] LoadError),
    #[error("the manifest of the self-test is not right")]
    Manifest(#[from] ManifestError),
    #[error("the folders of the self-test cannot be made")]
    Folders(#[from] std::io::Error),
}

/// The self-test, with the walls as they are. Needs no host, no data folder and no network.
pub struct Probe {
    engine: EngineConfig,
    limits: Limits,
    /// Core instances of the one component that makes more.
    core_instances: usize,
    keeps_read_only: bool,
    gaps: Gaps,
    /// What is put in the place of the host's functions; nothing outside of the tests of the self-test.
    instead: Instead,
}

type Instead = fn(&mut Linker<PluginState>) -> wasmtime::Result<()>;

impl Probe {
    /// `engine` is what plugins run in; the limits of the tries are those of plugins, with less time.
    pub fn new(mut engine: EngineConfig) -> Self {
        let limits = Limits {
            memory_bytes: 32 << 20,
            cpu: std::time::Duration::from_millis(300),
            wall: std::time::Duration::from_millis(1500),
            written_bytes: 1 << 20,
            created_files: 20,
            concurrent_calls: 2,
            ..Limits::default()
        };
        // The tries are the same whatever the operator has set.
        engine.ceilings = Limits::ceilings();
        engine.stack_bytes = limits::STACK_BYTES;
        engine.cache = None;
        let (keeps_read_only, core_instances) = (true, 1);
        Self { engine, limits, core_instances, keeps_read_only, gaps: Gaps::default(), instead: |_| Ok(()) }
    }

    /// The same without one wall, to see that the try behind it is told as allowed. Configuration cannot get here.
    #[doc(hidden)]
    #[must_use]
    pub fn without(mut self, wall: &str) -> Self {
        let limits = &mut self.limits;
        let long = std::time::Duration::from_secs(60);
        match wall {
            "cpu" => (limits.cpu, limits.wall) = (long, long),
            "wall" => limits.wall = long,
            "memory" => limits.memory_bytes = 200 << 20,
            "table" => limits.table_elements = 100_000,
            "stack" => self.engine.stack_bytes = 16 << 20,
            "handles" => limits.handles = 65_536,
            "logs" => limits.log_lines = 100_000,
            "line" => limits.log_line_bytes = 64 << 10,
            "data" => (limits.hostcall_bytes, limits.output_bytes) = (2 << 30, 2 << 30),
            "output" => limits.output_bytes = 2 << 30,
            "random" => limits.random_bytes = 8 << 20,
            "written" => limits.written_bytes = 1 << 30,
            "created" => limits.created_files = 100_000,
            "calls" => limits.concurrent_calls = 32,
            "instances" => self.core_instances = crate::limits::CORE_INSTANCES,
            "read-only" => self.keeps_read_only = false,
            "addresses" => self.gaps.addresses = true,
            "hosts" => self.gaps.hosts = true,
            _ => {}
        }
        for key in KEYS {
            let wide = (key.value)(&self.limits).max((key.value)(&self.engine.ceilings));
            let set: crate::limits::Wishes =
                toml::from_str(&format!("{} = {wide}", key.name)).unwrap_or_default();
            self.engine.ceilings = set.over(&self.engine.ceilings);
        }
        self
    }

    /// Tries everything, one after another. `gigabyte` tells how many megabytes the largest answer has.
    pub async fn run(self) -> Result<Vec<Row>, ProbeError> {
        self.run_some(|_| true, 1024).await
    }

    /// The tries of these names.
    #[doc(hidden)]
    pub async fn run_some(
        self,
        wanted: impl Fn(&str) -> bool,
        answer_megabytes: u32,
    ) -> Result<Vec<Row>, ProbeError> {
        let folders = Folders::make()?;
        let engine = PluginEngine::linked(self.engine.clone(), self.instead)?;
        let plugin = self.load(&engine, self.limits.core_instances).await?;
        let crowded = self.load(&engine, self.core_instances).await?;
        let (recorder, outlet) = Recorder::outlet();
        let stage = Stage {
            plugin,
            crowded,
            folders,
            limits: self.limits,
            keeps_read_only: self.keeps_read_only,
            gaps: self.gaps,
            recorder,
            services: Services::none().with_http(outlet),
        };
        let mut rows = Vec::new();
        for attempt in TRIES.iter().filter(|attempt| wanted(attempt.name)) {
            let arguments = match attempt.name {
                "answer-1-gib" => json!({ "megabytes": answer_megabytes }),
                "answer-2-mib" => json!({ "megabytes": 2 }),
                _ => json!({}),
            };
            rows.push(stage.attempt(attempt, arguments).await);
        }
        if wanted("ignored-cancel") {
            rows.push(stage.cancel().await);
        }
        if wanted("core-instances") {
            rows.push(stage.instances().await);
        }
        if wanted("concurrent-calls") {
            rows.push(stage.crowd().await);
        }
        for request in REQUESTS.iter().filter(|request| wanted(request.name)) {
            rows.push(stage.request(request).await);
        }
        rows.extend(files_that_are_no_plugins().into_iter().filter(|row| wanted(&row.name)));
        Ok(rows)
    }

    fn manifest(&self, core_instances: usize) -> Result<Manifest, ManifestError> {
        let limits = Limits { core_instances, ..self.limits.clone() };
        let limits: String =
            KEYS.iter().map(|key| format!("{} = {}\n", key.name, (key.value)(&limits))).collect();
        let hosts = json!(self.gaps.hosts());
        let http = format!("[[capability]]\nname = \"http\"\nscope = {{ hosts = {hosts} }}\n");
        Manifest::parse(&format!("{MANIFEST}{http}[limits]\n{limits}"))
    }

    async fn load(&self, engine: &PluginEngine, core_instances: usize) -> Result<LoadedPlugin, ProbeError> {
        let manifest = self.manifest(core_instances)?;
        let inspection = inspect(COMPONENT, &manifest, &Docs::default())?;
        let spec = PluginSpec {
            digest: inspection.digest,
            component: ComponentSource::Bytes(COMPONENT.into()),
            manifest: Arc::new(manifest),
            tools: inspection.tools,
        };
        Ok(engine.load(spec).await?)
    }
}

const MANIFEST: &str = r#"
[plugin]
id = "probe"
version = "0.1.0"
[[capability]]
name = "files"
scope = { guest = "/rw", access = "rw" }
[[capability]]
name = "files"
scope = { guest = "/keep", access = "rw" }
[[capability]]
name = "endpoint"
"#;

/// A loaded probe with its folders.
struct Stage {
    plugin: LoadedPlugin,
    /// The same component where it may make fewer core instances than it does.
    crowded: LoadedPlugin,
    folders: Folders,
    limits: Limits,
    keeps_read_only: bool,
    gaps: Gaps,
    recorder: Arc<Recorder>,
    services: Services,
}

impl Stage {
    fn invocation(&self, tool: &str, arguments: Value) -> ToolInvocation {
        let granted = |guest: &str, access: &str| Granted {
            capability: Capability::Files,
            scope: json!({ "guest": guest, "host": self.folders.path(guest), "access": access }).into(),
            mode: GrantMode::Allow,
        };
        let keep = if self.keeps_read_only { "ro" } else { "rw" };
        let requests = self.plugin.manifest().requests.clone();
        let scope = self.gaps.scope().into();
        let http = Granted { capability: Capability::Http, scope, mode: GrantMode::Allow };
        let grants = vec![granted("/rw", "rw"), granted("/keep", keep), http];
        let mut invocation = ToolInvocation::new(tool, arguments, context());
        invocation.services = self.services.clone();
        invocation.grants = Arc::new(Fixed(Arc::new(GrantView::new(1, "probe", requests, grants))));
        invocation
    }

    async fn attempt(&self, attempt: &tries::Try, arguments: Value) -> Row {
        let begin = Instant::now();
        let ended = self.plugin.call(self.invocation(attempt.tool, arguments)).await;
        let row = |outcome, by: String| Row::new(attempt.name, begin, outcome, by);
        match (ended, attempt.says) {
            // On a busy machine the time of the whole call may be up first.
            (Err(error @ CallError::Timeout { .. }), Says::Code("PLUGIN_CPU_LIMIT")) => {
                row(Outcome::Blocked, error.code().to_owned())
            }
            (Err(error), Says::Code(code)) if error.code() == code => row(Outcome::Blocked, code.to_owned()),
            (Err(error), _) => row(Outcome::Allowed, format!("ended with {}: {error}", error.code())),
            (Ok(outcome), Says::CutLogs) => {
                let (kept, dropped) = (outcome.receipt.logs.len(), outcome.receipt.dropped_log_lines);
                let is_cut = kept <= Limits::default().log_lines && dropped > 0;
                let by = format!("{kept} lines kept, {dropped} dropped");
                row(if is_cut { Outcome::Blocked } else { Outcome::Allowed }, by)
            }
            (Ok(outcome), Says::CutLine) => {
                let most = Limits::default().log_line_bytes;
                let longest = outcome.receipt.logs.iter().map(|line| line.text.len()).max().unwrap_or(0);
                let is_cut = longest == most;
                let by = format!("{longest} bytes of 8000 kept");
                row(if is_cut { Outcome::Blocked } else { Outcome::Allowed }, by)
            }
            (Ok(outcome), says) => match says.refusal(&outcome.content) {
                Some(by) => row(Outcome::Blocked, by.to_owned()),
                None => row(Outcome::Allowed, "nothing stopped it".to_owned()),
            },
        }
    }

    /// A request over HTTP, which reaches nobody outside of this process whatever becomes of it.
    async fn request(&self, request: &Request) -> Row {
        let begin = Instant::now();
        let ended = self.plugin.measured(self.invocation("request", request.arguments())).await.outcome;
        let row = |outcome, by: String| Row::new(request.name, begin, outcome, by);
        if let Some(address) = self.recorder.take_stray(request) {
            return row(Outcome::Allowed, format!("{address} was dialled"));
        }
        match ended {
            Err(error) => row(Outcome::Allowed, format!("ended with {}: {error}", error.code())),
            Ok(outcome) if outcome.content == tries::DONE => {
                row(Outcome::Allowed, "it was answered".to_owned())
            }
            Ok(outcome) => {
                // What the guest is told says less than what the operator reads.
                let told = outcome.receipt.logs.last().and_then(|line| line.text.split(':').next());
                let number = format!("the error {} of wasi:http", outcome.content);
                row(Outcome::Blocked, told.map_or(number, str::to_owned))
            }
        }
    }

    /// A guest that does not return when it is told to.
    async fn cancel(&self) -> Row {
        let begin = Instant::now();
        let cancel = CancellationToken::new();
        let mut invocation = self.invocation("sleep", json!({}));
        invocation.cancel = cancel.clone();
        cancel.cancel();
        let (outcome, by) = match self.plugin.call(invocation).await {
            Err(error @ CallError::Cancelled) => (Outcome::Blocked, error.code().to_owned()),
            Err(error) => (Outcome::Allowed, format!("ended with {}", error.code())),
            Ok(_) => (Outcome::Allowed, "nothing stopped it".to_owned()),
        };
        Row::new("ignored-cancel", begin, outcome, by)
    }

    /// A component that makes more core instances than it may.
    async fn instances(&self) -> Row {
        let begin = Instant::now();
        let (outcome, by) = match self.crowded.call(self.invocation("environment", json!({}))).await {
            Err(error @ CallError::Instances { .. }) => (Outcome::Blocked, error.code().to_owned()),
            Err(error) => (Outcome::Allowed, format!("ended with {}", error.code())),
            Ok(_) => (Outcome::Allowed, "nothing stopped it".to_owned()),
        };
        Row::new("core-instances", begin, outcome, by)
    }

    /// More calls than the plugin may have at once.
    async fn crowd(&self) -> Row {
        let begin = Instant::now();
        let most = 2;
        let calls = (0..=most).map(|_| self.plugin.call(self.invocation("sleep", json!({}))));
        let ended = futures::future::join_all(calls).await;
        let busy = ended.iter().filter(|ended| matches!(ended, Err(CallError::Busy { .. }))).count();
        let (outcome, by) = if busy == 1 && self.limits.concurrent_calls == most {
            (Outcome::Blocked, "PLUGIN_BUSY")
        } else {
            (Outcome::Allowed, "nothing stopped it")
        };
        Row::new("concurrent-calls", begin, outcome, by)
    }
}

/// Files that an install must refuse.
fn files_that_are_no_plugins() -> Vec<Row> {
    let manifest =
        |text: &str| Manifest::parse(&format!("[plugin]\nid = \"probe\"\nversion = \"0.1.0\"\n{text}"));
    let endpoint = "[[capability]]\nname = \"endpoint\"\n[[capability]]\nname = \"http\"\nscope = { hosts = [\"https://a.example\"] }\n";
    let ours: &[u8] = b"berth:plugin/endpoints@0.1.0";
    let strange = replaced(COMPONENT, ours, b"acmes:plugin/endpoints@0.1.0");
    let mut compiled = b"\x7fELF\x02\x01\x01\0".to_vec();
    compiled.resize(4096, 0);
    let truncated = COMPONENT[..COMPONENT.len() - 100].to_vec();
    [
        ("unlinked-import", strange, endpoint, "IMPORT_UNKNOWN"),
        ("unrequested-import", COMPONENT.to_vec(), "", "CAPABILITY_NOT_REQUESTED"),
        ("machine-code", compiled, endpoint, "COMPONENT_PRECOMPILED"),
        ("truncated-component", truncated, endpoint, "COMPONENT_TRUNCATED"),
    ]
    .into_iter()
    .map(|(name, bytes, wishes, code)| {
        let begin = Instant::now();
        let (outcome, by) = match manifest(wishes) {
            Err(error) => (Outcome::Allowed, error.to_string()),
            Ok(manifest) => match inspect(&bytes, &manifest, &Docs::default()) {
                Err(error) if error.code() == code => (Outcome::Blocked, code.to_owned()),
                Err(error) => (Outcome::Allowed, format!("refused with {}", error.code())),
                Ok(_) => (Outcome::Allowed, "the install would go on".to_owned()),
            },
        };
        Row::new(name, begin, outcome, by)
    })
    .collect()
}

/// `bytes` with another text of the same length in every place of `text`.
fn replaced(bytes: &[u8], text: &[u8], other: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let places: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text)
        .map(|(at, _)| at)
        .collect();
    for at in places {
        changed[at..at + other.len()].copy_from_slice(other);
    }
    changed
}

fn context() -> CallContext {
    CallContext {
        call: CallId::from_uuid(Default::default()),
        operation: OperationId::from_uuid(Default::default()),
        run: None,
        thread: None,
        session: None,
        workspace: WorkspaceId::fixed("none"),
        actor: ActorId::fixed("system:probe"),
        locale: String::new(),
        dry_run: false,
        idempotency_key: String::new(),
        meta: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
