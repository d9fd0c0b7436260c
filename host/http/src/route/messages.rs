//! Messages.

use axum::Json;
use axum::extract::{Extension, State};
use berth_core::messages::{Accepted, NewMessage};
use berth_model::message::{Message, Role};
use berth_model::{JsonMap, ThreadId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::text;
use super::threads::mode;
use crate::config::BodyLimits;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, BodyLimit, Id, endpoint_id, filled, id, optional_id, short, word};
use crate::state::HttpState;

pub(crate) fn routes(limits: BodyLimits) -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(post).layer(Extension(BodyLimit(limits.message_bytes))))
}

/// A stored message; its content never changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageView {
    message_id: String,
    thread_id: String,
    session_id: String,
    /// The run that this message started (a user's) or ended (an assistant's).
    run_id: String,
    active_workspace_id: String,
    /// The same.
    workspace_id: String,
    endpoint_id: String,
    role: String,
    content: String,
    status: String,
    channel: String,
    #[schema(value_type = Object)]
    metadata: JsonMap,
    created_at: String,
    /// Whether the message had been accepted before.
    idempotent_replay: bool,
}

impl MessageView {
    fn new(message: Message, idempotent_replay: bool) -> Self {
        Self {
            message_id: message.id.to_string(),
            thread_id: message.thread.to_string(),
            session_id: text(message.session.as_ref()),
            run_id: text(message.run.as_ref()),
            active_workspace_id: message.workspace.to_string(),
            workspace_id: message.workspace.to_string(),
            endpoint_id: text(message.origin_endpoint.as_ref()),
            role: message.role.to_string(),
            content: message.content,
            status: message.status.to_string(),
            channel: message.channel,
            metadata: message.metadata,
            created_at: message.created_at.to_string(),
            idempotent_replay,
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
struct NewMessageBody {
    thread_id: String,
    content: String,
    session_id: Option<String>,
    /// The workspace of this message; the session's, else the thread's own by default.
    active_workspace_id: Option<String>,
    /// The same.
    workspace_id: Option<String>,
    /// Where the message comes from.
    endpoint_id: Option<String>,
    endpoint_type: Option<String>,
    display_name: Option<String>,
    /// `user` by default.
    role: Option<String>,
    /// The sender's own id: the same one twice is stored and answered once.
    endpoint_message_id: Option<String>,
    preferred_mode: Option<String>,
    /// Wishes for the model: `model`, `thinking`.
    #[schema(value_type = Option<Object>)]
    options: Option<JsonMap>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<JsonMap>,
    /// Whether a run shall answer; a message of a user is answered by default.
    reply: Option<bool>,
}

/// The messages of a thread, oldest first.
#[utoipa::path(
    get, path = "/runtime/threads/{thread_id}/messages", tag = "messages", params(("thread_id" = String, Path)),
    responses((status = 200, body = [MessageView])),
)]
async fn list(State(state): State<HttpState>, Id(thread): Id<ThreadId>) -> Answer<Vec<MessageView>> {
    let messages = state.core().list_messages(thread).await?;
    Ok(Json(messages.into_iter().map(|message| MessageView::new(message, false)).collect()))
}

/// Stores a message and queues the run that answers it. Answers before the model does.
#[utoipa::path(
    post, path = "/runtime/messages", tag = "messages", request_body = NewMessageBody,
    responses((status = 200, body = MessageView)),
)]
async fn post(State(state): State<HttpState>, Body(body): Body<NewMessageBody>) -> Answer<MessageView> {
    let Accepted { message, run: _, replay } = state.core().post_message(read(body)?).await?;
    Ok(Json(MessageView::new(message, replay)))
}

fn read(body: NewMessageBody) -> Result<NewMessage, ApiError> {
    let endpoint = filled(body.endpoint_id).map(|text| endpoint_id(&text)).transpose()?;
    let mut metadata = body.metadata.unwrap_or_default();
    if let Some(word) = filled(body.preferred_mode) {
        metadata.insert("preferred_mode".to_owned(), json!(mode(Some(&word))));
    }
    for (key, value, most) in
        [("endpoint_type", body.endpoint_type, 64), ("display_name", body.display_name, 255)]
    {
        if let Some(value) = short(key, value, most)? {
            metadata.entry(key).or_insert_with(|| json!(value));
        }
    }
    Ok(NewMessage {
        thread: id(&body.thread_id)?,
        workspace: optional_id(body.active_workspace_id.as_deref())?
            .map_or_else(|| optional_id(body.workspace_id.as_deref()), |place| Ok(Some(place)))?,
        session: optional_id(body.session_id.as_deref())?,
        endpoint,
        role: word("role", body.role, Role::ALL)?.unwrap_or(Role::User),
        content: body.content,
        endpoint_message_id: filled(body.endpoint_message_id),
        metadata,
        options: body.options.unwrap_or_default(),
        reply: body.reply.unwrap_or(true),
    })
}
