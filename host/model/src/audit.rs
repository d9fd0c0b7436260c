//! The audit: what plugins were denied, and what they did that changed something.

use serde_json::Value;

use crate::{
    ActorId, ApprovalId, AuditId, CallId, GrantId, OperationId, PluginId, RunId, Timestamp, WorkspaceId,
    word_enum,
};

word_enum!(
    /// What became of a use.
    pub enum AuditDecision {
        Allowed = "allowed",
        /// Let through by a grant that only watches.
        Observed = "observed",
        Denied = "denied",
    }
);

/// One kind of use in one call. Holds no secret and no payload.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    pub id: AuditId,
    pub plugin: PluginId,
    /// `files`, `endpoint`, `http` …
    pub capability: String,
    /// What was wanted, in the form of a scope.
    pub scope: Value,
    pub decision: AuditDecision,
    /// Whether the use changes something.
    pub is_write: bool,
    /// How often the call did it.
    pub uses: i64,
    pub call: CallId,
    pub operation: OperationId,
    pub run: Option<RunId>,
    pub workspace: WorkspaceId,
    pub actor: ActorId,
    pub grant: Option<GrantId>,
    pub approval: Option<ApprovalId>,
    pub created_at: Timestamp,
}
