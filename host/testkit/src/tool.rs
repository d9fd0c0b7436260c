//! Tools of plugins that are not there.

use std::time::Duration;

use berth_model::tool::{ExecutionTarget, Parallel, Risk, ToolSpec};
use berth_model::{PluginId, ToolKey, ToolName};
use serde_json::{Value, json};

/// A tool of the plugin `plugin` that takes any object and may take 30 s; name and key are the same.
pub fn plugin_tool(
    plugin: &'static str,
    name: &'static str,
    risk: Risk,
    requires_confirmation: bool,
) -> ToolSpec {
    ToolSpec {
        name: ToolName::fixed(name),
        key: ToolKey::fixed(name),
        title: String::new(),
        description: "A tool of a story".to_owned(),
        input_schema: json!({ "type": "object" }),
        output_schema: Value::Null,
        risk,
        requires_confirmation,
        idempotent: false,
        timeout: Duration::from_secs(30),
        parallel: Parallel::for_risk(risk),
        target: ExecutionTarget::Plugin(PluginId::fixed(plugin)),
    }
}
