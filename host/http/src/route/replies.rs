//! What a client says to a reply under way: yes, no, an answer, stop.

use axum::Json;
use axum::extract::State;
use berth_core::CoreError;
use berth_model::{ApprovalId, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{Answer, ApiError};
use crate::extract::{Body, Id, filled, short};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(confirm)).routes(routes!(human_input)).routes(routes!(control))
}

#[derive(Debug, Deserialize, ToSchema)]
struct ConfirmBody {
    accepted: bool,
    /// The id of the approval.
    request_id: String,
    reason: Option<String>,
}

/// What became of a yes or no.
#[derive(Debug, Serialize, ToSchema)]
struct ConfirmResult {
    request_id: String,
    session_id: String,
    /// Whether a question of this session was waiting for the answer; not what the answer was.
    accepted: bool,
    approval_id: String,
    approval_status: String,
    operation_id: String,
}

/// Answers a question of a session; the second door to an approval. A stale answer is no failure: `accepted` is false.
#[utoipa::path(
    post, path = "/runtime/sessions/{session_id}/confirm-response", tag = "replies",
    params(("session_id" = String, Path)), request_body = ConfirmBody,
    responses((status = 200, body = ConfirmResult)),
)]
async fn confirm(
    State(state): State<HttpState>,
    Id(session): Id<SessionId>,
    Body(body): Body<ConfirmBody>,
) -> Answer<ConfirmResult> {
    let core = state.core();
    let known = core.session(session).await?;
    let mut result = ConfirmResult {
        request_id: body.request_id.clone(),
        session_id: session.to_string(),
        accepted: false,
        approval_id: String::new(),
        approval_status: String::new(),
        operation_id: String::new(),
    };
    let Some(id) = approval_id(&body.request_id) else { return Ok(Json(result)) };
    let approval = match core.approval(id).await {
        Err(CoreError::NotFound { .. }) => return Ok(Json(result)),
        approval => approval?,
    };
    let operation = core.operation(approval.operation).await?;
    if operation.session != Some(session) && operation.thread != Some(known.thread) {
        return Ok(Json(result));
    }
    match core.decide_approval(id, body.accepted, body.reason.unwrap_or_default()).await {
        Ok((approval, operation)) => {
            result.accepted = true;
            result.approval_id = approval.id.to_string();
            result.approval_status = approval.status.to_string();
            result.operation_id = operation.id.to_string();
        }
        // Somebody else was first.
        Err(CoreError::Conflict { .. } | CoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Json(result))
}

/// `approval_…`, or its 32 hex digits alone.
fn approval_id(text: &str) -> Option<ApprovalId> {
    let text = text.trim();
    text.parse().or_else(|_| format!("{}_{text}", ApprovalId::PREFIX).parse()).ok()
}

#[derive(Debug, Deserialize, ToSchema)]
struct HumanInputBody {
    request_id: String,
    answer_text: Option<String>,
    selected_option: Option<String>,
}

/// What became of an answer to a question.
#[derive(Debug, Serialize, ToSchema)]
struct HumanInputResult {
    request_id: String,
    session_id: String,
    answer_text: String,
    selected_option: Option<String>,
    /// Whether a question of this session was waiting for the answer.
    accepted: bool,
}

/// Answers a question of a tool. No tool of this version asks one, so no answer is waited for.
#[utoipa::path(
    post, path = "/runtime/sessions/{session_id}/human-input-response", tag = "replies",
    params(("session_id" = String, Path)), request_body = HumanInputBody,
    responses((status = 200, body = HumanInputResult)),
)]
async fn human_input(
    State(state): State<HttpState>,
    Id(session): Id<SessionId>,
    Body(body): Body<HumanInputBody>,
) -> Answer<HumanInputResult> {
    let session = state.core().session(session).await?;
    Ok(Json(HumanInputResult {
        request_id: body.request_id,
        session_id: session.id.to_string(),
        answer_text: body.answer_text.unwrap_or_default(),
        selected_option: body.selected_option,
        accepted: false,
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
struct ReplyControlBody {
    /// `stop`, `append_guidance`, `regenerate` or `rollback`.
    action: String,
    /// Stops this turn and no other, as its events name it.
    turn_id: Option<String>,
    /// The same for one attempt at a turn.
    stream_id: Option<String>,
    /// The sender's own id of the wish.
    endpoint_request_id: Option<String>,
}

/// What became of a wish for a reply.
#[derive(Debug, Serialize, ToSchema)]
struct ReplyControlResult {
    request_id: String,
    session_id: String,
    action: String,
    accepted: bool,
    /// `queued` or `rejected`.
    status: String,
    /// Why it was rejected.
    reason: String,
}

/// Stops the reply of a session. The other actions are known, and rejected in this version.
#[utoipa::path(
    post, path = "/runtime/sessions/{session_id}/reply-control", tag = "replies",
    params(("session_id" = String, Path)), request_body = ReplyControlBody,
    responses((status = 200, body = ReplyControlResult)),
)]
async fn control(
    State(state): State<HttpState>,
    Id(session): Id<SessionId>,
    Body(body): Body<ReplyControlBody>,
) -> Answer<ReplyControlResult> {
    let action = body.action.trim().to_owned();
    let reason = match action.as_str() {
        "stop" => {
            let (turn, stream) = (filled(body.turn_id), filled(body.stream_id));
            let stopped = state.core().stop_session(session, turn.as_deref(), stream.as_deref()).await?;
            match (stopped, turn.or(stream)) {
                (true, _) => "",
                (false, None) => "no reply of this session is under way",
                (false, Some(_)) => "this turn is not under way",
            }
        }
        "append_guidance" | "regenerate" | "rollback" => {
            state.core().session(session).await?;
            "this version can only stop a reply"
        }
        _ => {
            let message = "action must be one of stop, append_guidance, regenerate, rollback";
            return Err(ApiError::bad_request("reply_control_action_invalid", message));
        }
    };
    let accepted = reason.is_empty();
    Ok(Json(ReplyControlResult {
        request_id: short("endpoint_request_id", body.endpoint_request_id, 255)?
            .unwrap_or_else(|| state.new_id("req")),
        session_id: session.to_string(),
        action,
        accepted,
        status: if accepted { "queued" } else { "rejected" }.to_owned(),
        reason: reason.to_owned(),
    }))
}
