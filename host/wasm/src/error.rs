//! Why something did not work: one enum for each boundary, one stable code for each variant.

use std::path::PathBuf;

use berth_model::tool::{Blame, ToolFailure};
use serde_json::{Value, json};

use crate::engine::compiler::CompileError;
use crate::value::BadValue;

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the WebAssembly engine refused its settings")]
    Config { source: wasmtime::Error },
    #[error("the epoch clock could not start")]
    Ticker { source: std::io::Error },
    #[error("the threads of file tools could not start")]
    Threads { source: std::io::Error },
    #[error("the cache of compiled plugins at {path} cannot be used")]
    Cache { path: PathBuf, source: std::io::Error },
    #[error("the interfaces of the host could not be linked")]
    Link { source: wasmtime::Error },
}

impl EngineError {
    /// The code in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "ENGINE_CONFIG",
            Self::Ticker { .. } | Self::Threads { .. } => "ENGINE_THREADS",
            Self::Cache { .. } => "ENGINE_CACHE",
            Self::Link { .. } => "ENGINE_LINK",
        }
    }
}

/// Why a component cannot be installed. Found before any of its code is compiled or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    #[error("the component has {bytes} bytes, the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the file is empty")]
    Empty,
    #[error(
        "the file is machine code that somebody compiled already: install the WebAssembly component itself"
    )]
    Precompiled,
    #[error(
        "the file is a core module, not a component: encode it with `wasm-tools component new` or build for wasm32-wasip2"
    )]
    CoreModule,
    #[error("the file is WebAssembly text, not a binary component: assemble it first")]
    Text,
    #[error("the file is no WebAssembly component")]
    NotWasm,
    #[error("the component ends too early: {message}")]
    Truncated { message: String },
    #[error("the component is not valid: {message}")]
    Invalid { message: String },
    #[error("the component needs the WebAssembly feature that this host refuses: {message}")]
    Feature { message: String },
    #[error("the component nests {depth} levels deep, the limit is {limit}")]
    TooDeep { depth: usize, limit: usize },
    #[error("the component has {count} {what}, the limit is {limit}")]
    TooMany { what: &'static str, count: u64, limit: u64 },
    #[error("the interfaces of the component cannot be read: {message}")]
    Wit { message: String },
    #[error("the file is a WIT package, not a component")]
    WitPackage,
    #[error("the component imports `{import}`, which this host does not know")]
    ImportUnknown { import: String },
    #[error(
        "the component imports `{import}` but the manifest does not ask for the capability `{capability}`: add a [[capability]] with name = \"{capability}\""
    )]
    CapabilityNotRequested { capability: String, import: String },
    #[error(
        "the tool `{tool}` is named twice in this plugin: by `{first}` and by `{second}`; set `name` in [tool] of one of them"
    )]
    ToolNameClash { tool: String, first: String, second: String },
    #[error("the tool name `{tool}` is already taken by the plugin `{other}`")]
    ToolNameTaken { tool: String, other: String },
    #[error(
        "`{tool}` is no tool name: it must have 1 to 64 characters of a-z, 0-9 and _; set `name` in [tool.{function}]"
    )]
    ToolName { tool: String, function: String },
    #[error("the manifest has hints for the tool `{tool}`, which the component does not export")]
    ToolUnknown { tool: String },
    #[error("the component offers no tool: {reason}")]
    NoTools { reason: String },
    #[error(
        "plugin.toml says kind = \"channel\", and the component does not export `berth:plugin/channel`: export it, or \
         leave the kind out"
    )]
    NoChannel,
    #[error("the description of the tools is not valid: {message}")]
    Describe { message: String },
}

