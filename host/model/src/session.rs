//! Sessions and the bindings of external conversations to threads.

use crate::{
    AddressId, BindingId, EndpointId, JsonMap, SessionId, ThreadId, Timestamp, WorkspaceId, word_enum,
};

/// One endpoint's attachment to one thread, with a workspace that can be switched.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub id: SessionId,
    pub thread: ThreadId,
    pub endpoint: Option<EndpointId>,
    pub workspace: WorkspaceId,
    pub status: String,
    pub metadata: JsonMap,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

word_enum!(
    /// Which conversations of an endpoint share a thread.
    pub enum ThreadStrategy {
        PerConversation = "per_conversation",
        PerAddress = "per_address",
        SharedEndpoint = "shared_endpoint",
        ExplicitThread = "explicit_thread",
    }
);

/// The binding of an external conversation to a thread.
#[derive(Debug, Clone, PartialEq)]
pub struct Binding {
    pub id: BindingId,
    pub endpoint: EndpointId,
    pub thread: ThreadId,
    pub workspace: WorkspaceId,
    pub address: Option<AddressId>,
    pub strategy: ThreadStrategy,
    /// Canonical: `conversation:…`, `address:…`, `endpoint:…` or `thread:…`.
    pub conversation_key: String,
    pub display_name: String,
    pub status: String,
    pub metadata: JsonMap,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
