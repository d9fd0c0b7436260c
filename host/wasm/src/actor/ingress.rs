//! What comes in: mails, timers and events that were laid aside, one by one, in an instance of their own.
//!
//! An event over which the guest breaks off twice is parked for the operator, and the rest goes on.

mod waiting;

use std::sync::Arc;
use std::time::Duration;

use berth_core::port::store::StoreError;
use berth_model::channel::{ChannelEvent, ChannelEventStatus, ChannelTimer};
use berth_model::tool::Blame;
use berth_model::{ApprovalId, Timestamp};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::alarm::maybe_until;
use super::binding::Binding;
use super::happening::{Happening, HookCall};
use super::hooks::{self, HookAnswer, HookRefusal};
use super::lane::Lane;
use super::mail::Mail;
use super::wishes;
use crate::call::resident::{Question, Reply};
use crate::error::CallError;
use crate::wit::v0_1::WitError;

/// How often a guest may break off over one event.
const TRAPS: u32 = 2;
/// How often a guest may put an event off.
const ATTEMPTS: u32 = 5;
/// Events that are kept for the operator; a channel with more is left alone.
const MAX_EVENTS: u64 = 1000;
/// The wait before an event that was put off without a time comes again; it doubles with each attempt.
const PUT_OFF: Duration = Duration::from_secs(5);
/// The wait after the store failed.
const RETRY: Duration = Duration::from_secs(1);
/// The latest time at which an event comes again that waits for an answer of the owner.
const AWAITED: Duration = Duration::from_secs(24 * 60 * 60);
/// Where an event names the question that it waits for.
const APPROVAL: &str = "approval_id";
/// The answer to a request that was laid aside: the provider need not send it again.
const LAID_ASIDE: u16 = 202;

/// Takes in until the channel is stopped. Begins with what the version has to say of itself, unless that is known.
pub(super) async fn run(binding: Arc<Binding>, mut mailbox: mpsc::Receiver<Mail>) {
    let lane = Lane::new(binding.clone());
    let mut ingress = Ingress { lane, binding, answers: FuturesUnordered::new() };
    ingress.ask_anew().await;
    while !ingress.binding.stop.is_cancelled() {
        if !ingress.binding.is_current() && !ingress.activate().await {
            break;
        }
        let due_at = match ingress.next_due().await {
            Ok(due) => due,
            Err(error) => {
                ingress.store_failed(&error).await;
                continue;
            }
        };
        let (handled, wake_at) = match due_at {
            Due::Now(work) => (Some(work), None),
            Due::At(at) => (None, Some(at)),
            Due::Nothing => (None, None),
        };
        if let Some(work) = handled {
            ingress.due(work).await;
            // Mails do not wait for a backlog of events.
            if let Ok(mail) = mailbox.try_recv() {
                ingress.mail(mail).await;
            }
            continue;
        }
        let wake_at = [wake_at, ingress.lane.idle_at()].into_iter().flatten().min();
        let binding = ingress.binding.clone();
        // Every arm is cancel-safe.
        let mail = tokio::select! {
            biased;
            () = binding.stop.cancelled() => break,
            Some(answered) = ingress.answers.next() => {
                ingress.release(&answered).await;
                continue;
            }
            () = binding.wake.notified() => None,
            mail = mailbox.recv() => mail,
            () = maybe_until(&*binding.alarm, wake_at) => None,
        };
        match mail {
            Some(mail) => ingress.mail(mail).await,
            None => ingress.lane.drop_idle(),
        }
    }
    ingress.lane.stop("the channel is switched off").await;
}

struct Ingress {
    binding: Arc<Binding>,
    lane: Lane,
    /// Events whose question the owner has answered.
    answers: FuturesUnordered<BoxFuture<'static, String>>,
}

/// What there is to do besides mails.
enum Due {
    Now(Work),
    At(Timestamp),
    Nothing,
}

enum Work {
    Timer(ChannelTimer),
    Event(ChannelEvent),
}

/// An event on its way to the guest.
struct Handing {
    id: String,
    at: Timestamp,
    happening: Happening,
    /// Attempts before this one.
    attempts: u32,
    /// The timer that fired.
    timer: Option<ChannelTimer>,
    /// Whether it is stored.
    stored: bool,
    /// Whether it has waited for the owner.
    was_asked: bool,
}

/// What became of an event.
enum Settled {
    Done,
    Later {
        at: Timestamp,
        error: String,
    },
    /// It comes again once the owner has answered.
    Awaiting {
        approval: ApprovalId,
    },
    Parked {
        error: String,
    },
    /// The channel is being stopped, or left alone: the event is to come again.
    Kept {
        error: String,
    },
}

