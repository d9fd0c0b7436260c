//! A component that is ready to be called.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use crate::call::extra::{Extra, Extras, Said};
use crate::call::ready::{self, Mode, Ready};
use crate::call::resident::{Question, Reply, Resident};
use crate::call::run::{self, Permits, Work};
use crate::call::state::PluginState;
use crate::call::{CallOutcome, Measured, ToolInvocation, Usage, Used};
use crate::capability::context::CallContext;
use crate::capability::grants::Request;
use crate::capability::logs::LogLine;
use crate::engine::PluginEngine;
use crate::error::{CallError, InstallError, LoadError};
use crate::limits::{self, Limits};
use crate::manifest::Manifest;
use crate::tool::{self, ToolDescription, ToolExport};
use crate::value::{Decoder, FunctionShape};
use crate::wit::v0_1::channel;

/// The interface of dynamic tools, without its version.
pub const TOOLS_INTERFACE: &str = "berth:plugin/tools";
/// The interface of channels, without its version.
pub const CHANNEL_INTERFACE: &str = "berth:plugin/channel";
/// Log lines that a plugin keeps for its operator.
const RECENT_LINES: usize = 512;

/// Where the bytes of a component are.
#[derive(Debug, Clone)]
pub enum ComponentSource {
    Bytes(Bytes),
    File(PathBuf),
}

/// What [`PluginEngine::load`] makes ready.
#[derive(Debug, Clone)]
pub struct PluginSpec {
    /// Lower-case hex SHA-256 of the component.
    pub digest: String,
    pub component: ComponentSource,
    pub manifest: Arc<Manifest>,
    /// As inspection or an earlier description yielded them.
    pub tools: Vec<ToolDescription>,
}

/// A compiled plugin with prepared tools. Cheap to clone; each call runs in a store of its own.
#[derive(Clone)]
pub struct LoadedPlugin {
    pub(crate) inner: Arc<Loaded>,
}

pub(crate) struct Loaded {
    pub engine: PluginEngine,
    pub pre: InstancePre<PluginState>,
    pub id: String,
    pub limits: Limits,
    pub digest: String,
    calls: Arc<Semaphore>,
    tools: HashMap<String, Prepared>,
    dynamic: Option<Dynamic>,
    /// Where the functions of a channel are.
    pub channel: Option<channel::GuestIndices>,
    pub extras: Extras,
    manifest: Arc<Manifest>,
    requests: Arc<Vec<Request>>,
    described: Vec<ToolDescription>,
    recent: Mutex<Recent>,
    /// How calls get their instance.
    pub mode: Mode,
    pub ready: Ready,
    /// By all generations of the plugin together.
    pub used: Arc<Used>,
}

/// The last log lines.
#[derive(Default)]
struct Recent {
    lines: VecDeque<LogLine>,
    /// With those that are gone.
    total: u64,
}

/// Whether an export is one that the host looks up by name.
pub(crate) fn is_optional_export(interface: &str) -> bool {
    const KNOWN: [&str; 6] = ["tool-cancel", "channel-edit", "reconcile", "pulse", "lifecycle", "health"];
    interface.strip_prefix("berth:plugin/").is_some_and(|name| KNOWN.contains(&name))
}

enum Prepared {
    Typed { function: ComponentExportIndex, shape: Arc<FunctionShape> },
    Dynamic,
}

#[derive(Clone)]
struct Dynamic {
    describe: ComponentExportIndex,
    invoke: ComponentExportIndex,
}

impl LoadedPlugin {
    pub(crate) fn prepare(
        engine: PluginEngine,
        component: Component,
        spec: PluginSpec,
    ) -> Result<Self, LoadError> {
        let pre =
            engine.inner.linker.instantiate_pre(&component).map_err(|source| LoadError::Link { source })?;
        let mut tools = HashMap::new();
        for tool in &spec.tools {
            tools.insert(tool.key(), Prepared::of(&component, tool)?);
        }
        let limits = engine.limits(&spec.manifest.wishes);
        let id = spec.manifest.id.clone();
        let mode = engine.inner.config.instances.mode(spec.manifest.instances);
        Ok(Self {
            inner: Arc::new(Loaded {
                calls: Arc::new(Semaphore::new(limits.concurrent_calls)),
                dynamic: dynamic(&component),
                channel: channel::GuestIndices::new(&pre).ok(),
                extras: Extras::of(&pre),
                tools,
                pre,
                id: id.clone(),
                digest: spec.digest,
                limits,
                requests: Arc::new(spec.manifest.requests.clone()),
                manifest: spec.manifest,
                described: spec.tools,
                recent: Mutex::default(),
                mode,
                ready: Ready::default(),
                used: engine.used(&id),
                engine,
            }),
        })
    }

