//! A tool of a plugin, as it is stored with the plugin and shown to models.

use std::time::Duration;

use berth_model::tool::{ExecutionTarget, Parallel, Risk, ToolSpec};
use berth_model::{IdError, PluginId, ToolKey, ToolName};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::InstallError;
use crate::limits::Limits;
use crate::manifest::{Manifest, ToolHints};

/// The longest tool name, in characters.
pub const NAME_CHARS: usize = 64;
/// Tools that a plugin describes at run time, at most.
const DYNAMIC_TOOLS: usize = 256;

/// How the host calls a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ToolExport {
    /// An exported function; `interface` is `None` when the world itself exports it.
    Typed { interface: Option<String>, function: String },
    /// By name, through `berth:plugin/tools`.
    Dynamic { name: String },
}

impl ToolExport {
    /// `ns:pkg/iface@1.0.0#function`, `function`, or the name of a dynamic tool.
    pub fn key(&self) -> String {
        match self {
            Self::Typed { interface: Some(interface), function } => format!("{interface}#{function}"),
            Self::Typed { interface: None, function } => function.clone(),
            Self::Dynamic { name } => name.clone(),
        }
    }
}

/// A described tool. A start reads these from the store and runs no guest code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolDescription {
    /// What models call it; unique in the host.
    pub name: String,
    pub export: ToolExport,
    pub title: String,
    pub description: String,
    pub input_schema: Value,
    pub output_schema: Value,
    /// A word of [`Risk`].
    pub risk: String,
    pub confirm: bool,
    pub idempotent: bool,
    pub timeout_ms: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Value>,
}

impl ToolDescription {
    /// The key that [`crate::call::ToolInvocation::tool`] wants.
    pub fn key(&self) -> String {
        self.export.key()
    }

    /// Completes a tool with the hints of the manifest, and gives it its name.
    pub(crate) fn build(
        manifest: &Manifest,
        export: ToolExport,
        declared: Declared,
    ) -> Result<Self, InstallError> {
        let (function, interface) = match &export {
            ToolExport::Typed { function, interface } => (function.as_str(), interface.as_deref()),
            ToolExport::Dynamic { name } => (name.as_str(), None),
        };
        let hints = manifest.hints(interface, function);
        let name = match hints.and_then(|hints| hints.name.clone()) {
            Some(name) => name,
            None => format!("{}_{}", snake(&manifest.id), snake(function)),
        };
        if !is_tool_name(&name) {
            return Err(InstallError::ToolName { tool: name, function: snake(function) });
        }
        let none = ToolHints::default();
        // The operator's own default counts when the tool is called.
        let wall = manifest.wishes.over(&Limits::default()).wall;
        let hints = hints.unwrap_or(&none);
        let risk = hints.risk.or(declared.risk).unwrap_or(Risk::Read);
        let mut input_schema = declared.input_schema;
        if let (Some(map), false) = (input_schema.as_object_mut(), hints.examples.is_empty()) {
            map.insert("examples".to_owned(), json!(hints.examples));
        }
        Ok(Self {
            title: hints
                .title
                .clone()
                .or(declared.title)
                .unwrap_or_else(|| function.replace(['-', '_'], " ")),
            description: hints.description.clone().unwrap_or(declared.description),
            input_schema,
            output_schema: declared.output_schema,
            risk: risk.as_str().to_owned(),
            confirm: hints.confirm.unwrap_or(risk == Risk::Destructive),
            idempotent: hints.idempotent.unwrap_or(!risk.has_effects()),
            timeout_ms: u64::try_from(hints.timeout.unwrap_or(wall).min(wall).as_millis())
                .unwrap_or(u64::MAX),
            examples: hints.examples.clone(),
            name,
            export,
        })
    }

    /// The tool as the catalogue of core has it.
    pub fn to_spec(&self, plugin: &PluginId) -> Result<ToolSpec, IdError> {
        let risk = Risk::from_declared(&self.risk);
        Ok(ToolSpec {
            name: ToolName::new(&self.name)?,
            key: ToolKey::new(self.key())?,
            title: self.title.clone(),
            description: self.description.clone(),
            input_schema: self.input_schema.clone(),
            output_schema: self.output_schema.clone(),
            risk,
            requires_confirmation: self.confirm,
            idempotent: self.idempotent,
            timeout: Duration::from_millis(self.timeout_ms),
            parallel: Parallel::for_risk(risk),
            target: ExecutionTarget::Plugin(plugin.clone()),
        })
    }
}

/// What a component itself says of a tool.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub title: Option<String>,
    pub description: String,
    pub input_schema: Value,
    pub output_schema: Value,
    pub risk: Option<Risk>,
}

#[derive(Deserialize)]
struct DynamicTool {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    input_schema: Option<Value>,
    #[serde(default)]
    output_schema: Option<Value>,
    #[serde(default)]
    risk: Option<String>,
}

/// Reads what `tools.describe` answered.
pub(crate) fn described(manifest: &Manifest, json: &[u8]) -> Result<Vec<ToolDescription>, InstallError> {
    let bad = |message: String| InstallError::Describe { message };
    let tools: Vec<DynamicTool> = serde_json::from_slice(json).map_err(|error| bad(error.to_string()))?;
    if tools.len() > DYNAMIC_TOOLS {
        return Err(bad(format!("{} tools, the limit is {DYNAMIC_TOOLS}", tools.len())));
    }
    tools
        .into_iter()
        .map(|tool| {
            let input_schema =
                tool.input_schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
            if !input_schema.is_object() {
                return Err(bad(format!("`input_schema` of `{}` is no object", tool.name)));
            }
            if tool.name.is_empty() || tool.name.len() > NAME_CHARS {
                return Err(bad("a tool name must have 1 to 64 bytes".to_owned()));
            }
            let declared = Declared {
                title: tool.title,
                description: tool.description,
                input_schema,
                output_schema: tool.output_schema.unwrap_or(Value::Null),
                risk: tool.risk.as_deref().map(Risk::from_declared),
            };
            ToolDescription::build(manifest, ToolExport::Dynamic { name: tool.name }, declared)
        })
        .collect()
}

/// Refuses two tools of one name, and hints for tools that are not there.
pub(crate) fn check_names(manifest: &Manifest, tools: &[ToolDescription]) -> Result<(), InstallError> {
    for (index, tool) in tools.iter().enumerate() {
        if let Some(first) = tools[..index].iter().find(|first| first.name == tool.name) {
            return Err(InstallError::ToolNameClash {
                tool: tool.name.clone(),
                first: first.key(),
                second: tool.key(),
            });
        }
    }
    let known = |hint: &str| {
        tools.iter().any(|tool| match &tool.export {
            ToolExport::Typed { interface, function } => {
                crate::manifest::hint_names(hint, interface.as_deref(), function)
            }
            ToolExport::Dynamic { name } => crate::manifest::hint_names(hint, None, name),
        })
    };
    match manifest.tools.keys().find(|hint| !known(hint)) {
        Some(hint) => Err(InstallError::ToolUnknown { tool: hint.clone() }),
        None => Ok(()),
    }
}

/// `send-card` and `sendCard.v2` as `send_card` and `sendcard_v2`.
pub(crate) fn snake(name: &str) -> String {
    name.chars()
        .map(|c| {
            let c = c.to_ascii_lowercase();
            if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' }
        })
        .collect()
}

fn is_tool_name(name: &str) -> bool {
    (1..=NAME_CHARS).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
