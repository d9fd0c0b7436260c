//! What a channel hands over.

use berth_model::{JsonMap, Timestamp};
use serde_json::{Value, json};

use super::channel::{address_from_wit, outcome_from_wit};
use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::inbound::{Attachment, InboundMessage};
use crate::capability::{Capability, CapabilityError};

impl wit::delivery_types::Host for PluginState {}

impl PluginState {
    /// Every function of the interface needs the grant, each time.
    async fn may_bring_in(&mut self) -> Result<(), CapabilityError> {
        self.count_host_call();
        self.authorize(Capability::Channel, json!({}), |_| true).await
    }
}

impl wit::inbound::Host for PluginState {
    async fn message(
        &mut self,
        message: wit::inbound::NewMessage,
    ) -> wasmtime::Result<Result<wit::inbound::Accepted, WitError>> {
        if let Err(denied) = self.may_bring_in().await {
            self.services().inbox.refused();
            return Ok(Err(denied.into()));
        }
        let (inbox, cancel) = (self.services().inbox.clone(), self.cancel().clone());
        let taken = tokio::select! {
            biased;
            () = cancel.cancelled() => {
                inbox.refused();
                Err(CapabilityError::cancelled())
            }
            taken = inbox.message(from_wit(message)) => taken,
        };
        let accepted = taken.map(|taken| wit::inbound::Accepted {
            message_id: taken.message_id,
            thread_id: taken.thread_id,
            run_id: taken.run_id,
            duplicate: taken.duplicate,
            meta: Vec::new(),
        });
        Ok(accepted.map_err(WitError::from))
    }

    async fn address_seen(
        &mut self,
        address: wit::inbound::Address,
    ) -> wasmtime::Result<Result<String, WitError>> {
        if let Err(denied) = self.may_bring_in().await {
            return Ok(Err(denied.into()));
        }
        let (inbox, cancel) = (self.services().inbox.clone(), self.cancel().clone());
        Ok(tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled().into()),
            stored = inbox.address_seen(address_from_wit(address)) => stored.map_err(WitError::from),
        })
    }

    async fn delivery_update(
        &mut self,
        report: wit::inbound::DeliveryReport,
    ) -> wasmtime::Result<Result<(), WitError>> {
        if let Err(denied) = self.may_bring_in().await {
            return Ok(Err(denied.into()));
        }
        let (inbox, cancel) = (self.services().inbox.clone(), self.cancel().clone());
        let outcome = outcome_from_wit(report.outcome);
        Ok(tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled().into()),
            noted = inbox.delivery_update(&report.delivery_id, report.part, outcome) => noted.map_err(WitError::from),
        })
    }

    async fn ack(&mut self, batch_token: String) -> wasmtime::Result<Result<(), WitError>> {
        if let Err(denied) = self.may_bring_in().await {
            return Ok(Err(denied.into()));
        }
        let (inbox, cancel) = (self.services().inbox.clone(), self.cancel().clone());
        Ok(tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled().into()),
            kept = inbox.ack(&batch_token) => kept.map_err(WitError::from),
        })
    }
}

fn from_wit(message: wit::inbound::NewMessage) -> InboundMessage {
    let mut metadata = object(message.meta);
    if !message.sender.meta.is_empty() {
        metadata.insert("sender".to_owned(), Value::Object(object(message.sender.meta)));
    }
    InboundMessage {
        message_id: message.message_id,
        address: address_from_wit(message.address),
        sender_ref: message.sender.external_ref,
        sender_name: message.sender.display_name,
        conversation: message.conversation,
        text: message.text,
        attachments: message
            .attachments
            .into_iter()
            .map(|attachment| Attachment {
                reference: attachment.ref_,
                name: attachment.name,
                content_type: attachment.content_type,
                size_bytes: attachment.size_bytes,
            })
            .collect(),
        sent_at: message.sent_at_ms.map(time),
        in_reply_to: message.in_reply_to,
        wants_reply: message.wants_reply,
        metadata,
    }
}

/// Pairs as an object; the last of a key counts.
pub(super) fn object(pairs: Vec<(String, String)>) -> JsonMap {
    pairs.into_iter().map(|(key, value)| (key, Value::String(value))).collect()
}

/// A time of a guest, in milliseconds.
pub(super) fn time(ms: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX))
}