    /// Whether both are the same load of the same plugin.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Lower-case hex SHA-256 of the component.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.inner.manifest
    }

    /// What the manifest asks for.
    pub fn requests(&self) -> &Arc<Vec<Request>> {
        &self.inner.requests
    }

    /// The tools that the plugin was loaded with.
    pub fn tools(&self) -> &[ToolDescription] {
        &self.inner.described
    }

    /// The limits of each call.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// How long a call of `tool` may take.
    pub fn timeout(&self, tool: &ToolDescription) -> Duration {
        let hint = match &tool.export {
            ToolExport::Typed { interface, function } => {
                self.inner.manifest.hints(interface.as_deref(), function)
            }
            ToolExport::Dynamic { .. } => self.inner.manifest.hints(None, &tool.key()),
        };
        let wall = self.inner.limits.wall;
        hint.and_then(|hint| hint.timeout).unwrap_or(wall).min(wall)
    }

    /// Instances that wait for a call.
    pub fn at_rest(&self) -> usize {
        self.inner.ready.count()
    }

    /// Makes the instances that are to wait for a call, for a plugin that has such; calls do so by themselves.
    pub async fn prewarm(&self) {
        if self.inner.mode != Mode::Fresh {
            ready::refill(&self.inner).await;
        }
    }

    /// What the plugin printed lately, oldest first.
    pub fn recent_logs(&self) -> Vec<LogLine> {
        self.inner.recent().lines.iter().cloned().collect()
    }

    /// What was logged behind the first `count` lines, as far as it is still there, and how many lines there were in all.
    pub fn logs_since(&self, count: u64) -> (Vec<LogLine>, u64) {
        let recent = self.inner.recent();
        let gone = recent.total - recent.lines.len() as u64;
        let from = usize::try_from(count.saturating_sub(gone)).unwrap_or(usize::MAX);
        (recent.lines.iter().skip(from).cloned().collect(), recent.total)
    }

    /// Asks a plugin with dynamic tools for their list, in a store without any grant; typed tools are kept.
    ///
    /// A plugin without dynamic tools answers with its typed ones and runs no code.
    pub async fn describe(&self, context: CallContext) -> Result<Vec<ToolDescription>, DescribeError> {
        let typed =
            self.inner.described.iter().filter(|tool| matches!(tool.export, ToolExport::Typed { .. }));
        let mut tools: Vec<ToolDescription> = typed.cloned().collect();
        if let Some(dynamic) = &self.inner.dynamic {
            let invocation = ToolInvocation::new("describe", Value::Null, context);
            let work = Work::Describe { function: dynamic.describe };
            let answer = self.run(invocation, work).await.outcome?;
            let json = answer.content.as_str().unwrap_or_default();
            tools.extend(tool::described(&self.inner.manifest, json.as_bytes())?);
        }
        tool::check_names(&self.inner.manifest, &tools)?;
        Ok(tools)
    }

    /// Whether the plugin tells its tools itself.
    pub fn is_dynamic(&self) -> bool {
        self.inner.dynamic.is_some()
    }

    /// The same component with other tools; nothing is compiled.
    pub fn with_tools(&self, tools: Vec<ToolDescription>) -> Result<Self, LoadError> {
        let spec = PluginSpec {
            digest: self.inner.digest.clone(),
            component: ComponentSource::Bytes(Bytes::new()),
            manifest: self.inner.manifest.clone(),
            tools,
        };
        Self::prepare(self.inner.engine.clone(), self.inner.pre.component().clone(), spec)
    }

    /// Runs one tool in an instance of its own, or as plugin and operator want it: see [`crate::call::ready`].
    ///
    /// Ends within the limits of the plugin and the time-out of the call, whatever the guest does. Cancel-safe:
    /// dropping the future stops the guest at once, `cancel` gives it a second to return.
    pub async fn call(&self, invocation: ToolInvocation) -> Result<CallOutcome, CallError> {
        self.measured(invocation).await.outcome
    }

    /// [`Self::call`], with what the call has used also when it yields nothing.
    pub async fn measured(&self, mut invocation: ToolInvocation) -> Measured {
        match self.prepared(&mut invocation) {
            Ok(work) => self.run(invocation, work).await,
            Err(error) => error.into(),
        }
    }

    /// What its calls have used since the host started, those of its earlier generations too.
    pub fn usage(&self) -> Usage {
        self.inner.used.usage()
    }

    fn prepared(&self, invocation: &mut ToolInvocation) -> Result<Work, CallError> {
        let Some(prepared) = self.inner.tools.get(&invocation.tool) else {
            return Err(CallError::UnknownTool { tool: std::mem::take(&mut invocation.tool) });
        };
        let arguments = std::mem::take(&mut invocation.arguments);
        Ok(match prepared {
            Prepared::Typed { function, shape } => {
                let params = Decoder::new(limits::VALUES, limits::INPUT_BYTES)
                    .params(&shape.params, arguments)
                    .map_err(CallError::Arguments)?;
                Work::Typed { function: *function, shape: shape.clone(), params }
            }
            Prepared::Dynamic => {
                let Some(dynamic) = &self.inner.dynamic else {
                    return Err(CallError::UnknownTool { tool: std::mem::take(&mut invocation.tool) });
                };
                let arguments = run::dynamic_arguments(&arguments).map_err(CallError::Arguments)?;
                let meta = invocation.context.meta.clone();
                let name = std::mem::take(&mut invocation.tool);
                Work::Invoke { function: dynamic.invoke, name, arguments, meta }
            }
        })
    }

    /// Asks one thing in an instance of its own, within the limits of a call.
    ///
    /// Nobody is asked for an approval: a use that needs one is denied.
    /// Asks an optional export in an instance of its own, as a host does about health, news and an upgrade.
    ///
    /// A failure of the guest's own is [`CallError::Tool`]. `invocation` makes the call of the instance and of the question.
    pub async fn ask_extra(
        &self,
        extra: Extra,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Said, CallError> {
        Said::of(self.ask_once(Question::Extra(extra), invocation).await?)
    }

    pub(crate) async fn ask_once(
        &self,
        question: Question,
        invocation: impl Fn() -> ToolInvocation,
    ) -> Result<Reply, CallError> {
        let _permits = self.permits()?;
        let resident = Resident::open(self.inner.clone(), invocation()).await?;
        resident.ask(question, invocation()).await.1
    }

    async fn run(&self, invocation: ToolInvocation, work: Work) -> Measured {
        match self.permits() {
            Ok(permits) => run::run(self.inner.clone(), invocation, work, permits).await,
            Err(error) => error.into(),
        }
    }

    fn permits(&self) -> Result<Permits, CallError> {
        let own =
            self.inner.calls.clone().try_acquire_owned().map_err(|_| CallError::Busy {
                what: "the plugin",
                limit: self.inner.limits.concurrent_calls,
            });
        let (host, memory) = self.inner.places()?;
        Ok((host, own?, memory))
    }
}

