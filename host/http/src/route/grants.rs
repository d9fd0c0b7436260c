//! Grants: what the operator allows a plugin.

use axum::Json;
use axum::extract::State;
use berth_model::plugin::{Grant, GrantMode};
use berth_model::{GrantId, JsonMap, PluginId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::text;
use crate::admin::NewGrant;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, Id, Params, filled, optional_id};
use crate::state::HttpState;

/// Who grants over this facade: there is one owner, and the token is his.
const GRANTED_BY: &str = "user:self";
/// The longest reason, in characters.
const MAX_REASON: usize = 1000;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(of_plugin, add)).routes(routes!(list)).routes(routes!(revoke))
}

/// What a plugin is allowed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantView {
    grant_id: String,
    plugin_id: String,
    capability: String,
    #[schema(value_type = Object)]
    scope: Value,
    /// `allow` or `deny`.
    mode: String,
    /// `live`, `revoked` or `expired`.
    state: String,
    /// Empty: in every workspace.
    workspace_id: String,
    granted_by: String,
    reason: String,
    created_at: String,
    /// Empty: never.
    expires_at: String,
    revoked_at: String,
}

impl GrantView {
    pub(crate) fn new(grant: Grant, now: Timestamp) -> Self {
        let state = match &grant {
            grant if grant.is_live(now) => "live",
            Grant { revoked_at: Some(_), .. } => "revoked",
            _ => "expired",
        };
        Self {
            grant_id: grant.id.to_string(),
            plugin_id: grant.plugin.to_string(),
            capability: grant.capability,
            scope: grant.scope,
            mode: grant.mode.to_string(),
            state: state.to_owned(),
            workspace_id: text(grant.workspace.as_ref()),
            granted_by: grant.granted_by,
            reason: grant.reason,
            created_at: grant.created_at.to_string(),
            expires_at: text(grant.expires_at.as_ref()),
            revoked_at: text(grant.revoked_at.as_ref()),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewGrantBody {
    /// Such as `files` or `endpoint`.
    capability: String,
    /// Such as `{"guest": "/", "host": "/srv/notes", "access": "ro"}`.
    #[schema(value_type = Option<Object>)]
    scope: Option<JsonMap>,
    /// `allow` (default) or `deny`.
    mode: Option<String>,
    /// In every workspace when absent.
    workspace_id: Option<String>,
    reason: Option<String>,
    /// When the grant ends, in RFC 3339.
    expires_at: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct GrantsQuery {
    plugin_id: Option<String>,
}

/// The grants of a plugin, oldest first; revoked and expired ones too.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/grants", tag = "grants", params(("plugin_id" = String, Path)),
    responses((status = 200, body = [GrantView])),
)]
async fn of_plugin(State(state): State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<Vec<GrantView>> {
    views(&state, Some(&plugin)).await
}

/// Every grant, oldest first; revoked and expired ones too.
#[utoipa::path(
    get, path = "/operator/grants", tag = "grants", params(GrantsQuery),
    responses((status = 200, body = [GrantView])),
)]
async fn list(State(state): State<HttpState>, Params(query): Params<GrantsQuery>) -> Answer<Vec<GrantView>> {
    views(&state, optional_id(query.plugin_id.as_deref())?.as_ref()).await
}

async fn views(state: &HttpState, plugin: Option<&PluginId>) -> Answer<Vec<GrantView>> {
    let now = state.core().now();
    let grants = state.plugins().list_grants(plugin).await?;
    Ok(Json(grants.into_iter().map(|grant| GrantView::new(grant, now)).collect()))
}

/// Allows a plugin a capability; it need not be installed yet. Calls under way see it at their next host call.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/grants", tag = "grants", params(("plugin_id" = String, Path)),
    request_body = NewGrantBody, responses((status = 200, body = GrantView)),
)]
async fn add(
    State(state): State<HttpState>,
    Id(plugin): Id<PluginId>,
    Body(body): Body<NewGrantBody>,
) -> Answer<GrantView> {
    let mode = match filled(body.mode) {
        None => GrantMode::Allow,
        Some(word) => word
            .parse()
            .ok()
            .filter(|mode| matches!(mode, GrantMode::Allow | GrantMode::Deny))
            .ok_or_else(|| ApiError::invalid("mode", "must be allow or deny"))?,
    };
    let now = state.core().now();
    let expires_at = filled(body.expires_at).map(|text| {
        let wrong = || ApiError::invalid("expires_at", "must be a time such as 2026-12-31T00:00:00Z");
        text.parse::<Timestamp>().map_err(|_| wrong())
    });
    let expires_at = expires_at.transpose()?;
    if expires_at.is_some_and(|end| end <= now) {
        return Err(ApiError::invalid("expires_at", "lies in the past"));
    }
    let reason = body.reason.unwrap_or_default();
    if reason.chars().count() > MAX_REASON {
        return Err(ApiError::invalid("reason", format!("must have at most {MAX_REASON} characters")));
    }
    let new = NewGrant {
        mode,
        workspace: optional_id(body.workspace_id.as_deref())?,
        granted_by: GRANTED_BY.to_owned(),
        reason,
        expires_at,
        ..NewGrant::allow(plugin, body.capability, Value::Object(body.scope.unwrap_or_default()))
    };
    Ok(Json(GrantView::new(state.plugins().grant(new).await?, now)))
}

/// Takes a grant back; calls under way lose it at their next host call. Twice is as good as once.
#[utoipa::path(
    post, path = "/operator/grants/{grant_id}/revoke", tag = "grants", params(("grant_id" = String, Path)),
    responses((status = 200, body = GrantView)),
)]
async fn revoke(State(state): State<HttpState>, Id(grant): Id<GrantId>) -> Answer<GrantView> {
    let grant = state.plugins().revoke(grant).await?;
    Ok(Json(GrantView::new(grant, state.core().now())))
}
