//! What a channel hands over: messages, addresses, and what became of deliveries.

use async_trait::async_trait;
use berth_model::channel::PartOutcome;

pub use berth_core::inbound::{Attachment, Inbound as InboundMessage, InboundAddress};

use super::CapabilityError;

/// A message that Core has stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    pub message_id: String,
    pub thread_id: String,
    /// Empty when nobody answers.
    pub run_id: String,
    pub duplicate: bool,
}

/// Takes what comes in for one channel.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Returns once the message is stored.
    async fn message(&self, message: InboundMessage) -> Result<Taken, CapabilityError>;

    /// Answers with Core's id of the address.
    async fn address_seen(&self, address: InboundAddress) -> Result<String, CapabilityError>;

    async fn delivery_update(
        &self,
        delivery: &str,
        part: u32,
        outcome: PartOutcome,
    ) -> Result<(), CapabilityError>;

    /// A message was refused before it came here.
    fn refused(&self) {}

    /// Keeps the provider's position behind a batch. Fails with `INBOUND_NOT_STORED` when a message of the event at hand
    /// was not stored.
    async fn ack(&self, batch_token: &str) -> Result<(), CapabilityError>;
}

/// The plugin is no channel.
#[derive(Debug, Clone, Copy)]
pub struct NoInbox;

/// The refusal of what only a running channel may do.
pub(crate) fn no_channel() -> CapabilityError {
    CapabilityError::new("CHANNEL_ONLY", "this is for channels that are switched on, and the caller is none")
}

#[async_trait]
impl Inbox for NoInbox {
    async fn message(&self, _: InboundMessage) -> Result<Taken, CapabilityError> {
        Err(no_channel())
    }

    async fn address_seen(&self, _: InboundAddress) -> Result<String, CapabilityError> {
        Err(no_channel())
    }

    async fn delivery_update(&self, _: &str, _: u32, _: PartOutcome) -> Result<(), CapabilityError> {
        Err(no_channel())
    }

    async fn ack(&self, _: &str) -> Result<(), CapabilityError> {
        Err(no_channel())
    }
}
