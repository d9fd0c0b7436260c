//! What a call keeps of its questions and uses.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use berth_model::ApprovalId;
use tokio::sync::Notify;

use crate::capability::ledger::Trail;

/// Shared by the store of a call and the task around it.
#[derive(Debug, Default)]
pub struct Asking {
    trail: Mutex<Trail>,
    spent: Mutex<Vec<ApprovalId>>,
    parked: OnceLock<ApprovalId>,
    parking: Notify,
    stays: bool,
}

impl Asking {
    /// For a guest that cannot be ended and run again, such as one that serves many events.
    pub fn staying() -> Self {
        Self { stays: true, ..Self::default() }
    }

    /// Whether the guest goes on while a question is open.
    pub fn stays(&self) -> bool {
        self.stays
    }

    /// What was written down of the call.
    pub fn trail(&self) -> MutexGuard<'_, Trail> {
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers for one use that this attempt at the call has used.
    pub fn spent(&self) -> Vec<ApprovalId> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer is used up for this attempt.
    pub fn spend(&self, approval: ApprovalId) {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).push(approval);
    }

    /// Wishes the end of the guest until `approval` has its answer.
    pub fn park(&self, approval: ApprovalId) {
        let _ = self.parked.set(approval);
        self.parking.notify_one();
    }

    /// Waits for such a wish.
    pub async fn parked(&self) -> ApprovalId {
        loop {
            if let Some(approval) = self.parked.get() {
                return *approval;
            }
            self.parking.notified().await;
        }
    }
}
