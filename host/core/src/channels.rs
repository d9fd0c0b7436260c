//! Deliveries to channels: what was sent is never sent again, and what may have been sent is not either.
//!
//! A channel takes its deliveries from the outbox by itself. It says that it begins before it does, so that a crash in
//! between is seen: such a part is ambiguous, unless the channel can find out.

pub mod changes;

use std::time::Duration;

use berth_model::channel::{DeliveryPart, PartOutcome, PartStatus, SentPart};
use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::endpoint::{Address, Endpoint, Membership};
use berth_model::{DeliveryId, EndpointId, JsonMap, Timestamp};
use serde_json::{Value, json};

use crate::inbound::{Source, actor_of};
use crate::port::store::Tx;
use crate::{Core, CoreError};

/// Where an address keeps what the provider still allows.
pub(crate) const SEND_WINDOW: &str = "send_window";
/// The code that a channel is marked with whose provider does not take its credentials.
pub const UNAUTHORIZED: &str = "unauthorized";
/// Attempts before a delivery is given up that the provider puts off again and again.
const MAX_ATTEMPTS: u32 = 20;
/// The longest wait that a channel may ask for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest word that is kept of a refusal, in characters.
const MAX_ERROR: usize = 500;

/// What a channel may send next.
#[derive(Debug, Clone, PartialEq)]
pub enum NextDelivery {
    Due(Box<Delivery>),
    /// Nothing before this time.
    At(Timestamp),
    Nothing,
}

/// A delivery that a channel has begun, or had begun when it broke off.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelDelivery {
    pub delivery: Delivery,
    pub address: Address,
    /// Those that are on their way, in order.
    pub parts: Vec<DeliveryPart>,
}

