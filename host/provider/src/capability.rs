//! What a provider says about a tool of its.

use std::time::Duration;

use berth_proto::JsonMap;
use berth_proto::lifecycle::CapabilityItem;
use serde_json::{Value, json};

/// What a call of the tool can do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RiskLevel {
    Read,
    Network,
    LocalWrite,
    ExternalWrite,
    System,
    Destructive,
}

impl RiskLevel {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Network => "network",
            Self::LocalWrite => "local_write",
            Self::ExternalWrite => "external_write",
            Self::System => "system",
            Self::Destructive => "destructive",
        }
    }
}

/// How many calls of one tool run side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concurrency {
    /// One after another.
    Serial,
    /// As many as the provider runs at all.
    Parallel,
}

/// The description of one tool.
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    pub(crate) tool_key: String,
    title: String,
    description: String,
    input_schema: Value,
    output_schema: Value,
    risk: RiskLevel,
    requires_confirmation: bool,
    pub(crate) concurrency: Concurrency,
    timeout: Option<Duration>,
    tags: Vec<String>,
}

impl Capability {
    /// A tool that reads, needs no confirmation, takes any object, and runs one call after another.
    pub fn new(tool_key: &str, title: &str, description: &str) -> Self {
        Self {
            tool_key: tool_key.to_owned(),
            title: title.to_owned(),
            description: description.to_owned(),
            input_schema: json!({ "type": "object" }),
            output_schema: json!({ "type": "object" }),
            risk: RiskLevel::Read,
            requires_confirmation: false,
            concurrency: Concurrency::Serial,
            timeout: None,
            tags: Vec::new(),
        }
    }

    /// The JSON Schema of the arguments.
    #[must_use]
    pub fn takes(mut self, schema: Value) -> Self {
        self.input_schema = schema;
        self
    }

    /// The JSON Schema of the answer.
    #[must_use]
    pub fn answers(mut self, schema: Value) -> Self {
        self.output_schema = schema;
        self
    }

    #[must_use]
    pub fn risk(mut self, risk: RiskLevel) -> Self {
        self.risk = risk;
        self
    }

    /// Asks Core to have each call confirmed. The provider itself does not check.
    #[must_use]
    pub fn confirmed(mut self, requires_confirmation: bool) -> Self {
        self.requires_confirmation = requires_confirmation;
        self
    }

    #[must_use]
    pub fn parallel(mut self) -> Self {
        self.concurrency = Concurrency::Parallel;
        self
    }

    /// How long Core shall wait for a call; 120 s when not said.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    #[must_use]
    pub fn tags(mut self, tags: &[&str]) -> Self {
        self.tags = tags.iter().map(|&tag| tag.to_owned()).collect();
        self
    }

    /// The item of the snapshot; `slots` is how many calls the provider runs at once.
    pub(crate) fn item(&self, endpoint_id: &str, slots: usize) -> CapabilityItem {
        let parallel = self.concurrency == Concurrency::Parallel;
        let mut constraints = JsonMap::new();
        constraints.insert("safe_parallel".to_owned(), parallel.into());
        constraints.insert("max_concurrency".to_owned(), if parallel { slots } else { 1 }.into());
        if let Some(timeout) = self.timeout {
            constraints.insert("timeout_seconds".to_owned(), timeout.as_secs().into());
        }
        let mut more = JsonMap::new();
        more.insert("kind".to_owned(), "tool".into());
        more.insert("tags".to_owned(), self.tags.clone().into());
        CapabilityItem {
            tool_key: self.tool_key.clone(),
            capability_id: format!("endpoint.{endpoint_id}.{}", self.tool_key),
            title: self.title.clone(),
            description: self.description.clone(),
            input_schema: self.input_schema.clone(),
            output_schema: self.output_schema.clone(),
            risk_level: self.risk.as_str().to_owned(),
            requires_confirmation: self.requires_confirmation,
            enabled: true,
            constraints,
            more,
        }
    }
}
