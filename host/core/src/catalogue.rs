//! The tools on offer, as they are at this moment.

use std::time::Duration;

use berth_model::endpoint::Capability;
use berth_model::tool::{ExecutionTarget, Parallel, ToolSpec};
use berth_model::workspace::Workspace;
use berth_model::{ToolName, WorkspaceId};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::port::store::Tx;
use crate::threads::workspace;
use crate::{Core, CoreError, builtin};

/// How long a call at an endpoint may take when its provider says nothing.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest that a provider may ask for.
const MAX_ENDPOINT_TIMEOUT: Duration = Duration::from_secs(600);

impl Core {
    /// What a workspace may call now: plugins, Core's own tools, connected endpoints. By name.
    pub async fn tools(&self, place: &WorkspaceId) -> Result<Vec<ToolSpec>, CoreError> {
        let mut tx = self.0.store.read().await?;
        let place = workspace(&mut *tx, place).await?;
        self.catalogue(&mut *tx, &place).await
    }

    pub(crate) async fn catalogue(
        &self,
        tx: &mut dyn Tx,
        place: &Workspace,
    ) -> Result<Vec<ToolSpec>, CoreError> {
        let mut tools = builtin::tools().to_vec();
        tools.extend(self.0.plugins.catalogue().iter().cloned());
        let connected = self.0.endpoints.connected();
        for endpoint in tx.endpoints_of_workspace(&place.id).await? {
            if !connected.contains(&endpoint.id) {
                continue;
            }
            let capabilities = tx.list_capabilities(Some(&endpoint.id)).await?;
            tools.extend(capabilities.iter().filter(|tool| is_shown(tool)).filter_map(endpoint_tool));
        }
        tools.retain(|tool| {
            place.governance.allows(tool.name.as_str()) || place.governance.allows(tool.key.as_str())
        });
        tools.sort_by(|a, b| a.name.cmp(&b.name));
        tools.dedup_by(|a, b| a.name == b.name);
        Ok(tools)
    }
}

fn is_shown(capability: &Capability) -> bool {
    let visibility = capability.metadata.get("visibility").and_then(|value| value.get("auto_inject"));
    let injected = visibility.or_else(|| capability.metadata.get("auto_inject"));
    injected != Some(&Value::Bool(false))
}

/// The model-facing form of an endpoint's capability. Source: MeetYou V4, endpoint tools offered to the model.
pub(crate) fn endpoint_tool(capability: &Capability) -> Option<ToolSpec> {
    let risk = capability.risk();
    let constraint = |key: &str| capability.constraints.get(key).or_else(|| capability.metadata.get(key));
    let mut parallel = Parallel::for_risk(risk);
    parallel.group = format!("{}:{}", capability.endpoint, capability.tool_key);
    if let Some(safe) = constraint("safe_parallel").and_then(Value::as_bool) {
        parallel.safe = safe && !risk.has_effects();
    }
    if let Some(most) = constraint("max_concurrency").and_then(Value::as_u64) {
        parallel.max_concurrency = u32::try_from(most.clamp(1, 64)).unwrap_or(1);
    }
    let seconds =
        ["timeout_seconds", "timeout"].into_iter().find_map(|key| capability.constraints.get(key)?.as_f64());
    let timeout = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let is_object =
        capability.input_schema["type"] == "object" || capability.input_schema["properties"].is_object();
    Some(ToolSpec {
        name: model_name(capability)?,
        key: capability.tool_key.clone(),
        title: capability.title.clone(),
        description: capability.description.clone(),
        input_schema: if is_object { capability.input_schema.clone() } else { json!({ "type": "object" }) },
        output_schema: capability.output_schema.clone(),
        risk,
        requires_confirmation: capability.requires_confirmation,
        idempotent: false,
        timeout: timeout
            .map_or(ENDPOINT_TIMEOUT, |seconds| Duration::from_secs_f64(seconds).min(MAX_ENDPOINT_TIMEOUT)),
        parallel,
        target: ExecutionTarget::Endpoint(capability.endpoint.clone()),
    })
}

fn model_name(capability: &Capability) -> Option<ToolName> {
    let Capability { endpoint, capability_id, tool_key, .. } = capability;
    let digest = hex::encode(Sha256::digest(format!("{endpoint}\n{capability_id}\n{tool_key}")));
    let slug: String = tool_key
        .as_str()
        .to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_")
        .chars()
        .take(48)
        .collect();
    ToolName::new(format!("ep_{}_{slug}", &digest[..10])).ok()
}
