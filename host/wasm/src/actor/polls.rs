//! The polls of a channel: requests that the host makes again and again, at no cost of an instance.
//!
//! Each poll is a task. It sends through the broker with the grants of that moment, tells the channel of answers that are
//! to be told, and asks anew once the channel has dealt with one: how far it has come is stored after that, so that a crash
//! tells an answer twice and never not at all. What fails is tried again, ever later; what nobody granted waits for the next
//! change of grants.

mod answer;
mod asked;
pub mod wish;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use berth_broker::BrokerError;
use berth_core::port::store::StoreError;
use berth_model::channel::PollState;
use berth_model::{ActorId, CallId, EndpointId, OperationId, PluginId, Timestamp};
use futures::FutureExt as _;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::alarm::Alarm;
use super::binding::Grants;
use super::happening::{Happening, PollAnswer};
use super::mail::Mail;
use super::sockets::{back_off, shown};
use crate::call::ToolInvocation;
use crate::call::asking::Asking;
use crate::call::errand::Errand;
use crate::capability::approvals::NoApprovals;
use crate::capability::context::CallContext;
use crate::lock;
pub(crate) use answer::Meaning;
pub(crate) use asked::{Asked, NotAsked, event_id};
use wish::Poll;

/// Requests begin at least so long after each other.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);
/// What is denied is looked at again after this, when nothing has told that the grants changed.
const DENIED: Duration = Duration::from_secs(15 * 60);

/// How a poll stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollView {
    pub name: String,
    /// Failures since the last answer that was taken.
    pub failures: u32,
    /// What went wrong last; empty when nothing did.
    pub error: String,
    pub asked_at: Option<Timestamp>,
}

/// The polls of one channel.
pub(super) struct PollTable {
    parts: Parts,
    polls: Mutex<BTreeMap<String, Entry>>,
}

/// What the tasks of polls need.
#[derive(Clone)]
pub(super) struct Parts {
    pub plugin: PluginId,
    pub endpoint: EndpointId,
    pub mailbox: mpsc::Sender<Mail>,
    pub alarm: Arc<dyn Alarm>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    pub grants: Arc<Grants>,
}

struct Entry {
    poll: Poll,
    end: CancellationToken,
    changed: Arc<Notify>,
    view: Arc<Mutex<PollView>>,
}

impl PollTable {
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self { parts, polls: Mutex::default() })
    }

    /// Ends what is wished no longer, and begins what is new.
    pub fn wish(&self, wished: &[Poll]) {
        let mut polls = self.polls();
        polls.retain(|_, entry| {
            let stays = wished.contains(&entry.poll);
            if !stays {
                entry.end.cancel();
            }
            stays
        });
        for poll in wished {
            if self.parts.stop.is_cancelled() || polls.contains_key(&poll.name) {
                continue;
            }
            let entry = Entry {
                poll: poll.clone(),
                end: self.parts.stop.child_token(),
                changed: Arc::default(),
                view: Arc::new(Mutex::new(PollView { name: poll.name.clone(), ..PollView::default() })),
            };
            let task = PollTask {
                poll: poll.clone(),
                parts: self.parts.clone(),
                end: entry.end.clone(),
                changed: entry.changed.clone(),
                view: entry.view.clone(),
                asking: Arc::new(Asking::staying()),
            };
            polls.insert(poll.name.clone(), entry);
            self.parts.tasks.spawn(async move {
                let (plugin, view, name) =
                    (task.parts.plugin.clone(), task.view.clone(), task.poll.name.clone());
                if AssertUnwindSafe(task.run()).catch_unwind().await.is_err() {
                    tracing::error!(plugin.id = %plugin, poll = name, "the host failed while it polled");
                    lock(&view).error = "PLUGIN_HOST_FAILURE: the host failed while it polled".to_owned();
                }
            });
        }
    }

    /// The grants have changed: what was denied may be allowed by now.
    pub fn recheck(&self) {
        for entry in self.polls().values() {
            entry.changed.notify_one();
        }
    }

    pub fn views(&self) -> Vec<PollView> {
        self.polls().values().map(|entry| lock(&entry.view).clone()).collect()
    }

    fn polls(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        lock(&self.polls)
    }
}

