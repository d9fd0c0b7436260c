//! The audit of a plugin, and what it suggests.

use axum::Json;
use axum::extract::State;
use berth_core::port::store::AuditFilter;
use berth_model::audit::AuditRow;
use berth_model::{PluginId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{limit, text};
use crate::error::{Answer, ApiError};
use crate::extract::{Id, Params, filled};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(audit)).routes(routes!(suggest))
}

/// One kind of use in one call.
#[derive(Debug, Serialize, ToSchema)]
struct AuditView {
    audit_id: String,
    plugin_id: String,
    capability: String,
    /// What was wanted.
    #[schema(value_type = Object)]
    scope: Value,
    /// `allowed`, `observed` or `denied`.
    decision: String,
    /// Whether it changes something.
    is_write: bool,
    /// How often the call did it.
    uses: i64,
    call_id: String,
    operation_id: String,
    /// Empty: no run.
    run_id: String,
    workspace_id: String,
    actor_id: String,
    /// The grant that it rests on, or empty.
    grant_id: String,
    /// The approval that allowed or refused it, or empty.
    approval_id: String,
    created_at: String,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        Self {
            audit_id: row.id.to_string(),
            plugin_id: row.plugin.to_string(),
            capability: row.capability,
            scope: row.scope,
            decision: row.decision.to_string(),
            is_write: row.is_write,
            uses: row.uses,
            call_id: row.call.to_string(),
            operation_id: row.operation.to_string(),
            run_id: text(row.run.as_ref()),
            workspace_id: row.workspace.to_string(),
            actor_id: row.actor.to_string(),
            grant_id: text(row.grant.as_ref()),
            approval_id: text(row.approval.as_ref()),
            created_at: row.created_at.to_string(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// `allowed`, `observed` or `denied`; all when absent.
    decision: Option<String>,
    /// Not before this time, in RFC 3339.
    since: Option<String>,
    /// The latest so many: 100 by default, 1 to 200.
    limit: Option<i64>,
}

/// What a plugin was denied, and what it did that changed something; newest first.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/audit", tag = "plugins",
    params(("plugin_id" = String, Path), AuditQuery), responses((status = 200, body = [AuditView])),
)]
async fn audit(
    State(state): State<HttpState>,
    Id(plugin): Id<PluginId>,
    Params(query): Params<AuditQuery>,
) -> Answer<Vec<AuditView>> {
    let decision = filled(query.decision).map(|word| {
        word.parse().map_err(|_| ApiError::invalid("decision", "must be allowed, observed or denied"))
    });
    let since = filled(query.since).map(|time| {
        let wrong = |_| ApiError::invalid("since", "must be a time such as 2026-12-31T00:00:00Z");
        time.parse::<Timestamp>().map_err(wrong)
    });
    let filter = AuditFilter {
        plugin: Some(plugin),
        operation: None,
        decision: decision.transpose()?,
        since: since.transpose()?,
        limit: limit(query.limit, 100),
    };
    let rows = state.plugins().audit(filter).await?;
    Ok(Json(rows.into_iter().map(AuditView::from).collect()))
}

/// A wish that covers what was used.
#[derive(Debug, Serialize, ToSchema)]
struct SuggestedWish {
    name: String,
    #[schema(value_type = Object)]
    scope: Value,
}

/// The smallest manifest for what a plugin was seen to use.
#[derive(Debug, Serialize, ToSchema)]
struct SuggestionView {
    plugin_id: String,
    capabilities: Vec<SuggestedWish>,
    /// The same as it stands in a `plugin.toml`.
    manifest: String,
    /// Rows of the audit that it rests on.
    uses: usize,
}

/// The smallest manifest for what a plugin was seen to use: every use under a grant that observes, and under others what
/// changes something.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/suggest", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = SuggestionView)),
)]
async fn suggest(State(state): State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<SuggestionView> {
    let suggestion = state.plugins().suggest(&plugin).await?;
    let capabilities = suggestion
        .wishes
        .into_iter()
        .map(|wish| SuggestedWish { name: wish.capability, scope: wish.scope })
        .collect();
    Ok(Json(SuggestionView {
        plugin_id: plugin.to_string(),
        capabilities,
        manifest: suggestion.manifest,
        uses: suggestion.uses,
    }))
}