impl Core {
    /// Stores the endpoint of a channel, as online.
    pub async fn register_channel(
        &self,
        source: &Source,
        display_name: &str,
        supports_markdown: bool,
    ) -> Result<(), CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let known = tx.lookup_endpoint(&source.endpoint).await?;
        let mut metadata = known.as_ref().map(|known| known.metadata.clone()).unwrap_or_default();
        metadata.insert("supports_markdown".to_owned(), json!(supports_markdown));
        tx.upsert_endpoint(&Endpoint {
            id: source.endpoint.clone(),
            kind: format!("{}_ui", source.provider_type),
            provider_type: source.provider_type.clone(),
            transport: "plugin".to_owned(),
            display_name: display_name.to_owned(),
            status: "online".to_owned(),
            labels: vec!["input".to_owned(), "output".to_owned()],
            priority: known.as_ref().map_or(100, |known| known.priority),
            metadata,
            created_at: known.as_ref().map_or(now, |known| known.created_at),
            updated_at: now,
        })
        .await?;
        // It may ask for something before anybody has written to it.
        tx.seed_actor(&actor_of(&source.endpoint)?, "channel", display_name, now).await?;
        if tx.memberships_of(&source.endpoint).await?.is_empty() {
            tx.upsert_membership(&Membership {
                endpoint: source.endpoint.clone(),
                workspace: source.workspace.clone(),
                is_primary: true,
                enabled: true,
                source: "core".to_owned(),
            })
            .await?;
        }
        // New credentials or a new version may be what it waited for.
        tx.release_waiting(&source.endpoint, None, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks the endpoint of a channel: `online`, `offline`, `unauthorized` …
    pub async fn mark_channel(&self, endpoint: &EndpointId, status: &str) -> Result<(), CoreError> {
        let mut tx = self.0.store.write().await?;
        tx.set_endpoint_status(endpoint, status, self.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The deliveries of an endpoint, newest first.
    pub async fn list_deliveries(
        &self,
        endpoint: &EndpointId,
        limit: u32,
    ) -> Result<Vec<Delivery>, CoreError> {
        Ok(self.0.store.read().await?.list_deliveries(endpoint, limit).await?)
    }

    /// What a channel may send next.
    pub async fn next_channel_delivery(&self, endpoint: &EndpointId) -> Result<NextDelivery, CoreError> {
        let next = self.0.store.read().await?.next_delivery(endpoint).await?;
        Ok(match next {
            None => NextDelivery::Nothing,
            Some(Delivery { available_at: Some(at), .. }) if at > self.now() => NextDelivery::At(at),
            Some(delivery) => NextDelivery::Due(Box::new(delivery)),
        })
    }

    /// Says that a delivery is about to be sent; `None` when it waits, is over, or cannot be sent at all.
    ///
    /// The text is cut into parts of at most `max_text_bytes` the first time.
    pub async fn begin_channel_delivery(
        &self,
        id: DeliveryId,
        max_text_bytes: usize,
    ) -> Result<Option<ChannelDelivery>, CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let Some(mut delivery) = tx.lookup_delivery(id).await? else { return Ok(None) };
        if !matches!(delivery.status, DeliveryStatus::Queued | DeliveryStatus::Retry) {
            return Ok(None);
        }
        delivery.updated_at = now;
        let address = match &delivery.address {
            Some(address) => tx.lookup_address(address).await?,
            None => None,
        };
        let Some(address) = address else {
            delivery.status = DeliveryStatus::Failed;
            "a channel needs an address to send to".clone_into(&mut delivery.error);
            tx.update_delivery(&delivery).await?;
            tx.commit().await?;
            return Ok(None);
        };
        if is_closed(&address.metadata, now) {
            delivery.status = DeliveryStatus::Waiting;
            "the provider wants a new message of the person first".clone_into(&mut delivery.error);
            tx.update_delivery(&delivery).await?;
            tx.commit().await?;
            return Ok(None);
        }
        let mut parts = tx.delivery_parts(id).await?;
        if parts.is_empty() {
            parts = cut(&text_of(&delivery.payload), max_text_bytes)
                .into_iter()
                .zip(0..)
                .map(|(text, index)| DeliveryPart {
                    delivery: id,
                    index,
                    text,
                    status: PartStatus::Open,
                    reference: String::new(),
                    error: String::new(),
                    updated_at: now,
                })
                .collect();
        }
        for part in parts.iter_mut().filter(|part| part.status == PartStatus::Open) {
            part.status = PartStatus::Begun;
            part.updated_at = now;
            tx.upsert_delivery_part(part).await?;
        }
        parts.retain(|part| part.status == PartStatus::Begun);
        delivery.status = DeliveryStatus::Sending;
        delivery.attempts = delivery.attempts.saturating_add(1);
        delivery.available_at = None;
        tx.update_delivery(&delivery).await?;
        tx.commit().await?;
        Ok(Some(ChannelDelivery { delivery, address, parts }))
    }

    /// Deliveries that were on their way when the host or the channel broke off.
    pub async fn interrupted_channel_deliveries(
        &self,
        endpoint: &EndpointId,
    ) -> Result<Vec<ChannelDelivery>, CoreError> {
        let mut tx = self.0.store.read().await?;
        let mut found = Vec::new();
        for delivery in tx.interrupted_deliveries(endpoint).await? {
            let Some(address) = &delivery.address else { continue };
            let Some(address) = tx.lookup_address(address).await? else { continue };
            let mut parts = tx.delivery_parts(delivery.id).await?;
            parts.retain(|part| part.status == PartStatus::Begun);
            found.push(ChannelDelivery { delivery, address, parts });
        }
        Ok(found)
    }

    /// Notes what became of parts. Those that nobody speaks of are ambiguous when they had been begun.
    pub async fn settle_channel_delivery(
        &self,
        id: DeliveryId,
        outcomes: &[(u32, PartOutcome)],
    ) -> Result<DeliveryStatus, CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let mut delivery = lookup(&mut *tx, id).await?;
        let mut parts = tx.delivery_parts(id).await?;
        let mut told = Vec::new();
        for part in parts.iter_mut().filter(|part| part.status == PartStatus::Begun) {
            let outcome = outcomes.iter().find(|(index, _)| *index == part.index);
            let outcome = outcome.map_or(PartOutcome::Ambiguous, |(_, outcome)| outcome.clone());
            apply(part, &outcome, now);
            tx.upsert_delivery_part(part).await?;
            told.push(outcome);
        }
        fold(&mut delivery, &parts, &told, now);
        tx.update_delivery(&delivery).await?;
        self.note(&mut *tx, &delivery, &told).await?;
        tx.commit().await?;
        Ok(delivery.status)
    }

    /// Takes a begun delivery back that the channel has never seen: it is sent again after `wait`.
    pub async fn return_channel_delivery(
        &self,
        id: DeliveryId,
        wait: Duration,
        error: &str,
    ) -> Result<(), CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let mut delivery = lookup(&mut *tx, id).await?;
        for mut part in tx.delivery_parts(id).await? {
            if part.status == PartStatus::Begun {
                part.status = PartStatus::Open;
                part.updated_at = now;
                tx.upsert_delivery_part(&part).await?;
            }
        }
        delivery.attempts = delivery.attempts.saturating_sub(1);
        delivery.status = DeliveryStatus::Retry;
        delivery.available_at = Some(now.plus(wait.min(MAX_WAIT)));
        delivery.error = error.chars().take(MAX_ERROR).collect();
        delivery.updated_at = now;
        tx.update_delivery(&delivery).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Holds a delivery that is to be tried again until [`Self::release_channel_delivery`], or until the channel begins anew.
    pub async fn hold_channel_delivery(&self, id: DeliveryId, error: &str) -> Result<(), CoreError> {
        self.turn_channel_delivery(id, DeliveryStatus::Retry, DeliveryStatus::Waiting, error).await
    }

    /// Lets a delivery that was held be sent at once.
    pub async fn release_channel_delivery(&self, id: DeliveryId) -> Result<(), CoreError> {
        self.turn_channel_delivery(id, DeliveryStatus::Waiting, DeliveryStatus::Queued, "").await
    }

    async fn turn_channel_delivery(
        &self,
        id: DeliveryId,
        from: DeliveryStatus,
        to: DeliveryStatus,
        error: &str,
    ) -> Result<(), CoreError> {
        let mut tx = self.0.store.write().await?;
        let mut delivery = lookup(&mut *tx, id).await?;
        if delivery.status != from {
            return Ok(());
        }
        delivery.status = to;
        delivery.available_at = None;
        delivery.error = error.chars().take(MAX_ERROR).collect();
        delivery.updated_at = self.now();
        tx.update_delivery(&delivery).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes what a channel says later of a part of one of its deliveries. A part that is known to be sent stays sent.
    ///
    /// Fails with `delivery_not_found` for a delivery of somebody else.
    pub async fn report_channel_part(
        &self,
        endpoint: &EndpointId,
        id: DeliveryId,
        index: u32,
        outcome: &PartOutcome,
    ) -> Result<DeliveryStatus, CoreError> {
        let now = self.now();
        let unknown = || CoreError::NotFound { kind: "delivery", id: id.to_string() };
        let mut tx = self.0.store.write().await?;
        let mut delivery = tx
            .lookup_delivery(id)
            .await?
            .filter(|delivery| delivery.endpoint == *endpoint)
            .ok_or_else(unknown)?;
        let mut parts = tx.delivery_parts(id).await?;
        let part = parts.iter_mut().find(|part| part.index == index).ok_or_else(unknown)?;
        if part.status == PartStatus::Sent {
            return Ok(delivery.status);
        }
        apply(part, outcome, now);
        tx.upsert_delivery_part(part).await?;
        // While other parts are on their way, whoever sends them says how it ends.
        if parts.iter().all(|part| part.status != PartStatus::Begun) {
            let told = std::slice::from_ref(outcome);
            fold(&mut delivery, &parts, told, now);
            tx.update_delivery(&delivery).await?;
            self.note(&mut *tx, &delivery, told).await?;
        }
        tx.commit().await?;
        self.0.endpoints.ring(endpoint);
        Ok(delivery.status)
    }

    /// What outcomes say of the address and of the channel.
    async fn note(
        &self,
        tx: &mut dyn Tx,
        delivery: &Delivery,
        outcomes: &[PartOutcome],
    ) -> Result<(), CoreError> {
        let now = self.now();
        if outcomes.contains(&PartOutcome::Unauthorized) {
            tracing::warn!(endpoint.id = %delivery.endpoint, "a channel's credentials are not accepted");
            tx.set_endpoint_status(&delivery.endpoint, UNAUTHORIZED, now).await?;
        }
        let window = outcomes.iter().rev().find_map(|outcome| match outcome {
            PartOutcome::Sent(SentPart { remaining, until, .. })
                if remaining.is_some() || until.is_some() =>
            {
                Some(json!({ "remaining": remaining, "until_us": until.map(Timestamp::as_micros) }))
            }
            PartOutcome::WindowClosed => Some(json!({ "remaining": 0, "until_us": null })),
            _ => None,
        });
        let (Some(window), Some(id)) = (window, &delivery.address) else { return Ok(()) };
        if let Some(mut address) = tx.lookup_address(id).await? {
            address.metadata.insert(SEND_WINDOW.to_owned(), window);
            tx.upsert_address(&address, now).await?;
        }
        Ok(())
    }
}

async fn lookup(tx: &mut dyn Tx, id: DeliveryId) -> Result<Delivery, CoreError> {
    tx.lookup_delivery(id).await?.ok_or_else(|| CoreError::NotFound { kind: "delivery", id: id.to_string() })
}

/// Whether the provider has said that it takes nothing more for this address before the person writes.
fn is_closed(metadata: &JsonMap, now: Timestamp) -> bool {
    let Some(window) = metadata.get(SEND_WINDOW) else { return false };
    let none_left = window.get("remaining").and_then(Value::as_u64) == Some(0);
    let over = window.get("until_us").and_then(Value::as_i64);
    none_left || over.is_some_and(|until| Timestamp::from_micros(until) <= now)
}

fn apply(part: &mut DeliveryPart, outcome: &PartOutcome, now: Timestamp) {
    part.updated_at = now;
    let (status, error) = match outcome {
        PartOutcome::Sent(sent) => {
            part.reference.clone_from(&sent.reference);
            (PartStatus::Sent, "")
        }
        PartOutcome::RetryAfter(_) => (PartStatus::Open, "put off by the provider"),
        PartOutcome::Ambiguous => (PartStatus::Ambiguous, "nobody knows whether it was sent"),
        PartOutcome::Permanent(code) => (PartStatus::Failed, code.as_str()),
        PartOutcome::Unauthorized => (PartStatus::Open, "the provider does not accept the credentials"),
        PartOutcome::WindowClosed => {
            (PartStatus::Open, "the provider wants a new message of the person first")
        }
    };
    part.status = status;
    part.error = error.chars().take(MAX_ERROR).collect();
}

/// Where a delivery stands, after its parts: what is still to be sent decides, then what will never be known, then what
/// will never be sent.
fn fold(delivery: &mut Delivery, parts: &[DeliveryPart], told: &[PartOutcome], now: Timestamp) {
    delivery.updated_at = now;
    delivery.available_at = None;
    let has = |status: PartStatus| parts.iter().find(|part| part.status == status);
    delivery.error = parts
        .iter()
        .find(|part| part.status != PartStatus::Sent && !part.error.is_empty())
        .map(|part| part.error.clone())
        .unwrap_or_default();
    delivery.status = if has(PartStatus::Open).is_some() {
        let waits = told
            .iter()
            .any(|outcome| matches!(outcome, PartOutcome::WindowClosed | PartOutcome::Unauthorized));
        if waits {
            DeliveryStatus::Waiting
        } else if delivery.attempts >= MAX_ATTEMPTS {
            DeliveryStatus::DeadLetter
        } else {
            let wait = told.iter().filter_map(|outcome| match outcome {
                PartOutcome::RetryAfter(wait) => Some(*wait),
                _ => None,
            });
            delivery.available_at = Some(now.plus(wait.max().unwrap_or_default().min(MAX_WAIT)));
            DeliveryStatus::Retry
        }
    } else if has(PartStatus::Ambiguous).is_some() {
        DeliveryStatus::Ambiguous
    } else if has(PartStatus::Failed).is_some() {
        DeliveryStatus::Failed
    } else {
        DeliveryStatus::Delivered
    };
}

/// What people shall read.
fn text_of(payload: &Value) -> String {
    let text = ["content", "text", "title"].iter().find_map(|key| payload.get(key)?.as_str());
    text.map_or_else(|| payload.to_string(), str::to_owned)
}

/// Cuts a text into pieces of at most `max` bytes: behind a line where there is one, never inside of a character.
fn cut(text: &str, max: usize) -> Vec<String> {
    let max = max.max(4);
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > max {
        let most = rest.floor_char_boundary(max);
        let (head, _) = rest.split_at(most);
        let end = head.rfind('\n').or_else(|| head.rfind(' ')).filter(|end| *end > 0).unwrap_or(most);
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece.to_owned());
        rest = tail.strip_prefix(['\n', ' ']).unwrap_or(tail);
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(rest.to_owned());
    }
    pieces
}

#[cfg(test)]
mod tests;
