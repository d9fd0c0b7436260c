//! The tools on offer.

use axum::Json;
use axum::extract::State;
use berth_model::WorkspaceId;
use berth_model::tool::ToolSpec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Answer;
use crate::extract::{Params, filled, id};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A tool as a model is offered it.
#[derive(Debug, Serialize, ToSchema)]
struct ToolView {
    /// The name that models use.
    name: String,
    /// The key that the target knows it by.
    tool_key: String,
    title: String,
    description: String,
    #[schema(value_type = Object)]
    input_schema: Value,
    /// Null when unknown.
    output_schema: Value,
    risk_level: String,
    requires_confirmation: bool,
    idempotent: bool,
    timeout_ms: u64,
    /// `core`, `plugin` or `endpoint`.
    target_type: String,
    execution_target: String,
}

impl From<ToolSpec> for ToolView {
    fn from(tool: ToolSpec) -> Self {
        Self {
            name: tool.name.to_string(),
            tool_key: tool.key.to_string(),
            title: tool.title,
            description: tool.description,
            input_schema: tool.input_schema,
            output_schema: tool.output_schema,
            risk_level: tool.risk.to_string(),
            requires_confirmation: tool.requires_confirmation,
            idempotent: tool.idempotent,
            timeout_ms: u64::try_from(tool.timeout.as_millis()).unwrap_or(u64::MAX),
            target_type: tool.target.kind().to_owned(),
            execution_target: tool.target.id(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ToolsQuery {
    /// `personal` by default.
    workspace_id: Option<String>,
}

/// What a workspace may call now: plugins, Core's own tools, connected endpoints. By name.
#[utoipa::path(get, path = "/runtime/tools", tag = "tools", params(ToolsQuery), responses((status = 200, body = [ToolView])))]
async fn list(State(state): State<HttpState>, Params(query): Params<ToolsQuery>) -> Answer<Vec<ToolView>> {
    let place: WorkspaceId = id(filled(query.workspace_id).as_deref().unwrap_or("personal"))?;
    Ok(Json(state.core().tools(&place).await?.into_iter().map(ToolView::from).collect()))
}
