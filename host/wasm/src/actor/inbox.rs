//! What a channel brings in, on its way to Core.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use berth_core::CoreError;
use berth_core::port::store::StoreError;
use berth_model::DeliveryId;
use berth_model::channel::PartOutcome;

use super::binding::Binding;
use crate::capability::CapabilityError;
use crate::capability::inbound::{InboundAddress, InboundMessage, Inbox, Taken};

/// The longest position that a channel may keep.
const POSITION_BYTES: usize = 16 << 10;

/// The way of one channel into Core.
pub(super) struct ChannelInbox {
    pub binding: Arc<Binding>,
    /// Whether a message of the event at hand was not stored.
    pub missed: AtomicBool,
}

impl ChannelInbox {
    /// Another event begins.
    pub fn begin(&self) {
        self.missed.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl Inbox for ChannelInbox {
    async fn message(&self, message: InboundMessage) -> Result<Taken, CapabilityError> {
        let address = message.address.clone();
        let accepted = match self.binding.core.accept_inbound(&self.binding.source(), message).await {
            Ok(accepted) => accepted,
            Err(error) => {
                self.refused();
                return Err(refusal(&error));
            }
        };
        if accepted.run.is_some() && !accepted.replay && self.binding.can_edit() {
            self.binding.typing.add(address.into());
            self.binding.ring.notify_one();
        }
        Ok(Taken {
            message_id: accepted.message.id.to_string(),
            thread_id: accepted.message.thread.to_string(),
            run_id: accepted.run.map(|run| run.to_string()).unwrap_or_default(),
            duplicate: accepted.replay,
        })
    }

    async fn address_seen(&self, address: InboundAddress) -> Result<String, CapabilityError> {
        let seen = self.binding.core.address_seen(&self.binding.source(), &address).await;
        seen.map(|id| id.to_string()).map_err(|error| refusal(&error))
    }

    async fn delivery_update(
        &self,
        delivery: &str,
        part: u32,
        outcome: PartOutcome,
    ) -> Result<(), CapabilityError> {
        let id: DeliveryId = delivery.parse().map_err(|_| {
            CapabilityError::new("delivery_not_found", format!("unknown delivery: {delivery}"))
        })?;
        let reported =
            self.binding.core.report_channel_part(&self.binding.endpoint, id, part, &outcome).await;
        reported.map(|_| ()).map_err(|error| refusal(&error))
    }

    fn refused(&self) {
        self.missed.store(true, Ordering::Relaxed);
    }

    async fn ack(&self, batch_token: &str) -> Result<(), CapabilityError> {
        if self.missed.load(Ordering::Relaxed) {
            let message = "a message of this event was not stored, so its batch has to come again";
            return Err(CapabilityError::new("INBOUND_NOT_STORED", message));
        }
        if batch_token.len() > POSITION_BYTES {
            let message = format!("a batch token has at most {POSITION_BYTES} bytes");
            return Err(CapabilityError::new("INVALID_ARGUMENTS", message));
        }
        let kept = async {
            let mut tx = self.binding.host.parts().store.write().await?;
            tx.set_channel_position(&self.binding.plugin, batch_token, self.binding.alarm.now()).await?;
            tx.commit().await
        };
        kept.await.map_err(|error: StoreError| {
            tracing::warn!(plugin.id = %self.binding.plugin, %error, "the position of a channel could not be kept");
            let mut refused = CapabilityError::new("STORE_UNAVAILABLE", "the host cannot store it right now");
            refused.retryable = true;
            refused
        })
    }
}

fn refusal(error: &CoreError) -> CapabilityError {
    if let CoreError::Store(source) = error {
        tracing::warn!(error = %source, "what a channel brought in could not be stored");
        let mut refused = CapabilityError::new("STORE_UNAVAILABLE", "the host cannot store it right now");
        refused.retryable = true;
        return refused;
    }
    let mut refused = CapabilityError::new(&error.code(), error.to_string());
    refused.retryable = error.retryable();
    refused
}
