//! Grants: what the operator allows a plugin.

use axum::Json;
use axum::extract::State;
use berth_model::plugin::{DigestRule, Grant, GrantMode};
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

/// Who grants and answers over this facade: there is one owner, and the token is his.
pub(crate) const OWNER: &str = "user:self";
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
    /// Named bounds such as `{"per_minute": 60}`.
    #[schema(value_type = Object)]
    limit: Value,
    /// `allow`, `ask`, `observe` or `deny`.
    mode: String,
    /// `live`, `not_begun`, `expired`, `used_up` or `revoked`.
    state: String,
    /// `any`, `sha256:DIGEST` or `publisher:KEY RANGE`: for which builds of the plugin it is.
    rule: String,
    /// Empty: in every workspace.
    workspace_id: String,
    granted_by: String,
    reason: String,
    created_at: String,
    /// Empty: at once.
    starts_at: String,
    /// Empty: never.
    expires_at: String,
    /// Null: as often as one likes.
    uses_left: Option<i64>,
    /// The run or the operation that it is for alone; empty for none.
    bound_to: String,
    /// The approval whose answer it is; empty for none.
    approval_id: String,
    revoked_at: String,
    revoked_by: String,
}

impl GrantView {
    pub(crate) fn new(grant: Grant, now: Timestamp) -> Self {
        let state = grant.state(now);
        Self {
            grant_id: grant.id.to_string(),
            plugin_id: grant.plugin.to_string(),
            capability: grant.capability,
            scope: grant.scope,
            limit: grant.limit,
            mode: grant.mode.to_string(),
            state: state.to_string(),
            rule: grant.rule.to_string(),
            workspace_id: text(grant.workspace.as_ref()),
            granted_by: grant.granted_by,
            reason: grant.reason,
            created_at: grant.created_at.to_string(),
            starts_at: text(grant.starts_at.as_ref()),
            expires_at: text(grant.expires_at.as_ref()),
            uses_left: grant.uses_left,
            bound_to: grant.bound_to.unwrap_or_default(),
            approval_id: text(grant.approval.as_ref()),
            revoked_at: text(grant.revoked_at.as_ref()),
            revoked_by: grant.revoked_by.unwrap_or_default(),
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
    /// Bounds such as `{"per_minute": 60}`.
    #[schema(value_type = Option<Object>)]
    limit: Option<JsonMap>,
    /// `allow` (default), `ask`, `observe` or `deny`.
    mode: Option<String>,
    /// For which builds: `any` (default), `sha256:DIGEST` or `publisher:KEY RANGE`.
    rule: Option<String>,
    /// In every workspace when absent.
    workspace_id: Option<String>,
    reason: Option<String>,
    /// When the grant begins to count, in RFC 3339.
    starts_at: Option<String>,
    /// When the grant ends, in RFC 3339.
    expires_at: Option<String>,
    /// How often it may be used.
    uses: Option<i64>,
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
        Some(word) => {
            let wrong = || ApiError::invalid("mode", "must be allow, ask, observe or deny");
            word.parse().map_err(|_| wrong())?
        }
    };
    let now = state.core().now();
    let (starts_at, expires_at) = (time("starts_at", body.starts_at)?, time("expires_at", body.expires_at)?);
    if expires_at.is_some_and(|end| end <= now) {
        return Err(ApiError::invalid("expires_at", "lies in the past"));
    }
    if starts_at.zip(expires_at).is_some_and(|(start, end)| end <= start) {
        return Err(ApiError::invalid("expires_at", "lies before starts_at"));
    }
    if body.uses.is_some_and(|uses| uses < 1) {
        return Err(ApiError::invalid("uses", "must be at least 1"));
    }
    let rule = match filled(body.rule) {
        None => DigestRule::Any,
        Some(rule) => rule.parse().map_err(|wrong: berth_model::grant::BadDigestRule| {
            ApiError::invalid("rule", wrong.to_string())
        })?,
    };
    let reason = body.reason.unwrap_or_default();
    if reason.chars().count() > MAX_REASON {
        return Err(ApiError::invalid("reason", format!("must have at most {MAX_REASON} characters")));
    }
    let new = NewGrant {
        mode,
        workspace: optional_id(body.workspace_id.as_deref())?,
        granted_by: OWNER.to_owned(),
        reason,
        rule,
        limit: Value::Object(body.limit.unwrap_or_default()),
        starts_at,
        expires_at,
        uses_left: body.uses,
        ..NewGrant::allow(plugin, body.capability, Value::Object(body.scope.unwrap_or_default()))
    };
    Ok(Json(GrantView::new(state.plugins().grant(new).await?, now)))
}

/// A time of the body, when it is one.
fn time(field: &'static str, text: Option<String>) -> Result<Option<Timestamp>, ApiError> {
    let wrong = |_| ApiError::invalid(field, "must be a time such as 2026-12-31T00:00:00Z");
    filled(text).map(|text| text.parse::<Timestamp>().map_err(wrong)).transpose()
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