impl Loaded {
    /// A place among the calls of the host, and its memory.
    pub fn places(&self) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), CallError> {
        let engine = &self.engine.inner;
        let host = engine
            .calls
            .clone()
            .try_acquire_owned()
            .map_err(|_| CallError::Busy { what: "the host", limit: engine.config.concurrent_calls })?;
        Ok((host, self.engine.admit(&self.limits)?))
    }

    /// Keeps what a call printed, for its operator.
    pub fn remember(&self, lines: &[LogLine]) {
        let mut recent = self.recent();
        recent.total += lines.len() as u64;
        recent.lines.extend(lines.iter().cloned());
        let excess = recent.lines.len().saturating_sub(RECENT_LINES);
        recent.lines.drain(..excess);
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        crate::lock(&self.recent)
    }
}

/// Why a plugin could not describe its tools.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Install(#[from] InstallError),
}

impl DescribeError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &str {
        match self {
            Self::Call(error) => error.code(),
            Self::Install(error) => error.code(),
        }
    }
}

impl Prepared {
    fn of(component: &Component, tool: &ToolDescription) -> Result<Self, LoadError> {
        let gone = || LoadError::ToolGone { tool: tool.name.clone() };
        let ToolExport::Typed { interface, function } = &tool.export else {
            return Ok(Self::Dynamic);
        };
        let instance = match interface {
            None => None,
            Some(name) => Some(component.get_export_index(None, name.as_str()).ok_or_else(gone)?),
        };
        let found = component.get_export(instance.as_ref(), function.as_str());
        let Some((ComponentItem::ComponentFunc(ty), function)) = found else {
            return Err(gone());
        };
        let shape = FunctionShape::from_component(&ty)
            .map_err(|source| LoadError::ToolType { tool: tool.name.clone(), source })?;
        Ok(Self::Typed { function, shape: Arc::new(shape) })
    }
}

fn dynamic(component: &Component) -> Option<Dynamic> {
    let engine = component.engine();
    let ty = component.component_type();
    let name = ty
        .exports(engine)
        .map(|(name, _)| name)
        .find(|name| name.split('@').next() == Some(TOOLS_INTERFACE))?;
    let instance = component.get_export_index(None, name)?;
    Some(Dynamic {
        describe: component.get_export_index(Some(&instance), "describe")?,
        invoke: component.get_export_index(Some(&instance), "invoke")?,
    })
}