impl InstallError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "COMPONENT_TOO_LARGE",
            Self::Empty => "COMPONENT_EMPTY",
            Self::Precompiled => "COMPONENT_PRECOMPILED",
            Self::CoreModule => "COMPONENT_CORE_MODULE",
            Self::Text => "COMPONENT_TEXT",
            Self::NotWasm => "COMPONENT_NOT_WASM",
            Self::Truncated { .. } => "COMPONENT_TRUNCATED",
            Self::Invalid { .. } => "COMPONENT_INVALID",
            Self::Feature { .. } => "COMPONENT_FEATURE_REFUSED",
            Self::TooDeep { .. } => "COMPONENT_TOO_DEEP",
            Self::TooMany { .. } => "COMPONENT_TOO_COMPLEX",
            Self::Wit { .. } => "COMPONENT_WIT",
            Self::WitPackage => "COMPONENT_WIT_PACKAGE",
            Self::ImportUnknown { .. } => "IMPORT_UNKNOWN",
            Self::CapabilityNotRequested { .. } => "CAPABILITY_NOT_REQUESTED",
            Self::ToolNameClash { .. } => "TOOL_NAME_CLASH",
            Self::ToolNameTaken { .. } => "TOOL_NAME_TAKEN",
            Self::ToolName { .. } => "TOOL_NAME_INVALID",
            Self::ToolUnknown { .. } => "TOOL_HINT_UNKNOWN",
            Self::NoTools { .. } => "PLUGIN_NO_TOOLS",
            Self::NoChannel => "PLUGIN_NO_CHANNEL",
            Self::Describe { .. } => "PLUGIN_DESCRIBE_INVALID",
        }
    }
}

/// Why an installed component could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the component of the plugin cannot be read from {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the component of the plugin has changed: its digest is {found}, installed was {expected}")]
    Digest { expected: String, found: String },
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("the compiled component cannot be loaded")]
    Artifact { source: wasmtime::Error },
    #[error("the component does not fit the interfaces of this host")]
    Link { source: wasmtime::Error },
    #[error("the component needs more than the engine gives one plugin")]
    TooBig { source: wasmtime::Error },
    #[error("the component does not export the tool `{tool}` any more")]
    ToolGone { tool: String },
    #[error("the tool `{tool}` cannot be called: {source}")]
    ToolType { tool: String, source: crate::value::Unsupported },
    #[error("the compiler of plugins stopped")]
    Compiler,
}

impl LoadError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Read { .. } => "PLUGIN_COMPONENT_UNREADABLE",
            Self::Digest { .. } => "PLUGIN_COMPONENT_CHANGED",
            Self::Compile(error) => error.code(),
            Self::Artifact { .. } | Self::Compiler => "PLUGIN_COMPILE_FAILED",
            Self::Link { .. } => "PLUGIN_LINK_FAILED",
            Self::TooBig { .. } => "PLUGIN_TOO_BIG",
            Self::ToolGone { .. } => "PLUGIN_TOOL_GONE",
            Self::ToolType { .. } => "PLUGIN_TOOL_TYPE",
        }
    }
}

/// Why a call yielded nothing.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("the plugin has no tool `{tool}`")]
    UnknownTool { tool: String },
    #[error("{0}")]
    Arguments(BadValue),
    #[error("the plugin stopped: {kind}")]
    Trap {
        kind: String,
        /// Functions of the guest, innermost first; for its author, never for the model.
        frames: Vec<String>,
    },
    #[error("the plugin ended itself with exit code {status}")]
    Exit { status: i32 },
    #[error("the plugin did not answer within {seconds} s")]
    Timeout { seconds: f64 },
    #[error("the plugin used more than {seconds} s of CPU time")]
    Cpu { seconds: f64 },
    #[error("the plugin ran out of its {limit} bytes of memory")]
    Memory { limit: usize },
    #[error("the plugin used more than {limit_bytes} bytes of stack")]
    Stack { limit_bytes: usize },
    #[error("the plugin handed more than {limit} bytes to the host at once")]
    Hostcall { limit: usize },
    #[error("the plugin holds more than {limit} handles of resources")]
    Handles { limit: usize },
    #[error("the plugin makes more than {limit} core instances")]
    Instances { limit: usize },
    #[error("the plugin wanted a table of more than {limit} elements")]
    Table { limit: usize },
    #[error("the call was cancelled")]
    Cancelled,
    #[error("the operator took a folder away while the plugin used it")]
    Revoked,
    #[error("the call waits for {approval}")]
    Parked { approval: berth_model::ApprovalId },
    #[error("{what} is busy: {limit} calls are running")]
    Busy { what: &'static str, limit: usize },
    #[error("the running calls hold all of the {limit} bytes of memory that plugins may take")]
    HostMemory { limit: u64 },
    #[error("the answer of the plugin is larger than {limit} bytes")]
    OutputTooLarge { limit: usize },
    #[error("the answer of the plugin is not valid: {message}")]
    BadOutput { message: String },
    #[error("{}", failure.message)]
    Tool { failure: crate::capability::CapabilityError },
    #[error("the folder of `{guest}` cannot be opened: {message}")]
    Files { guest: String, message: String },
    #[error("the host failed while it served the plugin")]
    Host { message: String },
}

