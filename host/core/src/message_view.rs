//! The public form of a message, as events and answers carry it.

use berth_model::message::Message;
use serde_json::{Value, json};

/// The fields of a message that clients see; an absent text is `""`.
pub fn message_view(message: &Message) -> Value {
    let text = |id: Option<String>| id.unwrap_or_default();
    json!({
        "message_id": message.id.to_string(),
        "thread_id": message.thread.to_string(),
        "session_id": text(message.session.map(|id| id.to_string())),
        "run_id": text(message.run.map(|id| id.to_string())),
        "active_workspace_id": message.workspace.as_str(),
        "workspace_id": message.workspace.as_str(),
        "origin_endpoint_id": text(message.origin_endpoint.as_ref().map(ToString::to_string)),
        "role": message.role.as_str(),
        "content": message.content,
        "status": message.status.as_str(),
        "channel": message.channel,
        "created_at": message.created_at.to_string(),
    })
}
