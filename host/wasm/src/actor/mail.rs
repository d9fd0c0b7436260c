//! What lies in the mailbox of a channel.

use berth_core::port::ids::Ids;
use berth_model::Timestamp;
use tokio::sync::oneshot;

use super::happening::{Happening, HookCall};
use super::hooks::{HookAnswer, HookRefusal, Place};

/// Mails that a channel holds; whoever brings one more waits.
pub const MAILBOX: usize = 64;

/// A mail.
pub(super) enum Mail {
    Happened {
        id: String,
        at: Timestamp,
        happening: Happening,
        /// Whoever wants to hear that it is settled: whether the guest has dealt with it, else it is laid aside.
        settled: Option<oneshot::Sender<bool>>,
    },
    /// Somebody waits for the answer.
    Asked {
        id: String,
        call: HookCall,
        place: Place,
        reply: oneshot::Sender<Result<HookAnswer, HookRefusal>>,
    },
}

impl Mail {
    pub fn happened(ids: &dyn Ids, at: Timestamp, happening: Happening) -> Self {
        Self::Happened { id: format!("cev_{}", ids.uuid().simple()), at, happening, settled: None }
    }
}