impl Ingress {
    /// Has the version describe itself and start; true when it may go on.
    async fn activate(&mut self) -> bool {
        match self.described_and_started().await {
            Ok(()) => true,
            Err(CallError::Cancelled) => false,
            Err(error) if error.blame() == Blame::Guest => self.binding.broke_off(&error).await,
            Err(error) => {
                tracing::warn!(plugin.id = %self.binding.plugin, %error, "a channel could not be started");
                self.pause(RETRY).await;
                !self.binding.stop.is_cancelled()
            }
        }
    }

    async fn described_and_started(&mut self) -> Result<(), CallError> {
        let recalled = self.binding.recall().await.map_err(|error| super::binding::store_failed(&error))?;
        if !recalled {
            let description = self.lane.describe().await?;
            self.binding.described(description).await?;
        }
        let binding = &self.binding;
        let registered = binding
            .core
            .register_channel(&binding.source(), &binding.display_name(), binding.shows_markdown())
            .await;
        registered.map_err(|error| CallError::Host { message: error.to_string() })?;
        binding.ring.notify_one();
        if recalled {
            binding.keep_open();
            return Ok(());
        }
        self.lane.ready().await
    }

    async fn next_due(&mut self) -> Result<Due, StoreError> {
        let mut tx = self.binding.host.parts().store.read().await?;
        let event = tx.next_channel_event(&self.binding.plugin).await?;
        let timers = tx.channel_timers(&self.binding.plugin).await?;
        let now = self.binding.alarm.now();
        let timer =
            timers.into_iter().filter(|timer| timer.next_at.is_some()).min_by_key(|timer| timer.next_at);
        let event_at = event.as_ref().map(|event| event.available_at.unwrap_or(event.created_at));
        let timer_at = timer.as_ref().and_then(|timer| timer.next_at);
        Ok(match (event, timer) {
            (Some(event), _) if event_at.is_some_and(|at| at <= now) => Due::Now(Work::Event(event)),
            (_, Some(timer)) if timer_at.is_some_and(|at| at <= now) => Due::Now(Work::Timer(timer)),
            _ => [event_at, timer_at].into_iter().flatten().min().map_or(Due::Nothing, Due::At),
        })
    }

    async fn due(&mut self, work: Work) {
        let handing = match work {
            Work::Timer(timer) => {
                let at = timer.next_at.unwrap_or_else(|| self.binding.alarm.now());
                Handing {
                    // The same when the host breaks off in between.
                    id: format!("timer.{}.{}.{}", timer.plugin, timer.name, at.as_micros()),
                    at,
                    happening: Happening::Timer { name: timer.name.clone() },
                    attempts: 0,
                    timer: Some(timer),
                    stored: false,
                    was_asked: false,
                }
            }
            Work::Event(event) => {
                let Ok(happening) = serde_json::from_value(event.payload.clone()) else {
                    let error = "this version cannot read the event".to_owned();
                    return self.persist_raw(event, Settled::Parked { error }).await;
                };
                Handing {
                    was_asked: event.payload.get(APPROVAL).is_some(),
                    id: event.id,
                    at: event.created_at,
                    happening,
                    attempts: event.attempts,
                    timer: None,
                    stored: true,
                }
            }
        };
        self.hand(handing).await;
    }

    async fn mail(&mut self, mail: Mail) {
        match mail {
            Mail::Happened { id, at, happening, settled } => {
                let handing =
                    Handing { id, at, happening, attempts: 0, timer: None, stored: false, was_asked: false };
                let is_done = self.hand(handing).await;
                // Who waited for it may be gone.
                let _gone = settled.map(|settled| settled.send(is_done));
            }
            // Who waits no longer asks again.
            Mail::Asked { reply, .. } if reply.is_closed() => {}
            Mail::Asked { id, call, place, reply } => {
                let answer = self.answer(&id, call).await;
                drop(place);
                // The provider may have hung up by now; what it said is stored.
                let _gone = reply.send(answer);
            }
        }
    }

    /// Hands an event over until something has become of it, and stores what; true when the guest has dealt with it.
    async fn hand(&mut self, mut handing: Handing) -> bool {
        let mut traps = 0;
        self.lane.about(&handing.id);
        let settled = loop {
            handing.attempts += 1;
            let error = match self.once(&handing).await {
                Ok(Ok(())) => break Settled::Done,
                Ok(Err(refused)) => break self.refused(&handing, &refused),
                Err(CallError::Cancelled) => {
                    handing.attempts -= 1;
                    break Settled::Kept { error: String::new() };
                }
                Err(error) => error,
            };
            let told = format!("{}: {error}", error.code());
            if error.blame() != Blame::Guest {
                handing.attempts -= 1;
                tracing::warn!(plugin.id = %self.binding.plugin, %error, "an event waits for the host");
                self.pause(RETRY).await;
                if self.binding.stop.is_cancelled() {
                    break Settled::Kept { error: told };
                }
                continue;
            }
            traps += 1;
            let goes_on = self.binding.broke_off(&error).await;
            if traps >= TRAPS || handing.attempts >= ATTEMPTS {
                break Settled::Parked { error: told };
            }
            if !goes_on {
                break Settled::Kept { error: told };
            }
        };
        handing.was_asked |= self.lane.was_asked();
        let is_done = matches!(settled, Settled::Done);
        self.persist(handing, settled).await;
        is_done
    }

