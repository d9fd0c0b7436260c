//! Sessions, and the conversations of providers.

use axum::Json;
use axum::extract::State;
use berth_core::sessions::{Conversation, Resolved};
use berth_model::session::{Binding, Session, ThreadStrategy};
use berth_model::{AddressId, JsonMap, SessionId, ThreadId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::text;
use super::threads::ThreadView;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, Id, endpoint_id, filled, id, optional_id, short};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(resolve)).routes(routes!(create)).routes(routes!(switch))
}

/// One endpoint's attachment to one thread.
#[derive(Debug, Serialize, ToSchema)]
struct SessionView {
    session_id: String,
    thread_id: String,
    active_workspace_id: String,
    /// The same.
    workspace_id: String,
    endpoint_id: String,
    status: String,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        Self {
            session_id: session.id.to_string(),
            thread_id: session.thread.to_string(),
            active_workspace_id: session.workspace.to_string(),
            workspace_id: session.workspace.to_string(),
            endpoint_id: text(session.endpoint.as_ref()),
            status: session.status,
        }
    }
}

/// What binds a conversation of a provider to a thread.
#[derive(Debug, Serialize, ToSchema)]
struct BindingView {
    binding_id: String,
    endpoint_id: String,
    thread_id: String,
    workspace_id: String,
    address_id: String,
    thread_strategy: String,
    conversation_key: String,
    display_name: String,
    status: String,
    #[schema(value_type = Object)]
    metadata: JsonMap,
}

impl From<Binding> for BindingView {
    fn from(binding: Binding) -> Self {
        Self {
            binding_id: binding.id.to_string(),
            endpoint_id: binding.endpoint.to_string(),
            thread_id: binding.thread.to_string(),
            workspace_id: binding.workspace.to_string(),
            address_id: text(binding.address.as_ref()),
            thread_strategy: binding.strategy.to_string(),
            conversation_key: binding.conversation_key,
            display_name: binding.display_name,
            status: binding.status,
            metadata: binding.metadata,
        }
    }
}

/// A conversation with its thread and a fresh session on it.
#[derive(Debug, Serialize, ToSchema)]
struct SessionResolve {
    thread: ThreadView,
    session: SessionView,
    binding: BindingView,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ResolveBody {
    /// Required.
    endpoint_id: Option<String>,
    workspace_id: Option<String>,
    provider_type: Option<String>,
    endpoint_type: Option<String>,
    display_name: Option<String>,
    conversation_key: Option<String>,
    address_id: Option<String>,
    /// `per_conversation` (default), `per_address`, `shared_endpoint` or `explicit_thread`.
    thread_strategy: Option<String>,
    title: Option<String>,
    /// Decides under `explicit_thread`; a hint otherwise.
    explicit_thread_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewSessionBody {
    thread_id: String,
    endpoint_id: String,
    /// The thread's own by default.
    active_workspace_id: Option<String>,
    /// The same.
    workspace_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct SwitchBody {
    active_workspace_id: String,
}

/// Finds or makes the thread of a provider's conversation. The same conversation gets the same thread, in a session of
/// its own.
#[utoipa::path(
    post, path = "/runtime/endpoint-sessions/resolve", tag = "sessions", request_body = ResolveBody,
    responses((status = 200, body = SessionResolve)),
)]
async fn resolve(State(state): State<HttpState>, Body(body): Body<ResolveBody>) -> Answer<SessionResolve> {
    let Resolved { thread, session, binding } = state.core().resolve_conversation(read(body)?).await?;
    Ok(Json(SessionResolve { thread: thread.into(), session: session.into(), binding: binding.into() }))
}

fn read(body: ResolveBody) -> Result<Conversation, ApiError> {
    let endpoint = filled(body.endpoint_id)
        .ok_or_else(|| ApiError::bad_request("endpoint_id_required", "endpoint_id is required"))?;
    let strategy = match filled(body.thread_strategy) {
        None => ThreadStrategy::PerConversation,
        Some(word) => word.parse().map_err(|_| {
            let words: Vec<_> = ThreadStrategy::ALL.iter().map(|strategy| strategy.as_str()).collect();
            let message = format!("thread_strategy must be one of {}", words.join(", "));
            ApiError::bad_request("unsupported_thread_strategy", message)
        })?,
    };
    let explicit_thread = match filled(body.explicit_thread_id) {
        Some(text) if strategy == ThreadStrategy::ExplicitThread => {
            Some(text.parse().map_err(|_| unknown_explicit_thread(&text))?)
        }
        // Elsewhere it is a hint, and a wrong one is none.
        hint => hint.and_then(|text| text.parse().ok()),
    };
    let address = filled(body.address_id).map(AddressId::new).transpose();
    Ok(Conversation {
        endpoint: endpoint_id(&endpoint)?,
        workspace: optional_id(body.workspace_id.as_deref())?,
        provider_type: short("provider_type", body.provider_type, 64)?.unwrap_or_default(),
        endpoint_type: short("endpoint_type", body.endpoint_type, 64)?.unwrap_or_default(),
        display_name: short("display_name", body.display_name, 255)?.unwrap_or_default(),
        conversation_key: body.conversation_key.unwrap_or_default(),
        address: address.map_err(|error| ApiError::invalid("address_id", error.to_string()))?,
        strategy,
        title: short("title", body.title, 255)?.unwrap_or_default(),
        explicit_thread,
        metadata: body.metadata.unwrap_or_default(),
    })
}

/// Makes a session of an endpoint on a thread.
#[utoipa::path(
    post, path = "/runtime/sessions", tag = "sessions", request_body = NewSessionBody,
    responses((status = 200, body = SessionView)),
)]
async fn create(State(state): State<HttpState>, Body(body): Body<NewSessionBody>) -> Answer<SessionView> {
    let thread: ThreadId = id(&body.thread_id)?;
    let endpoint = endpoint_id(&body.endpoint_id)?;
    let place = filled(body.active_workspace_id).or(filled(body.workspace_id));
    let place = optional_id(place.as_deref())?;
    Ok(Json(state.core().create_session(thread, endpoint, place).await?.into()))
}

/// Switches the workspace that a session is in.
#[utoipa::path(
    patch, path = "/runtime/sessions/{session_id}/active-workspace", tag = "sessions",
    params(("session_id" = String, Path)), request_body = SwitchBody, responses((status = 200, body = SessionView)),
)]
async fn switch(
    State(state): State<HttpState>,
    Id(session): Id<SessionId>,
    Body(body): Body<SwitchBody>,
) -> Answer<SessionView> {
    let place = id(&body.active_workspace_id)?;
    Ok(Json(state.core().switch_workspace(session, place).await?.into()))
}

fn unknown_explicit_thread(text: &str) -> ApiError {
    ApiError::not_found("explicit_thread_not_found", "explicit_thread", text)
}
