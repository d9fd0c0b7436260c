//! Deliveries to endpoints and addresses: sent at once or kept in the outbox, at least once, under one id.
//!
//! A payload is made ready for its target when the delivery is made: it names the address, and is plain text for a
//! channel that shows markdown as it is written.

use std::time::Duration;

use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::endpoint::{Address, Endpoint};
use berth_model::{AddressId, DeliveryId, EndpointId};
use serde_json::{Value, json};

use crate::plain_text;
use crate::port::endpoint_link::OutboundDelivery;
use crate::port::store::Tx;
use crate::{Core, CoreError};

/// Attempts before a delivery is given up.
const MAX_ATTEMPTS: u32 = 5;
/// The longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// Deliveries sent in one go.
const DRAIN: u32 = 50;

/// The largest payload; providers drop a connection over frames of 4 MiB.
const MAX_PAYLOAD_BYTES: usize = 3_900_000;
/// Provider types whose channels show markdown as it is written, unless an address says otherwise.
const WITHOUT_MARKDOWN: [&str; 4] = ["feishu", "wechat", "meetwechat", "wechatbot"];

/// What became of a provider's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    Unknown,
    Known { status: DeliveryStatus, queued: bool },
}

impl Core {
    /// Sends to an endpoint, or keeps it until the endpoint is there.
    ///
    /// Fails with `endpoint_not_found`, `delivery_too_large`, or with `address_not_found` when the
    /// address is none of this endpoint's.
    pub async fn deliver(
        &self,
        endpoint: EndpointId,
        address: Option<AddressId>,
        kind: &str,
        payload: Value,
    ) -> Result<Delivery, CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let payload = ready_payload(&mut *tx, &endpoint, address.as_ref(), payload).await?;
        if payload.to_string().len() > MAX_PAYLOAD_BYTES {
            let message = format!("a delivery has at most {MAX_PAYLOAD_BYTES} bytes");
            return Err(CoreError::Invalid { code: "delivery_too_large", message });
        }
        let pulls = self.0.endpoints.pulls(&endpoint);
        let connected = !pulls && self.0.endpoints.is_connected(&endpoint);
        let mut delivery = Delivery {
            id: DeliveryId::from_uuid(self.uuid()),
            endpoint,
            address,
            kind: kind.to_owned(),
            payload,
            // Not in the outbox while it is on its way, so that nobody else sends it too.
            status: if connected { DeliveryStatus::Sending } else { DeliveryStatus::Queued },
            attempts: 0,
            available_at: None,
            error: String::new(),
            created_at: now,
            updated_at: now,
        };
        tx.insert_delivery(&delivery).await?;
        tx.commit().await?;
        if connected {
            self.attempt(&mut delivery).await?;
        } else if pulls {
            self.0.endpoints.ring(&delivery.endpoint);
        }
        Ok(delivery)
    }

    /// Sends what waits for an endpoint, oldest first. Called when it connects and while it is connected.
    pub async fn drain(&self, endpoint: &EndpointId) -> Result<(), CoreError> {
        let due = self.0.store.read().await?.due_deliveries(endpoint, self.now(), DRAIN).await?;
        for mut delivery in due {
            if !self.0.endpoints.is_connected(endpoint) || !self.attempt(&mut delivery).await? {
                break;
            }
        }
        Ok(())
    }

    async fn attempt(&self, delivery: &mut Delivery) -> Result<bool, CoreError> {
        delivery.status = DeliveryStatus::Sending;
        delivery.attempts += 1;
        self.store_delivery(delivery).await?;
        let threads = match &delivery.address {
            Some(address) => self.0.store.read().await?.threads_of_address(address).await?,
            None => Vec::new(),
        };
        let sent = self
            .0
            .endpoints
            .deliver(OutboundDelivery {
                id: delivery.id,
                endpoint: delivery.endpoint.clone(),
                address: delivery.address.clone(),
                threads,
                kind: delivery.kind.clone(),
                payload: delivery.payload.clone(),
            })
            .await;
        if sent {
            let two_phase = delivery.address.is_some();
            delivery.status = if two_phase { DeliveryStatus::Dispatched } else { DeliveryStatus::Sent };
        } else {
            // Nobody has seen it: it waits for its connection, however long that takes.
            delivery.attempts -= 1;
            delivery.status = DeliveryStatus::Retry;
            delivery.available_at = Some(self.now().plus(backoff(delivery.attempts)));
            "no connection took it".clone_into(&mut delivery.error);
        }
        delivery.updated_at = self.now();
        let mut tx = self.0.store.write().await?;
        match tx.lookup_delivery(delivery.id).await? {
            // Its provider was faster and has reported it already.
            Some(stored) if stored.status != DeliveryStatus::Sending => *delivery = stored,
            _ => tx.update_delivery(delivery).await?,
        }
        tx.commit().await?;
        Ok(sent)
    }

    fn put_back(&self, delivery: &mut Delivery, error: &str) {
        error.clone_into(&mut delivery.error);
        if delivery.attempts >= MAX_ATTEMPTS {
            delivery.status = DeliveryStatus::DeadLetter;
            delivery.available_at = None;
        } else {
            delivery.status = DeliveryStatus::Retry;
            delivery.available_at = Some(self.now().plus(backoff(delivery.attempts)));
        }
    }

    async fn store_delivery(&self, delivery: &mut Delivery) -> Result<(), CoreError> {
        delivery.updated_at = self.now();
        let mut tx = self.0.store.write().await?;
        tx.update_delivery(delivery).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes what a provider says of a delivery; a failed one goes back into the outbox.
    pub async fn report_delivery(
        &self,
        id: DeliveryId,
        delivered: bool,
        error: &str,
    ) -> Result<Reported, CoreError> {
        let Some(mut delivery) = self.0.store.read().await?.lookup_delivery(id).await? else {
            return Ok(Reported::Unknown);
        };
        if delivered {
            delivery.status = DeliveryStatus::Delivered;
            delivery.error.clear();
        } else if delivery.status != DeliveryStatus::Delivered {
            self.put_back(&mut delivery, &error.chars().take(500).collect::<String>());
        }
        self.store_delivery(&mut delivery).await?;
        Ok(Reported::Known { status: delivery.status, queued: delivery.status == DeliveryStatus::Retry })
    }
}

