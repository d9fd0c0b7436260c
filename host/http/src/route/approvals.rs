//! Approvals.

use axum::Json;
use axum::extract::State;
use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus};
use berth_model::operation::Operation;
use berth_model::{ActorId, ApprovalId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::grants::OWNER;
use super::{limit, text};
use crate::error::{Answer, ApiError};
use crate::extract::{Body, Id, Params, filled};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(decide))
}

/// A question to the owner, and its answer.
#[derive(Debug, Serialize, ToSchema)]
struct ApprovalView {
    approval_id: String,
    operation_id: String,
    approval_type: String,
    risk_level: String,
    status: String,
    /// `approve`, `reject` or empty.
    decision: String,
    reason: String,
    operation_status: String,
    /// What the person who answers reads.
    prompt: String,
    tool_key: String,
    run_id: String,
    thread_id: String,
    created_at: String,
    expires_at: String,
    decided_at: String,
    /// `once`, `run`, `1h`, `24h`, `always`, `no`, or empty while there is no answer.
    answer: String,
    /// The grant that the answer became, or empty.
    grant_id: String,
    /// The plugin that asks, with the next two; empty where it is the call itself that wants a yes.
    plugin_id: String,
    capability: String,
    #[schema(value_type = Option<Object>)]
    scope: Value,
}

impl ApprovalView {
    fn new(approval: Approval, operation: &Operation) -> Self {
        let decision = match approval.status {
            ApprovalStatus::Approved => "approve",
            ApprovalStatus::Rejected => "reject",
            ApprovalStatus::Pending | ApprovalStatus::Expired => "",
        };
        let subject = approval.subject;
        Self {
            approval_id: approval.id.to_string(),
            operation_id: approval.operation.to_string(),
            approval_type: approval.kind,
            risk_level: approval.risk,
            status: approval.status.to_string(),
            decision: decision.to_owned(),
            reason: approval.reason,
            operation_status: operation.status.to_string(),
            prompt: approval.prompt,
            tool_key: operation.tool.to_string(),
            run_id: text(operation.run.as_ref()),
            thread_id: text(operation.thread.as_ref()),
            created_at: approval.created_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            decided_at: text(approval.decided_at.as_ref()),
            answer: text(approval.answer.as_ref()),
            grant_id: text(approval.grant.as_ref()),
            plugin_id: subject.as_ref().map(|subject| subject.plugin.to_string()).unwrap_or_default(),
            capability: subject.as_ref().map(|subject| subject.capability.clone()).unwrap_or_default(),
            scope: subject.map(|subject| subject.scope).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ApprovalsQuery {
    /// `pending` by default; `approved`, `rejected`, `expired` or `all`.
    status: Option<String>,
    /// The latest so many: 100 by default, 1 to 200.
    limit: Option<i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct DecisionBody {
    /// `approve` or `reject`.
    decision: String,
    /// How far an `approve` reaches: `once` by default, `run`, `1h`, `24h` or `always`.
    #[serde(rename = "for")]
    reach: Option<String>,
    reason: Option<String>,
}

/// Approvals, oldest first.
#[utoipa::path(
    get, path = "/runtime/approvals", tag = "approvals", params(ApprovalsQuery),
    responses((status = 200, body = [ApprovalView])),
)]
async fn list(
    State(state): State<HttpState>,
    Params(query): Params<ApprovalsQuery>,
) -> Answer<Vec<ApprovalView>> {
    let status = match filled(query.status).as_deref() {
        None => Some(ApprovalStatus::Pending),
        Some("all") => None,
        Some(word) => Some(word.parse().map_err(|_| {
            ApiError::invalid("status", "must be one of pending, approved, rejected, expired, all")
        })?),
    };
    let mut approvals = state.core().list_approvals(status).await?;
    let most = limit(query.limit, 100) as usize;
    approvals.drain(..approvals.len().saturating_sub(most));
    let mut views = Vec::with_capacity(approvals.len());
    for approval in approvals {
        let operation = state.core().operation(approval.operation).await?;
        views.push(ApprovalView::new(approval, &operation));
    }
    Ok(Json(views))
}

/// Answers an approval; the call that waits for it goes on or ends.
#[utoipa::path(
    post, path = "/runtime/approvals/{approval_id}/decision", tag = "approvals",
    params(("approval_id" = String, Path)), request_body = DecisionBody,
    responses((status = 200, body = ApprovalView)),
)]
async fn decide(
    State(state): State<HttpState>,
    Id(approval): Id<ApprovalId>,
    Body(body): Body<DecisionBody>,
) -> Answer<ApprovalView> {
    let reach = filled(body.reach);
    let answer = match (body.decision.trim(), reach.as_deref()) {
        ("approve", None) => ApprovalAnswer::Once,
        ("approve", Some(word)) => word
            .parse()
            .ok()
            .filter(|answer| *answer != ApprovalAnswer::No)
            .ok_or_else(|| ApiError::invalid("for", "must be once, run, 1h, 24h or always"))?,
        ("reject", None) => ApprovalAnswer::No,
        ("reject", Some(_)) => return Err(ApiError::invalid("for", "is of an approve alone")),
        _ => {
            let message = "decision must be approve or reject";
            return Err(ApiError::bad_request("approval_decision_invalid", message));
        }
    };
    let reason = body.reason.unwrap_or_default();
    // Whoever has the token is the owner.
    let owner = ActorId::fixed(OWNER);
    let (approval, operation) = state.core().answer_approval(approval, &owner, answer, reason).await?;
    Ok(Json(ApprovalView::new(approval, &operation)))
}
