//! Changes of what a channel has sent: another text, taken back, an emoji.
//!
//! Each is a delivery of its own to the same address, so that it waits, is tried again and is settled like every other.

use berth_model::channel::PartStatus;
use berth_model::delivery::Delivery;
use berth_model::{DeliveryId, EndpointId};
use serde_json::json;

use crate::{Core, CoreError};

/// The kind of a delivery that puts another text in the place of a sent one.
pub const EDIT: &str = "message_edit";
/// The kind of a delivery that takes a sent message back.
pub const RETRACT: &str = "message_retract";
/// The kind of a delivery that adds an emoji or takes it away.
pub const REACT: &str = "message_reaction";

/// A change of a part that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentChange {
    Edit { text: String },
    Retract,
    React { emoji: String, add: bool },
}

impl Core {
    /// Queues a change of a sent part for the channel that sent it.
    ///
    /// Fails with `delivery_not_found` for a delivery or part that the channel does not have, and with
    /// `delivery_not_sent` for one that the provider has no id of.
    pub async fn change_sent(
        &self,
        endpoint: &EndpointId,
        id: DeliveryId,
        part: u32,
        change: SentChange,
    ) -> Result<Delivery, CoreError> {
        let unknown = || CoreError::NotFound { kind: "delivery", id: id.to_string() };
        let (sent, parts) = {
            let mut tx = self.0.store.read().await?;
            let sent = tx.lookup_delivery(id).await?.filter(|sent| sent.endpoint == *endpoint);
            (sent.ok_or_else(unknown)?, tx.delivery_parts(id).await?)
        };
        let part = parts.into_iter().find(|known| known.index == part).ok_or_else(unknown)?;
        if part.status != PartStatus::Sent || part.reference.is_empty() {
            let message = format!("the provider has told no id of part {} of {id}", part.index);
            return Err(CoreError::Conflict { code: "delivery_not_sent", message });
        }
        let mut payload =
            json!({ "content": "", "delivery_id": id.to_string(), "reference": part.reference });
        let kind = match change {
            SentChange::Edit { text } => {
                payload["content"] = json!(text);
                EDIT
            }
            SentChange::Retract => RETRACT,
            SentChange::React { emoji, add } => {
                payload["emoji"] = json!(emoji);
                payload["add"] = json!(add);
                REACT
            }
        };
        self.deliver(endpoint.clone(), sent.address, kind, payload).await
    }

    /// The parts of a delivery of a channel, as the provider knows them. Fails with `delivery_not_found`.
    pub async fn channel_parts(
        &self,
        endpoint: &EndpointId,
        id: DeliveryId,
    ) -> Result<Vec<berth_model::channel::DeliveryPart>, CoreError> {
        let mut tx = self.0.store.read().await?;
        let known = tx.lookup_delivery(id).await?.is_some_and(|known| known.endpoint == *endpoint);
        if !known {
            return Err(CoreError::NotFound { kind: "delivery", id: id.to_string() });
        }
        Ok(tx.delivery_parts(id).await?)
    }
}
