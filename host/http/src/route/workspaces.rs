//! Workspaces and what they see.

use axum::Json;
use axum::extract::State;
use berth_core::endpoints::EndpointView;
use berth_model::WorkspaceId;
use berth_model::workspace::Workspace;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::Answer;
use crate::extract::{Id, Params};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(endpoints))
}

/// A governance and execution boundary.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkspaceView {
    workspace_id: String,
    title: String,
    status: String,
    base_mode: String,
    description: String,
    prompt_overlay: String,
    default_execution_target: String,
    tool_policy: String,
    allowed_tool_ids: Vec<String>,
    preferred_target_endpoint_ids: Vec<String>,
    preferred_endpoint_provider_types: Vec<String>,
    preferred_source_profiles: Vec<String>,
    tool_target_routing_policy: String,
    memory_ranking_policy: String,
    #[schema(value_type = Object)]
    tool_routing_overrides: Value,
}

impl From<Workspace> for WorkspaceView {
    fn from(workspace: Workspace) -> Self {
        let governance = workspace.governance;
        Self {
            workspace_id: workspace.id.to_string(),
            title: workspace.title,
            status: workspace.status.to_string(),
            base_mode: workspace.base_mode,
            description: workspace.description,
            prompt_overlay: workspace.prompt_overlay,
            default_execution_target: workspace.default_target.to_string(),
            tool_policy: governance.tool_policy.to_string(),
            allowed_tool_ids: governance.allowed_tools.iter().map(ToString::to_string).collect(),
            preferred_target_endpoint_ids: governance
                .preferred_endpoints
                .iter()
                .map(ToString::to_string)
                .collect(),
            preferred_endpoint_provider_types: governance.preferred_providers,
            preferred_source_profiles: governance.preferred_source_profiles,
            tool_target_routing_policy: governance.routing.to_string(),
            memory_ranking_policy: "workspace_first".to_owned(),
            tool_routing_overrides: json!({}),
        }
    }
}

/// An endpoint as a workspace sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointAvailable {
    endpoint_id: String,
    display_name: String,
    endpoint_type: String,
    provider_type: String,
    /// `online` while a connection is bound, else `offline`.
    status: String,
    workspace_ids: Vec<String>,
    transport_profile: String,
    /// Always empty; kept for clients that read it.
    available_tools: Vec<String>,
    executable_tools: Vec<String>,
    membership_role: String,
    enabled: bool,
}

impl EndpointAvailable {
    fn new(view: EndpointView, include_tools: bool) -> Self {
        let tools = view.capabilities.iter().filter(|_| include_tools).map(|c| c.tool_key.to_string());
        Self {
            endpoint_id: view.endpoint.id.to_string(),
            display_name: view.endpoint.display_name,
            endpoint_type: view.endpoint.kind,
            provider_type: view.endpoint.provider_type,
            status: if view.connected { "online" } else { "offline" }.to_owned(),
            workspace_ids: view.workspaces.iter().map(ToString::to_string).collect(),
            transport_profile: view.endpoint.transport,
            available_tools: Vec::new(),
            executable_tools: tools.collect(),
            membership_role: "member".to_owned(),
            enabled: true,
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EndpointsQuery {
    /// Whether the tools are listed; they are by default.
    include_tools: Option<bool>,
}

/// Active workspaces, by id.
#[utoipa::path(get, path = "/runtime/workspaces", tag = "workspaces", responses((status = 200, body = [WorkspaceView])))]
async fn list(State(state): State<HttpState>) -> Answer<Vec<WorkspaceView>> {
    Ok(Json(state.core().list_workspaces().await?.into_iter().map(WorkspaceView::from).collect()))
}

/// The endpoints of a workspace, offline ones too; none for an unknown workspace.
#[utoipa::path(
    get, path = "/runtime/workspaces/{workspace_id}/endpoints", tag = "workspaces",
    params(("workspace_id" = String, Path), EndpointsQuery),
    responses((status = 200, body = [EndpointAvailable])),
)]
async fn endpoints(
    State(state): State<HttpState>,
    Id(place): Id<WorkspaceId>,
    Params(query): Params<EndpointsQuery>,
) -> Answer<Vec<EndpointAvailable>> {
    let include_tools = query.include_tools.unwrap_or(true);
    let views = state.core().endpoints_of_workspace(&place).await?;
    Ok(Json(views.into_iter().map(|view| EndpointAvailable::new(view, include_tools)).collect()))
}
