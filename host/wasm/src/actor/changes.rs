//! What a channel does to messages that it has sent, with its optional export `channel-edit`.

use std::time::Duration;

use berth_core::channels::ChannelDelivery;
use berth_core::channels::changes::{EDIT, REACT, RETRACT};
use berth_model::channel::{PartOutcome, SentPart};
use serde_json::Value;

use super::egress;
use crate::call::extra::Extra;
use crate::call::resident::Reply;
use crate::capability::CapabilityError;
use crate::wit::v0_1::channel as wit;

/// The wait before a change is tried again that was put off without a time.
const PUT_OFF: Duration = Duration::from_secs(5);
/// What becomes of a change that the channel cannot make.
const UNSUPPORTED: &str = "unsupported";

/// Whether a delivery of this kind changes what was sent before.
pub(super) fn is_change(kind: &str) -> bool {
    matches!(kind, EDIT | RETRACT | REACT)
}

/// What to ask for a delivery that is a change.
pub(super) fn asked(begun: &ChannelDelivery, markdown: bool) -> Option<Extra> {
    let payload = &begun.delivery.payload;
    let text = |key: &str| payload[key].as_str().unwrap_or_default().to_owned();
    let (address, reference) = (egress::address(&begun.address), text("reference"));
    Some(match begun.delivery.kind.as_str() {
        EDIT => Extra::Edit { address, reference, part: egress::part(begun.parts.first()?, markdown) },
        RETRACT => Extra::Retract { address, reference },
        REACT => Extra::React {
            address,
            reference,
            emoji: text("emoji"),
            add: payload["add"] != Value::Bool(false),
        },
        _ => return None,
    })
}

/// What became of it.
pub(super) fn outcome(reply: Reply) -> PartOutcome {
    match reply {
        Reply::Done(Ok(())) => PartOutcome::Sent(SentPart::default()),
        Reply::Done(Err(error)) if error.retryable => {
            let wait = error.retry_after_ms.map_or(PUT_OFF, |ms| Duration::from_millis(ms.into()));
            PartOutcome::RetryAfter(wait)
        }
        Reply::Done(Err(error)) => PartOutcome::Permanent(CapabilityError::from(error).bounded().code),
        _ => PartOutcome::Permanent(UNSUPPORTED.to_owned()),
    }
}

/// Addresses where somebody is about to answer; each once, and no more than are worth telling.
#[derive(Debug, Default)]
pub(super) struct Typing(std::sync::Mutex<Vec<wit::Address>>);

impl Typing {
    const MOST: usize = 16;

    pub fn add(&self, address: wit::Address) {
        let mut waiting = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_known = waiting
            .iter()
            .any(|known| known.external_ref == address.external_ref && known.kind == address.kind);
        if !is_known && waiting.len() < Self::MOST {
            waiting.push(address);
        }
    }

    pub fn take(&self) -> Option<wit::Address> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop()
    }
}