/// The wait before the next attempt: 2 s, doubled with every one there was.
fn backoff(attempts: u32) -> Duration {
    Duration::from_secs(2 << attempts.saturating_sub(1).min(10)).min(MAX_BACKOFF)
}

/// The payload with the address it goes to, in a form that the target can show.
pub(crate) async fn ready_payload(
    tx: &mut dyn Tx,
    endpoint: &EndpointId,
    address: Option<&AddressId>,
    mut payload: Value,
) -> Result<Value, CoreError> {
    let unknown = |kind, id: &str| CoreError::NotFound { kind, id: id.to_owned() };
    let known = tx.lookup_endpoint(endpoint).await?;
    let known = known.ok_or_else(|| unknown("endpoint", endpoint.as_str()))?;
    let address = match address {
        Some(id) => {
            let known = tx.lookup_address(id).await?.filter(|address| address.endpoint == *endpoint);
            Some(known.ok_or_else(|| unknown("address", id.as_str()))?)
        }
        None => None,
    };
    if let (Some(address), Some(fields)) = (&address, payload.as_object_mut()) {
        fields.insert("target_address_id".to_owned(), json!(address.id.as_str()));
        fields.insert("target_provider_type".to_owned(), json!(address.provider_type));
        fields.insert("target_address_type".to_owned(), json!(address.kind));
        fields.insert("target_external_ref".to_owned(), json!(address.external_ref));
    }
    if !shows_markdown(&known, address.as_ref()) {
        plain_text::strip(&mut payload);
    }
    Ok(payload)
}

/// The address's own word, else what its provider's channel can, else the endpoint's word.
fn shows_markdown(endpoint: &Endpoint, address: Option<&Address>) -> bool {
    let said = address.and_then(|address| address.metadata.get("supports_markdown")?.as_bool());
    let provider = address.map_or(&endpoint.provider_type, |address| &address.provider_type);
    said.unwrap_or_else(|| {
        let word = endpoint.metadata.get("supports_markdown").and_then(Value::as_bool);
        provider_shows_markdown(provider) && word.unwrap_or(true)
    })
}

/// Whether the channel of a provider type shows markdown, as far as is known.
pub fn provider_shows_markdown(provider_type: &str) -> bool {
    !WITHOUT_MARKDOWN.contains(&provider_type)
}
