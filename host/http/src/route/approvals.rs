//! Approvals.

use axum::Json;
use axum::extract::State;
use berth_model::ApprovalId;
use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::operation::Operation;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
}

impl ApprovalView {
    fn new(approval: Approval, operation: &Operation) -> Self {
        let decision = match approval.status {
            ApprovalStatus::Approved => "approve",
            ApprovalStatus::Rejected => "reject",
            ApprovalStatus::Pending | ApprovalStatus::Expired => "",
        };
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
    let approve = match body.decision.trim() {
        "approve" => true,
        "reject" => false,
        _ => {
            let message = "decision must be approve or reject";
            return Err(ApiError::bad_request("approval_decision_invalid", message));
        }
    };
    let reason = body.reason.unwrap_or_default();
    let (approval, operation) = state.core().decide_approval(approval, approve, reason).await?;
    Ok(Json(ApprovalView::new(approval, &operation)))
}