    /// What becomes of an event that the guest has refused.
    fn refused(&self, handing: &Handing, refused: &WitError) -> Settled {
        let error = format!("{}: {}", refused.code, refused.message);
        match self.lane.waits_for() {
            _ if handing.attempts >= ATTEMPTS => Settled::Parked { error },
            Some(approval) => Settled::Awaiting { approval },
            None if refused.retryable => {
                let wait = match refused.retry_after_ms {
                    Some(ms) => Duration::from_millis(ms.into()),
                    None => PUT_OFF * 2_u32.saturating_pow(handing.attempts - 1),
                };
                Settled::Later { at: self.binding.alarm.now().plus(wait), error }
            }
            None => Settled::Parked { error },
        }
    }

    /// One attempt; the inner error is the guest's own answer.
    async fn once(&mut self, handing: &Handing) -> Result<Result<(), WitError>, CallError> {
        match handing.happening.event(&handing.id, handing.attempts, handing.at) {
            Ok(event) => match self.lane.ask(Question::Event(event)).await? {
                Reply::Done(done) => Ok(done),
                _ => Ok(Ok(())),
            },
            Err(call) => match self.lane.ask(Question::Webhook(call.request(&handing.id))).await? {
                Reply::Answered(answer) if answer.status >= 300 => Ok(Err(WitError {
                    code: "CHANNEL_FAILED".to_owned(),
                    message: format!("the channel answered with the status {}", answer.status),
                    retryable: false,
                    retry_after_ms: None,
                    details: None,
                })),
                _ => Ok(Ok(())),
            },
        }
    }

    /// Answers a request; one over which the guest breaks off twice is laid aside.
    async fn answer(&mut self, id: &str, call: HookCall) -> Result<HookAnswer, HookRefusal> {
        self.lane.about(id);
        for attempt in 1..=TRAPS {
            let asked = self.lane.ask(Question::Webhook(call.clone().request(id))).await;
            let error = match asked {
                Ok(Reply::Answered(answer)) if answer.status >= 300 && self.lane.waits_for().is_some() => {
                    let settled = match self.lane.waits_for() {
                        Some(approval) => Settled::Awaiting { approval },
                        None => return Err(HookRefusal::Broken),
                    };
                    return self.lay_aside(id, call, 1, settled).await;
                }
                Ok(Reply::Answered(answer)) => {
                    if self.lane.was_asked() {
                        self.close(id, None).await;
                    }
                    let bounded = hooks::bounded(answer.status, &answer.headers, answer.body);
                    if bounded.is_err() {
                        tracing::warn!(plugin.id = %self.binding.plugin, "the answer of a channel has no right form");
                    }
                    return bounded;
                }
                Ok(_) => return Err(HookRefusal::Broken),
                Err(CallError::Cancelled) => return Err(HookRefusal::Away),
                Err(error) => error,
            };
            if error.blame() != Blame::Guest {
                tracing::warn!(plugin.id = %self.binding.plugin, %error, "a request could not be answered");
                return Err(HookRefusal::Broken);
            }
            let is_late = matches!(error, CallError::Timeout { .. });
            let goes_on = self.binding.broke_off(&error).await;
            // Another attempt would be later still; the provider comes again by itself.
            if is_late {
                if self.lane.was_asked() {
                    self.close(id, Some("the channel did not answer in time")).await;
                }
                return Err(HookRefusal::Timeout);
            }
            if attempt == TRAPS {
                let error = format!("{}: {error}", error.code());
                return self.lay_aside(id, call, TRAPS, Settled::Parked { error }).await;
            }
            if !goes_on {
                return Err(HookRefusal::Away);
            }
        }
        Err(HookRefusal::Broken)
    }

    /// Keeps a request whose provider need not send it again.
    async fn lay_aside(
        &mut self,
        id: &str,
        call: HookCall,
        attempts: u32,
        settled: Settled,
    ) -> Result<HookAnswer, HookRefusal> {
        let handing = Handing {
            id: id.to_owned(),
            at: self.binding.alarm.now(),
            happening: Happening::Webhook(call),
            attempts,
            timer: None,
            stored: false,
            was_asked: self.lane.was_asked(),
        };
        self.persist(handing, settled).await;
        hooks::bounded(LAID_ASIDE, &[], b"laid aside".to_vec())
    }