struct PollTask {
    poll: Poll,
    parts: Parts,
    end: CancellationToken,
    changed: Arc<Notify>,
    view: Arc<Mutex<PollView>>,
    /// Shared by all requests: the same use again and again is written down as one.
    asking: Arc<Asking>,
}

/// What came of one request.
enum Turn {
    Fine,
    /// The server refuses the request; the channel knows.
    Refused,
    Failed {
        error: String,
        wait: Option<Duration>,
    },
    /// Nobody granted it.
    Denied {
        error: String,
    },
}

impl PollTask {
    async fn run(self) {
        let mut failures = 0_u32;
        let mut is_refused = false;
        loop {
            let begun = self.parts.alarm.now();
            lock(&self.view).asked_at = Some(begun);
            let turn = tokio::select! {
                biased;
                () = self.end.cancelled() => return,
                turn = self.turn(is_refused) => turn,
            };
            let now = self.parts.alarm.now();
            let mut is_denied = false;
            let (at, error) = match turn {
                Turn::Fine => {
                    (failures, is_refused) = (0, false);
                    let beat = now.plus(Duration::from_millis(self.poll.every_ms));
                    (beat.max(begun.plus(SHORTEST_BEAT)), String::new())
                }
                Turn::Refused => {
                    failures = failures.saturating_add(1);
                    is_refused = true;
                    (now.plus(self.wait(failures)), "the server refuses the request".to_owned())
                }
                Turn::Failed { error, wait } => {
                    failures = failures.saturating_add(1);
                    (now.plus(self.wait(failures).max(wait.unwrap_or_default())), error)
                }
                Turn::Denied { error } => {
                    failures = failures.saturating_add(1);
                    is_denied = true;
                    (now.plus(DENIED), error)
                }
            };
            self.told(failures, error);
            tokio::select! {
                biased;
                () = self.end.cancelled() => return,
                () = self.changed.notified(), if is_denied => {}
                () = self.parts.alarm.until(at) => {}
            }
        }
    }

    /// The wait before another attempt; no shorter than between two answers.
    fn wait(&self, failures: u32) -> Duration {
        let ids = &*self.parts.grants.host.parts().ids;
        back_off(failures, ids).max(Duration::from_millis(self.poll.every_ms))
    }

    fn told(&self, failures: u32, error: String) {
        let (plugin, poll) = (&self.parts.plugin, &self.poll.name);
        let mut view = lock(&self.view);
        if failures == 0 && view.failures > 0 {
            tracing::info!(plugin.id = %plugin, poll, "a poll is answered again");
        } else if failures > 0 && view.error != error {
            tracing::warn!(plugin.id = %plugin, poll, failures, error, "a poll failed");
        }
        view.failures = failures;
        view.error = error;
    }

