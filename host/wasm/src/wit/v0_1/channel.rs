//! What a channel exports, as the host calls it.

use std::time::Duration;

use berth_model::channel::{PartOutcome, SentPart};

use super::inbound::{object, time};
use super::wit;
use crate::capability::inbound::InboundAddress;

pub use super::bindings::exports::berth::plugin::channel::{
    ApprovalAnswer, Binding, Description, Event, Frame, GuestIndices, HookPath, Occurrence, PollAnswer,
    PollWish, Reach, SocketState, SocketWish, TimerWish, WebhookRequest, WebhookResponse, WebhookWish,
    Wishes,
};
pub use wit::delivery_types::{Address, Delivery, Part};

pub(super) fn address_from_wit(address: Address) -> InboundAddress {
    InboundAddress {
        external_ref: address.external_ref,
        kind: address.kind,
        display_name: address.display_name,
        metadata: object(address.meta),
    }
}

impl From<InboundAddress> for Address {
    fn from(address: InboundAddress) -> Self {
        let pairs = address.metadata.into_iter().filter_map(|(key, value)| match value {
            serde_json::Value::String(text) => Some((key, text)),
            _ => None,
        });
        Self {
            external_ref: address.external_ref,
            kind: address.kind,
            display_name: address.display_name,
            meta: pairs.collect(),
        }
    }
}

/// An outcome that this version does not know may be anything.
pub(crate) fn outcome_from_wit(outcome: wit::delivery_types::PartOutcome) -> PartOutcome {
    use wit::delivery_types::PartOutcome as Wit;
    match outcome {
        Wit::Sent(sent) => PartOutcome::Sent(SentPart {
            reference: sent.ref_,
            remaining: sent.remaining,
            until: sent.until_ms.map(time),
        }),
        Wit::RetryAfter(ms) => PartOutcome::RetryAfter(Duration::from_millis(ms)),
        Wit::Permanent(code) => PartOutcome::Permanent(code),
        Wit::Unauthorized => PartOutcome::Unauthorized,
        Wit::WindowClosed => PartOutcome::WindowClosed,
        Wit::Ambiguous | Wit::Other(_) => PartOutcome::Ambiguous,
    }
}
