//! What a channel exports, as the host calls it.

use std::time::Duration;

use berth_model::channel::{PartOutcome, SentPart};

use super::inbound::{object, time};
use super::wit;
use crate::capability::inbound::InboundAddress;

pub use super::bindings::exports::berth::plugin::channel::{
    ApprovalAnswer, Binding, Description, Event, Frame, GuestIndices, HookPath, Occurrence, Reach,
    SocketState, SocketWish, TimerWish, WebhookRequest, WebhookResponse, WebhookWish, Wishes,
};
pub use super::bindings::exports::berth::plugin::reconcile::GuestIndices as ReconcileIndices;
pub use wit::delivery_types::{Address, Delivery, Part};

pub(super) fn address_from_wit(address: Address) -> InboundAddress {
    InboundAddress {
        external_ref: address.external_ref,
        kind: address.kind,
        display_name: address.display_name,
        metadata: object(address.meta),
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
