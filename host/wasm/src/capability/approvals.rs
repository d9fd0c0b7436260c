//! Asking a person before a capability is used, and a plugin's own questions.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use berth_model::ApprovalId;
use berth_model::tool::Risk;
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

/// The longest title of a question, in characters.
const TITLE_CHARS: usize = 200;
/// The longest details of a question, in characters.
const DETAILS_CHARS: usize = 4000;

/// What a grant to ask covers: there is nothing to narrow.
pub static WANTED: LazyLock<Value> = LazyLock::new(|| Value::Object(serde_json::Map::new()));

impl OwnQuestion {
    /// Fails with `INVALID_ARGUMENTS` for an empty or long title, long details, and a risk that nobody knows.
    pub fn new(title: &str, risk: &str, details: &str) -> Result<Self, CapabilityError> {
        let wrong = |message: String| Err(CapabilityError::new("INVALID_ARGUMENTS", message));
        let title = title.trim();
        if title.is_empty() || title.chars().count() > TITLE_CHARS {
            return wrong(format!("the title must have 1 to {TITLE_CHARS} characters"));
        }
        if details.chars().count() > DETAILS_CHARS {
            return wrong(format!("the details must have at most {DETAILS_CHARS} characters"));
        }
        if risk.parse::<Risk>().is_err() {
            let known: Vec<&str> = Risk::ALL.iter().map(|risk| risk.as_str()).collect();
            return wrong(format!("the risk must be one of {}", known.join(", ")));
        }
        // The question stands on the owner's terminal.
        let plain = |text: &str, keep: char| -> String {
            text.chars().map(|c| if c.is_control() && c != keep { '\u{fffd}' } else { c }).collect()
        };
        Ok(Self { title: plain(title, ' '), risk: risk.to_owned(), details: plain(details, '\n') })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_bounded_and_draws_nothing() {
        assert!(OwnQuestion::new("Delete it?", "destructive", "").is_ok());
        for (title, risk, details) in [
            ("", "read", ""),
            (&*"x".repeat(201), "read", ""),
            ("a", "mild", ""),
            ("a", "read", &*"x".repeat(4001)),
        ] {
            assert_eq!(
                OwnQuestion::new(title, risk, details).map_err(|error| error.code),
                Err("INVALID_ARGUMENTS".to_owned())
            );
        }
        let question = OwnQuestion::new("a\u{1b}[2J", "read", "b\n\u{7}").map(|q| (q.title, q.details));
        assert_eq!(question, Ok(("a\u{fffd}[2J".to_owned(), "b\n\u{fffd}".to_owned())));
    }
}