impl CallError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &str {
        match self {
            Self::UnknownTool { .. } => "PLUGIN_TOOL_UNKNOWN",
            Self::Arguments(_) => "INVALID_ARGUMENTS",
            Self::Trap { .. } => "PLUGIN_TRAP",
            Self::Exit { .. } => "PLUGIN_EXIT",
            Self::Timeout { .. } => "PLUGIN_TIMEOUT",
            Self::Cpu { .. } => "PLUGIN_CPU_LIMIT",
            Self::Memory { .. } => "PLUGIN_MEMORY_LIMIT",
            Self::Stack { .. } => "PLUGIN_STACK_LIMIT",
            Self::Hostcall { .. } => "PLUGIN_HOSTCALL_LIMIT",
            Self::Handles { .. } => "PLUGIN_HANDLE_LIMIT",
            Self::Instances { .. } => "PLUGIN_INSTANCE_LIMIT",
            Self::Table { .. } => "PLUGIN_TABLE_LIMIT",
            Self::Cancelled => "PLUGIN_CANCELLED",
            Self::Revoked => "PERMISSION_REVOKED",
            Self::Parked { .. } => "APPROVAL_PENDING",
            Self::Busy { .. } => "PLUGIN_BUSY",
            Self::HostMemory { .. } => "PLUGIN_HOST_MEMORY",
            Self::OutputTooLarge { .. } => "PLUGIN_OUTPUT_TOO_LARGE",
            Self::BadOutput { .. } => "PLUGIN_OUTPUT_INVALID",
            Self::Tool { failure } => &failure.code,
            Self::Files { .. } => "PLUGIN_FILES_UNAVAILABLE",
            Self::Host { .. } => "PLUGIN_HOST_FAILURE",
        }
    }

    /// Whether the same call may work a little later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::HostMemory { .. } => true,
            Self::Tool { failure } => failure.retryable,
            _ => false,
        }
    }

    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        match self {
            Self::UnknownTool { .. } | Self::Arguments(_) | Self::Cancelled => Blame::Caller,
            Self::Files { .. } | Self::Revoked | Self::Parked { .. } => Blame::Operator,
            Self::Busy { .. } | Self::HostMemory { .. } | Self::Host { .. } => Blame::Host,
            _ => Blame::Guest,
        }
    }

    /// Whether the plugin itself is at fault, not its caller, the host or what a tool says of its task.
    pub fn is_fault(&self) -> bool {
        self.blame() == Blame::Guest && !matches!(self, Self::Tool { .. })
    }

    /// Facts for programs.
    pub fn details(&self) -> Value {
        match self {
            Self::Arguments(bad) => json!({ "pointer": bad.pointer, "problem": bad.message }),
            Self::Trap { kind, .. } => json!({ "trap": kind }),
            Self::Exit { status } => json!({ "exit_code": status }),
            Self::Timeout { seconds } | Self::Cpu { seconds } => json!({ "limit_seconds": seconds }),
            Self::Memory { limit } | Self::OutputTooLarge { limit } | Self::Hostcall { limit } => {
                json!({ "limit_bytes": limit })
            }
            Self::HostMemory { limit } => json!({ "limit_bytes": limit }),
            Self::Handles { limit } | Self::Instances { limit } | Self::Table { limit } => {
                json!({ "limit": limit })
            }
            Self::Tool { failure } => failure.details.as_deref().cloned().unwrap_or(Value::Null),
            _ => Value::Null,
        }
    }
}

impl From<CallError> for ToolFailure {
    fn from(error: CallError) -> Self {
        if let CallError::Parked { approval } = error {
            return berth_core::port::target::parked(approval);
        }
        let failure =
            ToolFailure::new(error.code(), error.to_string(), error.blame()).with_details(error.details());
        if error.is_retryable() { failure.retryable() } else { failure }
    }
}
