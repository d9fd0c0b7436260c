//! Operations: what was asked of a target, and each attempt at it.

use std::time::Duration;

use serde_json::Value;

use crate::{
    ActorId, ApprovalId, CallId, EndpointId, OperationId, RunId, SessionId, ThreadId, Timestamp, ToolKey,
    ToolName, WorkspaceId, word_enum,
};

word_enum!(
    /// Where an operation and its call stand. `succeeded`, `failed`, `cancelled` and `rejected` are final.
    pub enum OperationStatus {
        Queued = "queued",
        WaitingApproval = "waiting_approval",
        Dispatching = "dispatching",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
        Rejected = "rejected",
    }
);

impl OperationStatus {
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled | Self::Rejected)
    }

    /// Whether the state may change to `next`. A final state never does: a late answer is only logged.
    #[expect(clippy::match_like_matches_macro, reason = "a line per state reads as the table that it is")]
    pub const fn may_become(self, next: Self) -> bool {
        use OperationStatus::{
            Cancelled, Dispatching, Failed, Queued, Rejected, Running, Succeeded, WaitingApproval,
        };
        match (self, next) {
            (Queued, Dispatching | Running | WaitingApproval | Succeeded | Failed | Cancelled | Rejected) => {
                true
            }
            (WaitingApproval, Queued | Dispatching | Running | Rejected | Cancelled | Failed) => true,
            (Dispatching, Running | Succeeded | Failed | Cancelled) => true,
            (Running, Succeeded | Failed | Cancelled | WaitingApproval) => true,
            _ => false,
        }
    }
}

/// An operation with its one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub id: OperationId,
    pub call: CallId,
    pub kind: String,
    pub title: String,
    pub thread: Option<ThreadId>,
    pub workspace: WorkspaceId,
    pub run: Option<RunId>,
    pub session: Option<SessionId>,
    pub actor: ActorId,
    pub tool: ToolName,
    pub tool_key: ToolKey,
    /// `core`, `plugin` or `endpoint`.
    pub target_kind: String,
    pub target_id: String,
    pub target_endpoint: Option<EndpointId>,
    pub approval: Option<ApprovalId>,
    pub status: OperationStatus,
    /// Redacted: a value under a sensitive key is `[REDACTED]`.
    pub arguments: Value,
    pub result: Value,
    /// `{code, message, retryable, details}` or null.
    pub error: Value,
    pub receipt: Value,
    /// Why this target was chosen.
    pub routing: Value,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// What is needed, beside its operation, to run a call again from the start once a person has agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingCall {
    pub operation: OperationId,
    /// The tool and the target as they were asked for.
    pub tool: String,
    pub target: Option<String>,
    pub origin: Option<EndpointId>,
    /// Whether a person or a grant had agreed to the call itself.
    pub is_consented: bool,
    /// Whether plugins are out of the question.
    pub endpoints_only: bool,
    /// Not longer than the tool's own limit.
    pub timeout: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::OperationStatus::{self, *};

    #[test]
    fn the_first_final_state_wins() {
        for last in [Succeeded, Failed, Cancelled, Rejected] {
            for next in OperationStatus::ALL {
                assert!(!last.may_become(*next), "{last} -> {next}");
            }
        }
    }
}
