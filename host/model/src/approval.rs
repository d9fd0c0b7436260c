//! Approvals: a durable question to an operator, and its answer.

use crate::{ActorId, ApprovalId, OperationId, Timestamp, word_enum};

word_enum!(
    /// Where an approval stands; all but the first are final.
    pub enum ApprovalStatus {
        Pending = "pending",
        Approved = "approved",
        Rejected = "rejected",
        Expired = "expired",
    }
);

/// An approval.
#[derive(Debug, Clone, PartialEq)]
pub struct Approval {
    pub id: ApprovalId,
    pub operation: OperationId,
    pub kind: String,
    pub risk: String,
    /// What the person who answers reads.
    pub prompt: String,
    pub status: ApprovalStatus,
    pub reason: String,
    pub decided_by: Option<ActorId>,
    pub expires_at: Timestamp,
    pub created_at: Timestamp,
    pub decided_at: Option<Timestamp>,
}
