//! What goes out: deliveries from the outbox, one by one, in an instance of their own.

use std::sync::Arc;
use std::time::Duration;

use berth_core::CoreError;
use berth_core::channels::{ChannelDelivery, NextDelivery};
use berth_model::DeliveryId;
use berth_model::channel::{DeliveryPart, PartOutcome};
use berth_model::delivery::{Delivery, DeliveryStatus};
use berth_model::endpoint::Address;
use berth_model::tool::Blame;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::Value;

use super::alarm::maybe_until;
use super::binding::Binding;
use super::changes;
use super::happening::millis;
use super::lane::Lane;
use crate::call::extra::Extra;
use crate::call::resident::{Question, Reply};
use crate::error::CallError;
use crate::wit::v0_1::channel as wit;

/// The wait after the store failed, and before a delivery is tried again that the guest never saw.
const RETRY: Duration = Duration::from_secs(2);
/// How often a channel is asked what became of a part.
const RECONCILIATIONS: u32 = 3;

/// Names what is asked while nothing is sent.
const TYPING: &str = "typing";

/// Deliveries whose question the owner has answered.
type Answers = FuturesUnordered<BoxFuture<'static, DeliveryId>>;

/// Sends until the channel is stopped.
pub(super) async fn run(binding: Arc<Binding>) {
    let mut lane = Lane::new(binding.clone());
    let mut settled = false;
    let mut answers = Answers::new();
    while !binding.stop.is_cancelled() {
        let next = async {
            if !settled {
                settle_interrupted(&binding, &mut lane).await?;
            }
            show_typing(&binding, &mut lane).await;
            binding.core.next_channel_delivery(&binding.endpoint).await
        };
        let wait_until = match next.await {
            Ok(NextDelivery::Due(delivery)) => {
                settled = true;
                match send(&binding, &mut lane, &mut answers, &delivery).await {
                    Ok(()) => continue,
                    Err(error) => failed(&binding, &error),
                }
            }
            Ok(NextDelivery::At(at)) => {
                settled = true;
                Some(at)
            }
            Ok(NextDelivery::Nothing) => {
                settled = true;
                None
            }
            Err(error) => failed(&binding, &error),
        };
        let wake_at = [wait_until, lane.idle_at()].into_iter().flatten().min();
        // Every arm is cancel-safe.
        tokio::select! {
            biased;
            () = binding.stop.cancelled() => break,
            () = binding.ring.notified() => {}
            Some(answered) = answers.next() => {
                if let Err(error) = binding.core.release_channel_delivery(answered).await {
                    let (alarm, at) = (binding.alarm.clone(), failed(&binding, &error));
                    answers.push(Box::pin(async move {
                        maybe_until(&*alarm, at).await;
                        answered
                    }));
                }
            }
            () = maybe_until(&*binding.alarm, wake_at) => {}
        }
        lane.drop_idle();
    }
}

/// The time of the next attempt.
fn failed(binding: &Binding, error: &CoreError) -> Option<berth_model::Timestamp> {
    tracing::warn!(plugin.id = %binding.plugin, %error, "the outbox of a channel cannot be read or written");
    Some(binding.alarm.now().plus(RETRY))
}

/// Settles what was on its way when the channel or the host broke off: the channel may know; else nobody does.
async fn settle_interrupted(binding: &Arc<Binding>, lane: &mut Lane) -> Result<(), CoreError> {
    for broken in binding.core.interrupted_channel_deliveries(&binding.endpoint).await? {
        let Some(outcomes) = reconciled(binding, lane, &broken).await else { return Ok(()) };
        binding.core.settle_channel_delivery(broken.delivery.id, &outcomes).await?;
    }
    Ok(())
}

