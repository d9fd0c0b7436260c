//! A message: content that is never edited or removed in place.

use crate::{EndpointId, JsonMap, MessageId, RunId, SessionId, ThreadId, Timestamp, WorkspaceId, word_enum};

word_enum!(
    /// Who speaks.
    pub enum Role {
        User = "user",
        Assistant = "assistant",
        System = "system",
        Tool = "tool",
        Notice = "notice",
    }
);

word_enum!(
    /// How a message ended.
    pub enum MessageStatus {
        Completed = "completed",
        Failed = "failed",
        Stopped = "stopped",
    }
);

/// A stored message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub id: MessageId,
    pub thread: ThreadId,
    pub session: Option<SessionId>,
    /// The run that this message started (a user's) or ended (an assistant's).
    pub run: Option<RunId>,
    pub workspace: WorkspaceId,
    pub role: Role,
    pub channel: String,
    pub content: String,
    pub status: MessageStatus,
    pub origin_endpoint: Option<EndpointId>,
    /// The sender's own id of the message; with thread, endpoint and role it is unique.
    pub endpoint_message_id: Option<String>,
    pub metadata: JsonMap,
    pub created_at: Timestamp,
}
