//! The call that a guest serves.

use berth_model::{ActorId, CallId, OperationId, RunId, SessionId, ThreadId, WorkspaceId};

/// Who asked for what.
#[derive(Debug, Clone, PartialEq)]
pub struct CallContext {
    pub call: CallId,
    pub operation: OperationId,
    pub run: Option<RunId>,
    pub thread: Option<ThreadId>,
    pub session: Option<SessionId>,
    pub workspace: WorkspaceId,
    pub actor: ActorId,
    /// A BCP 47 tag, or empty.
    pub locale: String,
    pub dry_run: bool,
    /// The same for every attempt at the same call.
    pub idempotency_key: String,
    pub meta: Vec<(String, String)>,
}

impl CallContext {
    /// Of an instance that is made before anybody calls it.
    pub fn of_nobody() -> Self {
        let nobody = uuid::Uuid::nil();
        Self {
            call: CallId::from_uuid(nobody),
            operation: OperationId::from_uuid(nobody),
            run: None,
            thread: None,
            session: None,
            workspace: WorkspaceId::fixed("none"),
            actor: ActorId::fixed("system:host"),
            locale: String::new(),
            dry_run: true,
            idempotency_key: String::new(),
            meta: Vec::new(),
        }
    }
}