/// Shows where somebody is about to answer. Nothing depends on it.
async fn show_typing(binding: &Arc<Binding>, lane: &mut Lane) {
    while let Some(address) = binding.typing.take() {
        lane.about(TYPING);
        let shown = match lane.ask(Question::Extra(Extra::Typing(address))).await {
            Ok(Reply::Done(shown)) => shown.map_err(|error| error.message),
            Ok(_) => Ok(()),
            Err(error) if error.blame() == Blame::Guest => {
                if !binding.broke_off(&error).await {
                    return;
                }
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        };
        if lane.was_asked() {
            let closed = binding.core.close_event(binding.operation_of(TYPING), None).await;
            if let Err(error) = closed {
                tracing::warn!(plugin.id = %binding.plugin, %error, "a question could not be ended");
            }
        }
        if let Err(error) = shown {
            tracing::debug!(plugin.id = %binding.plugin, error, "a channel did not show that somebody writes");
        }
    }
}

async fn send(
    binding: &Arc<Binding>,
    lane: &mut Lane,
    answers: &mut Answers,
    due: &Delivery,
) -> Result<(), CoreError> {
    let id = due.id;
    lane.about(&id.to_string());
    // A channel that cannot be started has not seen the delivery.
    if let Err(error) = lane.ready().await {
        if error.blame() == Blame::Guest {
            binding.broke_off(&error).await;
        }
        if !binding.stop.is_cancelled() {
            let at = binding.alarm.now().plus(RETRY);
            tokio::select! {
                () = binding.stop.cancelled() => {}
                () = binding.alarm.until(at) => {}
            }
        }
        return Ok(());
    }
    // A change is one part, whatever it holds.
    let is_change = changes::is_change(&due.kind);
    let most = if is_change { usize::MAX } else { binding.max_text_bytes() };
    let Some(begun) = binding.core.begin_channel_delivery(id, most).await? else { return Ok(()) };
    if begun.delivery.attempts > 1
        && let Some(outcome) = unreachable(binding, lane, &begun).await
    {
        let told: Vec<_> = begun.parts.iter().map(|part| (part.index, outcome.clone())).collect();
        binding.core.settle_channel_delivery(id, &told).await?;
        return Ok(());
    }
    let question = match changes::asked(&begun, binding.shows_markdown()) {
        Some(change) => Question::Extra(change),
        None => Question::Deliver(delivery(&begun, binding.shows_markdown())),
    };
    match lane.ask(question).await {
        Ok(Reply::Delivered(outcomes)) => {
            let told: Vec<_> = begun.parts.iter().map(|part| part.index).zip(outcomes).collect();
            settle(binding, lane, answers, id, told).await?;
        }
        Ok(reply) if is_change => {
            let outcome = changes::outcome(reply);
            let told = begun.parts.iter().map(|part| (part.index, outcome.clone())).collect();
            settle(binding, lane, answers, id, told).await?;
        }
        Ok(_) => {
            binding.core.settle_channel_delivery(id, &[]).await?;
        }
        // The host stops: the next start settles it.
        Err(CallError::Cancelled) => {}
        Err(error) => {
            // Until it is resumed nobody can ask it what became of the delivery.
            if error.blame() == Blame::Guest && !binding.broke_off(&error).await {
                return Ok(());
            }
            let Some(outcomes) = reconciled(binding, lane, &begun).await else { return Ok(()) };
            binding.core.settle_channel_delivery(id, &outcomes).await?;
        }
    }
    Ok(())
}

/// Notes what became of the parts. What was not sent while a question to the owner is open waits for the answer.
async fn settle(
    binding: &Arc<Binding>,
    lane: &mut Lane,
    answers: &mut Answers,
    id: DeliveryId,
    mut told: Vec<(u32, PartOutcome)>,
) -> Result<(), CoreError> {
    let approval = lane.waits_for();
    if approval.is_some() {
        for (_, outcome) in &mut told {
            if !matches!(outcome, PartOutcome::Sent(_) | PartOutcome::Ambiguous) {
                *outcome = PartOutcome::RetryAfter(RETRY);
            }
        }
    }
    let status = binding.core.settle_channel_delivery(id, &told).await?;
    if let Some(approval) = approval.filter(|_| status == DeliveryStatus::Retry) {
        binding.core.hold_channel_delivery(id, &format!("{approval} waits for an answer")).await?;
        let core = binding.core.clone();
        answers.push(Box::pin(async move {
            if let Err(error) = core.answered(approval).await {
                tracing::warn!(approval.id = %approval, %error, "an answer could not be waited for");
            }
            id
        }));
        return Ok(());
    }
    if status != DeliveryStatus::Retry && lane.was_asked() {
        binding.core.close_event(binding.operation_of(&id.to_string()), None).await?;
    }
    Ok(())
}

/// Asks before another attempt whether the address can be written to; what the channel says when it cannot.
async fn unreachable(
    binding: &Arc<Binding>,
    lane: &mut Lane,
    begun: &ChannelDelivery,
) -> Option<PartOutcome> {
    match lane.ask(Question::Reach(address(&begun.address))).await {
        Ok(Reply::Reach(wit::Reach::Later(ms))) => {
            let now = millis(binding.alarm.now());
            Some(PartOutcome::RetryAfter(Duration::from_millis(ms.saturating_sub(now).max(1000))))
        }
        Ok(Reply::Reach(wit::Reach::WindowClosed)) => Some(PartOutcome::WindowClosed),
        Ok(Reply::Reach(wit::Reach::Unreachable(code))) => Some(PartOutcome::Permanent(code)),
        Ok(_) => None,
        // Nothing was sent: it is put off.
        Err(error) => {
            if error.blame() == Blame::Guest {
                binding.broke_off(&error).await;
            }
            Some(PartOutcome::RetryAfter(RETRY))
        }
    }
}

/// Asks the channel what became of the parts of a delivery that broke off; says nothing of those that it does not know.
///
/// `None` when the channel is being stopped: the next start asks again.
async fn reconciled(
    binding: &Arc<Binding>,
    lane: &mut Lane,
    broken: &ChannelDelivery,
) -> Option<Vec<(u32, PartOutcome)>> {
    let mut known = Vec::new();
    if !binding.can_reconcile() {
        return Some(known);
    }
    for part in &broken.parts {
        match asked(binding, lane, format!("{}/{}", broken.delivery.id, part.index)).await? {
            Ok(outcome) => known.push((part.index, outcome)),
            Err(error) => {
                tracing::warn!(plugin.id = %binding.plugin, error, "a delivery stays ambiguous");
            }
        }
    }
    Some(known)
}

/// What the channel knows of a part; `None` when it is being stopped.
async fn asked(binding: &Arc<Binding>, lane: &mut Lane, key: String) -> Option<Result<PartOutcome, String>> {
    for _ in 0..RECONCILIATIONS {
        let error = match lane.ask(Question::Extra(Extra::Reconcile(key.clone()))).await {
            Ok(Reply::Reconciled(answer)) => return Some(answer.map_err(|error| error.message)),
            Ok(_) => return Some(Err("the channel does not know".to_owned())),
            Err(error) => error,
        };
        let goes_on = if error.blame() == Blame::Guest {
            binding.broke_off(&error).await
        } else {
            let at = binding.alarm.now().plus(RETRY);
            tokio::select! {
                biased;
                () = binding.stop.cancelled() => {}
                () = binding.alarm.until(at) => {}
            }
            !binding.stop.is_cancelled()
        };
        if !goes_on {
            return None;
        }
    }
    Some(Err("the channel could not be asked".to_owned()))
}

fn delivery(begun: &ChannelDelivery, markdown: bool) -> wit::Delivery {
    let fact = |key: &str| {
        let found = begun.delivery.payload.get("message").and_then(|message| message.get(key));
        found.and_then(Value::as_str).map(|text| (key.to_owned(), text.to_owned()))
    };
    wit::Delivery {
        id: begun.delivery.id.to_string(),
        kind: begun.delivery.kind.clone(),
        address: address(&begun.address),
        parts: begun.parts.iter().map(|one| part(one, markdown)).collect(),
        attempt: begun.delivery.attempts,
        meta: ["thread_id", "message_id", "run_id"].into_iter().filter_map(fact).collect(),
    }
}

pub(super) fn part(part: &DeliveryPart, markdown: bool) -> wit::Part {
    wit::Part {
        index: part.index,
        content_type: if markdown { "text/markdown" } else { "text/plain" }.to_owned(),
        text: part.text.clone(),
        data: Vec::new(),
        name: String::new(),
        meta: Vec::new(),
    }
}

pub(super) fn address(address: &Address) -> wit::Address {
    let pairs = address.metadata.iter().filter_map(|(key, value)| {
        let text = value.as_str()?;
        Some((key.clone(), text.to_owned()))
    });
    wit::Address {
        external_ref: address.external_ref.clone(),
        kind: address.kind.clone(),
        display_name: address.display_name.clone(),
        meta: pairs.collect(),
    }
}
