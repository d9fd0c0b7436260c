//! Deliveries: frames on their way to an endpoint or an address.

use serde_json::Value;

use crate::{AddressId, DeliveryId, EndpointId, Timestamp, word_enum};

word_enum!(
    /// Where a delivery stands.
    pub enum DeliveryStatus {
        Queued = "queued",
        Sending = "sending",
        Sent = "sent",
        Dispatched = "dispatched",
        Delivered = "delivered",
        Retry = "retry",
        Failed = "failed",
        Dropped = "dropped",
        DeadLetter = "dead_letter",
        /// A channel does not know whether the provider has it; it is not sent again.
        Ambiguous = "ambiguous",
        /// The provider wants a message of the person first, or other credentials.
        Waiting = "waiting",
    }
);

/// A delivery to an endpoint, with its outbox state.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub endpoint: EndpointId,
    pub address: Option<AddressId>,
    /// The part behind `delivery.`: `message`, `notice` …
    pub kind: String,
    pub payload: Value,
    pub status: DeliveryStatus,
    pub attempts: u32,
    pub available_at: Option<Timestamp>,
    pub error: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
