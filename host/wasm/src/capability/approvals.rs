//! Asking a person before a capability is used, and a plugin's own questions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_model::ApprovalId;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::context::CallContext;
use super::{Capability, CapabilityError};

/// A use that a person must agree to.
#[derive(Debug, Clone)]
pub struct Question {
    pub plugin: String,
    pub capability: Capability,
    /// What a grant would have to cover.
    pub scope: Value,
    pub is_write: bool,
    pub context: Arc<CallContext>,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Yes(ApprovalId),
    /// With the words of the person who answered.
    No(ApprovalId, String),
    /// Nobody has answered yet; the call may be parked.
    Open(ApprovalId),
    /// There is nobody to ask.
    Nobody,
}

/// A question of the plugin itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnQuestion {
    pub title: String,
    pub risk: String,
    pub details: String,
}

/// Puts questions to the people who may answer.
#[async_trait]
pub trait ApprovalDesk: Send + Sync {
    /// Asks, unless the same call asked the same before and none of `spent` is the answer, and waits at most `wait`.
    ///
    /// Fails with `cancelled` when `cancel` ends first.
    async fn ask(
        &self,
        question: Question,
        spent: &[ApprovalId],
        wait: Duration,
        cancel: &CancellationToken,
    ) -> Result<Reply, CapabilityError>;

    /// Stores a question of the plugin itself and returns at once; the answer is told later.
    async fn ask_own(
        &self,
        plugin: &str,
        question: OwnQuestion,
        context: &CallContext,
    ) -> Result<ApprovalId, CapabilityError>;
}

/// Nobody is there to be asked.
#[derive(Debug, Clone, Copy)]
pub struct NoApprovals;

#[async_trait]
impl ApprovalDesk for NoApprovals {
    async fn ask(
        &self,
        _: Question,
        _: &[ApprovalId],
        _: Duration,
        _: &CancellationToken,
    ) -> Result<Reply, CapabilityError> {
        Ok(Reply::Nobody)
    }

    async fn ask_own(&self, _: &str, _: OwnQuestion, _: &CallContext) -> Result<ApprovalId, CapabilityError> {
        Err(CapabilityError::new("APPROVAL_UNAVAILABLE", "there is nobody to ask"))
    }
}