    /// One request, and what becomes of its answer.
    async fn turn(&self, is_refused: bool) -> Turn {
        let failed = |error: String| Turn::Failed { error, wait: None };
        let (before, cursor) = match self.known().await {
            Ok(known) => known,
            Err(error) => return failed(format!("STORE_UNAVAILABLE: {error}")),
        };
        let plugin = &self.parts.grants.loaded();
        let errand = Errand::new(plugin, self.invocation(self.poll.within()), self.asking.clone());
        let Asked { answer, meaning } = match self.poll.ask(&before, cursor, errand).await {
            Ok(asked) => asked,
            Err(NotAsked::Wrong(message)) => return failed(format!("it {message}")),
            Err(NotAsked::Broker(error)) => {
                let (wait, told) = (error.retry_after(), shown(&error.to_string()));
                let told = format!("{}: {told}", error.code());
                if error.is_denial() && wait.is_none() && !is_busy(&error) {
                    return Turn::Denied { error: told };
                }
                return Turn::Failed { error: told, wait };
            }
        };
        match meaning {
            Meaning::Failed { error, wait } => Turn::Failed { error, wait },
            Meaning::Refused if is_refused => Turn::Refused,
            Meaning::Refused => {
                self.hand(answer, before.told).await;
                Turn::Refused
            }
            Meaning::Quiet(after) => self.keep(&before, &after).await,
            Meaning::News(after) => {
                let is_done = self.hand(answer, after.told).await;
                match self.keep(&before, &after).await {
                    // The cursor stands where it was: the same answer would come again at once.
                    Turn::Fine if !is_done && self.poll.next.is_none() => {
                        failed("the channel has not dealt with the last answer".to_owned())
                    }
                    turn => turn,
                }
            }
        }
    }

    /// How far the poll has come, and the cursor to ask with.
    async fn known(&self) -> Result<(PollState, String), StoreError> {
        let host = &self.parts.grants.host;
        let mut tx = host.parts().store.read().await?;
        let known = self.poll.known(tx.channel_poll(&self.parts.plugin, &self.poll.name).await?);
        let position = match self.poll.next {
            Some(_) => None,
            None => tx.lookup_channel(&self.parts.plugin).await?.map(|row| row.position),
        };
        let cursor = self.poll.cursor(&known, &position.unwrap_or_default());
        Ok((known, cursor))
    }

    async fn keep(&self, before: &PollState, after: &PollState) -> Turn {
        if before == after {
            return Turn::Fine;
        }
        let kept = async {
            let mut tx = self.parts.grants.host.parts().store.write().await?;
            let (plugin, now) = (&self.parts.plugin, self.parts.alarm.now());
            tx.upsert_channel_poll(plugin, &self.poll.name, after, now).await?;
            tx.commit().await
        };
        match kept.await {
            Ok(()) => Turn::Fine,
            Err(error) => Turn::Failed { error: format!("STORE_UNAVAILABLE: {error}"), wait: None },
        }
    }

    /// Hands an answer to the channel and waits until something has become of it; true when it was dealt with.
    async fn hand(&self, answer: PollAnswer, number: u64) -> bool {
        let (settled, done) = oneshot::channel();
        let mail = Mail::Happened {
            id: event_id(&self.parts.plugin, &answer, number),
            at: self.parts.alarm.now(),
            happening: Happening::PollAnswered(answer),
            settled: Some(settled),
        };
        if self.parts.mailbox.send(mail).await.is_err() {
            return std::future::pending().await;
        }
        match done.await {
            Ok(is_done) => is_done,
            // The channel ends, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// A call with the grants of the channel; nobody is there to be asked.
    fn invocation(&self, timeout: Duration) -> ToolInvocation {
        let grants = &self.parts.grants;
        let parts = grants.host.parts();
        let call = CallId::from_uuid(parts.ids.uuid());
        let operation = OperationId::from_uuid(parts.ids.uuid());
        let actor = ActorId::new(self.parts.endpoint.as_str());
        let context = CallContext {
            call,
            operation,
            workspace: grants.workspace.clone(),
            actor: actor.unwrap_or_else(|_| ActorId::fixed("system:host")),
            dry_run: false,
            idempotency_key: call.to_string(),
            ..CallContext::of_nobody()
        };
        ToolInvocation {
            grants: grants.host.live_grants(&grants.loaded(), &grants.workspace, operation),
            services: parts.services.clone().with_approvals(Arc::new(NoApprovals)),
            timeout,
            cancel: self.end.child_token(),
            ..ToolInvocation::new("poll", Value::Null, context)
        }
    }
}

/// Others of the plugin are at work: that ends by itself.
fn is_busy(error: &BrokerError) -> bool {
    matches!(error, BrokerError::Busy { .. }) || error.is_retryable()
}