    /// Stores what became of an event, and of the timer that it came from, in one transaction.
    async fn persist(&mut self, handing: Handing, settled: Settled) {
        if handing.was_asked {
            match &settled {
                Settled::Done => self.close(&handing.id, None).await,
                Settled::Parked { error } => self.close(&handing.id, Some(error)).await,
                Settled::Later { .. } | Settled::Awaiting { .. } | Settled::Kept { .. } => {}
            }
        }
        // Nothing of an event that was never stored and is over has to be.
        if matches!(settled, Settled::Done) && !handing.stored && handing.timer.is_none() {
            return;
        }
        let now = self.binding.alarm.now();
        let timer = handing.timer.map(|mut timer| {
            // A timer whose event was not handed over fires again instead.
            if !matches!(settled, Settled::Kept { .. }) {
                timer.next_at = wishes::next(&timer, now);
            }
            timer
        });
        let from_timer = timer.is_some();
        let mut payload = serde_json::to_value(&handing.happening).unwrap_or(Value::Null);
        if let Settled::Awaiting { approval } = &settled {
            payload[APPROVAL] = json!(approval.to_string());
        }
        let event = ChannelEvent {
            id: handing.id,
            plugin: self.binding.plugin.clone(),
            kind: handing.happening.kind().to_owned(),
            payload,
            status: ChannelEventStatus::Pending,
            attempts: handing.attempts,
            error: String::new(),
            available_at: None,
            created_at: handing.at,
            updated_at: now,
        };
        if from_timer && matches!(settled, Settled::Kept { .. }) {
            return;
        }
        self.store(event, timer, settled).await;
    }

    async fn persist_raw(&mut self, event: ChannelEvent, settled: Settled) {
        self.store(event, None, settled).await;
    }

    /// Tries until the store takes it or the channel is stopped.
    async fn store(&mut self, mut event: ChannelEvent, timer: Option<ChannelTimer>, settled: Settled) {
        let mut is_over = false;
        let mut awaited = None;
        match settled {
            Settled::Done => is_over = true,
            Settled::Later { at, error } => {
                event.available_at = Some(at);
                event.error = error;
            }
            Settled::Kept { error } => event.error = error,
            Settled::Awaiting { approval } => {
                event.available_at = Some(self.binding.alarm.now().plus(AWAITED));
                event.error = format!("{approval} waits for an answer");
                let (core, id) = (self.binding.core.clone(), event.id.clone());
                awaited = Some(async move {
                    if let Err(error) = core.answered(approval).await {
                        tracing::warn!(approval.id = %approval, %error, "an answer could not be waited for");
                    }
                    id
                });
            }
            Settled::Parked { error } => {
                tracing::warn!(
                    plugin.id = %self.binding.plugin, event.id, event.kind, error, "an event is parked"
                );
                event.status = ChannelEventStatus::Parked;
                event.error = error;
            }
        }
        event.error = event.error.chars().take(2000).collect();
        loop {
            match self.stored(&event, timer.as_ref(), is_over).await {
                Ok(events) if events > MAX_EVENTS => {
                    self.binding.quarantine("CHANNEL_FAILED: more events are laid aside than are kept").await;
                    return;
                }
                Ok(_) => {
                    self.answers
                        .extend(awaited.map(|awaited| Box::pin(awaited) as BoxFuture<'static, String>));
                    return;
                }
                Err(error) if self.binding.stop.is_cancelled() => {
                    tracing::error!(plugin.id = %self.binding.plugin, event.id, %error, "an event is not stored");
                    return;
                }
                Err(error) => self.store_failed(&error).await,
            }
        }
    }

    async fn stored(
        &mut self,
        event: &ChannelEvent,
        timer: Option<&ChannelTimer>,
        is_over: bool,
    ) -> Result<u64, StoreError> {
        let mut tx = self.binding.host.parts().store.write().await?;
        if is_over {
            tx.remove_channel_event(&event.id).await?;
        } else {
            tx.upsert_channel_event(event).await?;
        }
        if let Some(timer) = timer {
            // One that is wished no longer, or otherwise, is not brought back.
            let known = tx.channel_timers(&self.binding.plugin).await?;
            let same = known.iter().any(|known| {
                known.name == timer.name && known.every == timer.every && known.first_at == timer.first_at
            });
            if same {
                tx.upsert_channel_timer(timer).await?;
            }
        }
        let events = tx.count_channel_events(&self.binding.plugin).await?;
        tx.commit().await?;
        Ok(events)
    }

    async fn store_failed(&mut self, error: &StoreError) {
        tracing::warn!(plugin.id = %self.binding.plugin, %error, "the events of a channel cannot be read or written");
        self.pause(RETRY).await;
    }

    async fn pause(&mut self, wait: Duration) {
        let at = self.binding.alarm.now().plus(wait);
        tokio::select! {
            biased;
            () = self.binding.stop.cancelled() => {}
            () = self.binding.alarm.until(at) => {}
        }
    }
}
