//! The live steps of operations, for whoever follows a thread or an operation.
//!
//! They are told once and kept nowhere: the operation's row is the durable truth.

use std::sync::Arc;

use berth_model::operation::{Operation, OperationStatus};
use tokio::sync::broadcast;

use crate::Core;

/// Updates that a slow listener may lag behind before it loses some.
const BACKLOG: usize = 1024;

/// One step of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationUpdate {
    /// As it is stored: without sensitive values.
    pub operation: Operation,
    /// `waiting_approval`, `dispatched`, `accepted`, the target's own words while it runs (`running`), and at last
    /// `completed`, `failed`, `cancelled` or `rejected`.
    pub phase: String,
    pub detail: String,
}

/// The live bus of operations.
pub(crate) struct OperationUpdates(broadcast::Sender<Arc<OperationUpdate>>);

impl Default for OperationUpdates {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl OperationUpdates {
    pub(crate) fn tell(&self, operation: &Operation, phase: &str, detail: &str) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let (phase, detail) = (phase.to_owned(), detail.to_owned());
        // The last listener may leave at any time: nobody to hear it is no failure.
        let _ = self.0.send(Arc::new(OperationUpdate { operation: operation.clone(), phase, detail }));
    }

    /// Tells that an operation has ended.
    pub(crate) fn tell_end(&self, operation: &Operation) {
        let phase = match operation.status {
            OperationStatus::Succeeded => "completed",
            other => other.as_str(),
        };
        self.tell(operation, phase, operation.error["message"].as_str().unwrap_or_default());
    }
}

impl Core {
    /// Every step of every operation from now on. A receiver that lags behind loses the oldest ones.
    pub fn operation_updates(&self) -> broadcast::Receiver<Arc<OperationUpdate>> {
        self.0.operations.0.subscribe()
    }
}
