//! Tools as the catalogue knows them, and what a call of one yields.

use std::time::Duration;

use serde_json::Value;

use crate::{EndpointId, PluginId, ToolKey, ToolName, word_enum};

word_enum!(
    /// What a tool may do, from harmless to dangerous; the order is the order of danger.
    pub enum Risk {
        Read = "read",
        LocalWrite = "local_write",
        ExternalWrite = "external_write",
        Command = "command",
        Destructive = "destructive",
    }
);

impl Risk {
    /// Reads the words that manifests and providers use; an unknown one counts as destructive.
    pub fn from_declared(word: &str) -> Self {
        match word.trim().to_ascii_lowercase().as_str() {
            "" | "read" | "low" | "network" => Self::Read,
            "write" | "local_write" => Self::LocalWrite,
            "external" | "external_write" | "network_write" => Self::ExternalWrite,
            "command" => Self::Command,
            _ => Self::Destructive,
        }
    }

    /// Whether a call leaves something changed.
    pub fn has_effects(self) -> bool {
        self != Self::Read
    }
}

/// Who runs a tool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ExecutionTarget {
    CoreLocal,
    Plugin(PluginId),
    Endpoint(EndpointId),
}

impl ExecutionTarget {
    /// `core`, `plugin` or `endpoint`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CoreLocal => "core",
            Self::Plugin(_) => "plugin",
            Self::Endpoint(_) => "endpoint",
        }
    }

    /// The public id: `core.local`, `plugin.<id>` or the endpoint's own.
    pub fn id(&self) -> String {
        match self {
            Self::CoreLocal => "core.local".to_owned(),
            Self::Plugin(plugin) => format!("plugin.{plugin}"),
            Self::Endpoint(endpoint) => endpoint.to_string(),
        }
    }
}

/// Which calls of one round may run beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parallel {
    pub safe: bool,
    pub max_concurrency: u32,
    pub group: String,
    /// Calls with the same key never overlap.
    pub resource_key: Option<String>,
}

impl Parallel {
    /// The default for a risk: reads may overlap, up to three of a group; the rest run alone.
    pub fn for_risk(risk: Risk) -> Self {
        Self {
            safe: !risk.has_effects(),
            max_concurrency: 3,
            group: risk.as_str().to_owned(),
            resource_key: None,
        }
    }
}

/// A tool on offer.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// The name a model uses; unique in the host.
    pub name: ToolName,
    /// The key the target knows it by.
    pub key: ToolKey,
    pub title: String,
    pub description: String,
    /// A JSON Schema of an object.
    pub input_schema: Value,
    /// A JSON Schema, or null when unknown.
    pub output_schema: Value,
    pub risk: Risk,
    pub requires_confirmation: bool,
    pub idempotent: bool,
    pub timeout: Duration,
    pub parallel: Parallel,
    pub target: ExecutionTarget,
}

/// What a finished call yields. `is_error` means that the tool itself says it failed, with `content` kept.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutcome {
    pub content: Value,
    pub is_error: bool,
    /// Measurements of the call (CPU time, memory, bytes …), for the operation row.
    pub receipt: Value,
}

impl ToolOutcome {
    pub fn ok(content: Value) -> Self {
        Self { content, is_error: false, receipt: Value::Null }
    }
}

word_enum!(
    /// Who is to blame for a failed call.
    pub enum Blame {
        Caller = "caller",
        Guest = "guest",
        Provider = "provider",
        Operator = "operator",
        Host = "host",
    }
);

/// Why a call yielded nothing. Safe to show: it never carries an inner error's text.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ToolFailure {
    /// A stable word of `docs/errors.md`.
    pub code: String,
    pub message: String,
    pub retryable: bool,
    pub blame: Blame,
    /// Facts for programs, such as the grant that is missing.
    pub details: Value,
    /// Measurements of a call that ran before it failed, for the operation row.
    pub receipt: Option<Box<Value>>,
}

impl ToolFailure {
    pub fn new(code: impl Into<String>, message: impl Into<String>, blame: Blame) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retryable: false,
            blame,
            details: Value::Null,
            receipt: None,
        }
    }

    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = details;
        self
    }
}
