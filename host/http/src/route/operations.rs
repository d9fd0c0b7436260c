//! Operations: tool calls that a client asks for itself.

use axum::Json;
use axum::extract::{Extension, State};
use berth_core::gate::Consent;
use berth_core::operations::{Ask, Finished};
use berth_model::approval::Approval;
use berth_model::operation::Operation;
use berth_model::{JsonMap, OperationId, SessionId, ThreadId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::text;
use crate::config::BodyLimits;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, BodyLimit, Id, endpoint_id, filled, id, optional_id};
use crate::state::HttpState;

pub(crate) fn routes(limits: BodyLimits) -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(create).layer(Extension(BodyLimit(limits.call_bytes))))
        .routes(routes!(show))
}

/// A tool call from its wish to its end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OperationView {
    pub(crate) operation_id: String,
    thread_id: String,
    workspace_id: String,
    run_id: String,
    title: String,
    operation_type: String,
    /// Who runs the tool: `core.local`, `plugin.<id>` or an endpoint.
    pub(crate) execution_target: String,
    target_endpoint_id: String,
    /// The key that the target knows the tool by.
    tool_key: String,
    /// The name that models use.
    pub(crate) tool_id: String,
    capability_id: String,
    pub(crate) status: String,
    approval_id: String,
    approval_status: String,
    approval_required: bool,
    /// Why this target was chosen.
    routing_reason: String,
    /// What the tool answered; null before.
    pub(crate) result: Value,
    /// `{code, message, retryable, details}` or null.
    pub(crate) error: Value,
    calls: Vec<CallView>,
    created_at: String,
    finished_at: String,
}

/// One attempt of an operation at its target.
#[derive(Debug, Serialize, ToSchema)]
struct CallView {
    call_id: String,
    execution_target_id: String,
    status: String,
    /// Without sensitive values.
    #[schema(value_type = Object)]
    arguments: Value,
    /// Measurements of the call, where its target takes them.
    receipt: Value,
    started_at: String,
    finished_at: String,
}

