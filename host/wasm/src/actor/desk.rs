//! Asks the owner for a channel. Its guest goes on with a denial that names the question; the event waits for the answer and
//! then comes again from the start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::operations::approvals::event::EventCall;
use berth_model::ApprovalId;
use tokio_util::sync::CancellationToken;

use super::binding::Binding;
use crate::capability::CapabilityError;
use crate::capability::approvals::{ApprovalDesk, OwnQuestion, Question, Reply};
use crate::capability::context::CallContext;

/// The desk of one lane.
pub(super) struct EventDesk {
    binding: Arc<Binding>,
    was_asked: AtomicBool,
    open: Mutex<Option<ApprovalId>>,
}

impl EventDesk {
    pub fn new(binding: Arc<Binding>) -> Self {
        Self { binding, was_asked: AtomicBool::new(false), open: Mutex::default() }
    }

    /// Another event or delivery is at hand.
    pub fn turn(&self) {
        self.was_asked.store(false, Ordering::Relaxed);
    }

    /// The guest is asked something else.
    pub fn begin(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether something about the event or delivery at hand needed an answer of the owner.
    pub fn was_asked(&self) -> bool {
        self.was_asked.load(Ordering::Relaxed)
    }

    /// The question that had no answer yet.
    pub fn open(&self) -> Option<ApprovalId> {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn approvals(&self) -> Arc<dyn ApprovalDesk> {
        self.binding.host.parts().services.approvals.clone()
    }
}

#[async_trait]
impl ApprovalDesk for EventDesk {
    async fn ask(
        &self,
        question: Question,
        spent: &[ApprovalId],
        _: Duration,
        cancel: &CancellationToken,
    ) -> Result<Reply, CapabilityError> {
        let context = &question.context;
        let event = EventCall {
            operation: context.operation,
            call: context.call,
            plugin: self.binding.plugin.clone(),
            workspace: context.workspace.clone(),
            actor: context.actor.clone(),
            event: context.idempotency_key.clone(),
        };
        self.binding.core.open_event(&event).await.map_err(|error| {
            tracing::warn!(plugin.id = %self.binding.plugin, %error, "an approval could not be asked for");
            let message = "the host cannot ask for an approval right now";
            let mut failure = CapabilityError::new("STORE_UNAVAILABLE", message);
            failure.retryable = true;
            failure
        })?;
        self.was_asked.store(true, Ordering::Relaxed);
        // A guest that stays cannot be ended and run again.
        let reply = self.approvals().ask(question, spent, Duration::ZERO, cancel).await?;
        if let Reply::Open(approval) = &reply {
            *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(*approval);
        }
        Ok(reply)
    }

    async fn ask_own(
        &self,
        plugin: &str,
        question: OwnQuestion,
        context: &CallContext,
    ) -> Result<ApprovalId, CapabilityError> {
        self.approvals().ask_own(plugin, question, context).await
    }
}
