//! Approvals: a durable question to an operator, and its answer.

use std::time::Duration;

use serde_json::Value;

use crate::{ActorId, ApprovalId, GrantId, OperationId, PluginId, Timestamp, word_enum};

word_enum!(
    /// Where an approval stands; all but the first are final.
    pub enum ApprovalStatus {
        Pending = "pending",
        Approved = "approved",
        Rejected = "rejected",
        Expired = "expired",
    }
);

word_enum!(
    /// How far a yes reaches.
    pub enum ApprovalAnswer {
        No = "no",
        Once = "once",
        /// As long as the run lasts, or the operation where there is no run.
        Run = "run",
        Hour = "1h",
        Day = "24h",
        Always = "always",
    }
);

impl ApprovalAnswer {
    /// Whether it becomes a grant.
    pub const fn outlasts_the_use(self) -> bool {
        matches!(self, Self::Run | Self::Hour | Self::Day | Self::Always)
    }

    /// How long its grant counts; `None` where time does not end it.
    pub const fn span(self) -> Option<Duration> {
        match self {
            Self::Hour => Some(Duration::from_secs(60 * 60)),
            Self::Day => Some(Duration::from_secs(24 * 60 * 60)),
            Self::No | Self::Once | Self::Run | Self::Always => None,
        }
    }
}

/// The use of a capability that a plugin asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalSubject {
    pub plugin: PluginId,
    /// `files`, `endpoint`, `http` …
    pub capability: String,
    /// What a grant would have to cover.
    pub scope: Value,
}

/// An approval.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub id: ApprovalId,
    pub operation: OperationId,
    /// `tool_call`, `capability` or `plugin_question`.
    pub kind: String,
    pub risk: String,
    /// What the person who answers reads.
    pub prompt: String,
    /// Of a `capability`, what is asked for.
    pub subject: Option<ApprovalSubject>,
    pub status: ApprovalStatus,
    pub answer: Option<ApprovalAnswer>,
    pub reason: String,
    pub decided_by: Option<ActorId>,
    /// The grant that the answer became.
    pub grant: Option<GrantId>,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    pub decided_at: Option<Timestamp>,
}