impl OperationView {
    pub(crate) fn new(operation: Operation, approval: Option<&Approval>) -> Self {
        let routing = |key: &str| operation.routing[key].as_str().unwrap_or_default().to_owned();
        let call = CallView {
            call_id: operation.call.to_string(),
            execution_target_id: operation.target_id.clone(),
            status: operation.status.to_string(),
            arguments: operation.arguments,
            receipt: operation.receipt,
            started_at: text(operation.started_at.as_ref()),
            finished_at: text(operation.finished_at.as_ref()),
        };
        Self {
            operation_id: operation.id.to_string(),
            thread_id: text(operation.thread.as_ref()),
            workspace_id: operation.workspace.to_string(),
            run_id: text(operation.run.as_ref()),
            title: operation.title,
            operation_type: operation.kind,
            execution_target: operation.target_id,
            target_endpoint_id: text(operation.target_endpoint.as_ref()),
            tool_key: operation.tool_key.to_string(),
            tool_id: operation.tool.to_string(),
            capability_id: routing("capability_id"),
            status: operation.status.to_string(),
            approval_id: text(operation.approval.as_ref()),
            approval_status: text(approval.map(|approval| approval.status).as_ref()),
            approval_required: operation.approval.is_some(),
            routing_reason: routing("mode"),
            result: operation.result,
            error: operation.error,
            calls: vec![call],
            created_at: operation.created_at.to_string(),
            finished_at: text(operation.finished_at.as_ref()),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewOperationBody {
    thread_id: String,
    workspace_id: String,
    /// Such as `tool_call`.
    operation_type: String,
    /// Where the wish comes from.
    endpoint_id: Option<String>,
    session_id: Option<String>,
    title: Option<String>,
    /// `core.local`, `plugin.<id>`, `provider:<type>` or an endpoint; the router decides when absent.
    execution_target: Option<String>,
    target_endpoint_id: Option<String>,
    /// The tool; `capability_id` and `tool_id` are the same.
    tool_key: Option<String>,
    capability_id: Option<String>,
    tool_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    arguments: Option<JsonMap>,
    /// Whether the owner has agreed to this very call; without it a tool that wants a confirmation is refused.
    confirmed: Option<bool>,
    /// Whether to tell what would be done, and do nothing: the plugin is told, and every use that changes something is
    /// denied. Core and endpoints refuse it for what has effects.
    dry_run: Option<bool>,
    /// The language of who waits, such as `de-CH`; that of the thread or of the host when absent.
    locale: Option<String>,
}

/// Words of a target that leave the choice to the router.
const ANY_TARGET: [&str; 4] = ["endpoint", "workspace_any_endpoint", "prefer_endpoint_fallback_core", "auto"];

/// Calls a tool and answers when the call has ended. It goes on when the client does not wait.
#[utoipa::path(
    post, path = "/runtime/operations", tag = "operations", request_body = NewOperationBody,
    responses((status = 200, body = OperationView)),
)]
async fn create(State(state): State<HttpState>, Body(body): Body<NewOperationBody>) -> Answer<OperationView> {
    let mut ask = read(body)?;
    if let Some(thread) = ask.thread {
        let locale = state.core().check_thread(thread).await?;
        ask.locale = ask.locale.or(locale);
    }
    let finished = state.core().operate(ask).await?;
    Ok(Json(ended(finished)?))
}

/// A call that yielded nothing is an error; a tool that says that it failed has answered.
pub(crate) fn ended(finished: Finished) -> Result<OperationView, ApiError> {
    let Finished { operation, outcome } = finished;
    match outcome {
        Ok(outcome) => {
            let mut view = OperationView::new(operation, None);
            // Whoever called reads the answer itself; only what is kept is without sensitive values.
            view.result = outcome.content;
            Ok(view)
        }
        Err(failure) => Err(ApiError::from(failure).with("operation_id", json!(operation.id.to_string()))),
    }
}

fn read(body: NewOperationBody) -> Result<Ask, ApiError> {
    let thread: ThreadId = id(&body.thread_id)?;
    let workspace: WorkspaceId = id(&body.workspace_id)?;
    let tool = [body.tool_key, body.capability_id, body.tool_id].into_iter().find_map(filled);
    let tool = tool.ok_or_else(|| ApiError::bad_request("tool_key_required", "the call names no tool"))?;
    let kind = filled(Some(body.operation_type))
        .ok_or_else(|| ApiError::invalid("operation_type", "must not be empty"))?;
    let origin = filled(body.endpoint_id).map(|text| endpoint_id(&text)).transpose()?;
    let session: Option<SessionId> = optional_id(body.session_id.as_deref())?;
    let target = filled(body.target_endpoint_id)
        .or_else(|| filled(body.execution_target).filter(|word| !ANY_TARGET.contains(&word.as_str())));
    let mut ask = Ask::of_owner(tool, Value::Object(body.arguments.unwrap_or_default()), workspace);
    ask.thread = Some(thread);
    ask.session = session;
    ask.origin = origin;
    ask.target = target;
    ask.title = filled(body.title).unwrap_or_default().chars().take(255).collect();
    ask.dry_run = body.dry_run.unwrap_or(false);
    ask.locale = locale(body.locale)?;
    ask.kind = kind.chars().take(64).collect();
    ask.consent = if body.confirmed.unwrap_or(false) { Consent::Given } else { Consent::Missing };
    Ok(ask)
}

/// The language that a request names.
pub(crate) fn locale(named: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(named) = filled(named) else { return Ok(None) };
    let known = berth_core::locale::read(&named);
    known.map(Some).ok_or_else(|| ApiError::invalid("locale", "must be a tag such as de-CH"))
}

/// One operation.
#[utoipa::path(
    get, path = "/runtime/operations/{operation_id}", tag = "operations", params(("operation_id" = String, Path)),
    responses((status = 200, body = OperationView)),
)]
async fn show(State(state): State<HttpState>, Id(operation): Id<OperationId>) -> Answer<OperationView> {
    let operation = state.core().operation(operation).await?;
    let approval = match operation.approval {
        Some(id) => Some(state.core().approval(id).await?),
        None => None,
    };
    Ok(Json(OperationView::new(operation, approval.as_ref())))
}
