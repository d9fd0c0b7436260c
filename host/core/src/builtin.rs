//! Tools of Core itself, under the target `core.local`.

use std::sync::LazyLock;
use std::time::Duration;

use berth_model::tool::{Blame, ExecutionTarget, Parallel, Risk, ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{ToolKey, ToolName};
use serde_json::{Value, json};

use crate::Core;
use crate::port::store::ThreadFilter;
use crate::port::target::ToolCall;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Every tool of Core, by name.
pub(crate) fn tools() -> &'static [ToolSpec] {
    static TOOLS: LazyLock<Vec<ToolSpec>> = LazyLock::new(|| {
        vec![
            spec(
                "core_status",
                "State of the host",
                "Tells whether the host is well: database, model, number of tools, connected endpoints.",
                json!({ "type": "object", "properties": {}, "additionalProperties": false }),
            ),
            spec(
                "core_threads",
                "Recent threads",
                "Lists the conversations of this workspace, last used first.",
                json!({
                    "type": "object",
                    "properties": { "limit": { "type": "integer", "minimum": 1, "maximum": 50, "default": 10 } },
                    "additionalProperties": false,
                }),
            ),
        ]
    });
    &TOOLS
}

fn spec(name: &'static str, title: &str, description: &str, input_schema: Value) -> ToolSpec {
    ToolSpec {
        name: ToolName::fixed(name),
        key: ToolKey::fixed(name),
        title: title.to_owned(),
        description: description.to_owned(),
        input_schema,
        output_schema: Value::Null,
        risk: Risk::Read,
        requires_confirmation: false,
        idempotent: true,
        timeout: TIMEOUT,
        parallel: Parallel::for_risk(Risk::Read),
        target: ExecutionTarget::CoreLocal,
    }
}

pub(crate) async fn call(core: &Core, call: &ToolCall) -> Result<ToolOutcome, ToolFailure> {
    match call.key.as_str() {
        "core_status" => {
            let status = core.status().await;
            Ok(ToolOutcome::ok(json!({
                "database": { "kind": status.store.kind, "ok": status.store.is_ok() },
                "model": { "provider": status.model.provider, "model": status.model.model },
                "runs": status.runs,
                "plugin_tools": status.tools,
                "connected_endpoints": status.connected_endpoints,
                "time": core.now().to_string(),
            })))
        }
        "core_threads" => {
            let limit = call.arguments.get("limit").and_then(Value::as_u64).unwrap_or(10).clamp(1, 50);
            let filter =
                ThreadFilter { workspace: Some(call.workspace.clone()), before: None, limit: limit as u32 };
            let threads = core.list_threads(filter).await.map_err(|error| {
                ToolFailure::new("tool_builtin_failed", error.to_string(), Blame::Host).retryable()
            })?;
            let list: Vec<_> = threads
                .iter()
                .map(|thread| json!({ "thread_id": thread.id.to_string(), "title": thread.title, "updated_at": thread.updated_at.to_string() }))
                .collect();
            Ok(ToolOutcome::ok(json!({ "threads": list })))
        }
        other => {
            Err(ToolFailure::new("core_tool_not_found", format!("Core has no tool `{other}`"), Blame::Caller))
        }
    }
}
