//! Which threads, runs and operations a socket follows.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use berth_core::port::store::EventScope;
use berth_model::{OperationId, RunId, ThreadId};
use berth_proto::subscription::{Subscription, SubscriptionAck, SubscriptionStop};
use berth_proto::{CoreFrame, Envelope};
use tokio_util::task::AbortOnDropHandle;

use super::Session;
use crate::feed;

/// Subscriptions of one socket.
const MAX_SUBSCRIPTIONS: usize = 128;
/// The longest id or target, in characters.
const MAX_ID: usize = 255;

/// The subscriptions of one socket. They end with it.
#[derive(Default)]
pub(super) struct Subscriptions {
    entries: Vec<Entry>,
    wanted: Arc<Wanted>,
    /// Tells steps of operations; runs from the first subscription on.
    operations: Option<AbortOnDropHandle<()>>,
}

struct Entry {
    id: String,
    target_type: String,
    target_id: String,
    /// Tells the events; none for a target that cannot be.
    _feed: Option<AbortOnDropHandle<()>>,
}

impl Entry {
    fn is(&self, id: &str, target_type: &str, target_id: &str) -> bool {
        (!id.is_empty() && self.id == id) || self.is_about(target_type, target_id)
    }

    fn is_about(&self, target_type: &str, target_id: &str) -> bool {
        !target_id.is_empty() && self.target_type == target_type && self.target_id == target_id
    }
}

/// What a socket wants to hear, as its feeds see it.
#[derive(Default)]
pub(crate) struct Wanted(Mutex<Targets>);

#[derive(Default)]
struct Targets {
    /// Each followed thread with the cursor that its feed began behind.
    threads: HashMap<ThreadId, i64>,
    operations: HashSet<OperationId>,
}

impl Wanted {
    fn targets(&self) -> MutexGuard<'_, Targets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the feed of `thread` tells an event too. A transient one has no cursor.
    pub(crate) fn is_told_by_thread(&self, thread: ThreadId, cursor: Option<i64>) -> bool {
        let from = self.targets().threads.get(&thread).copied();
        from.is_some_and(|from| cursor.is_none_or(|cursor| cursor > from))
    }

    pub(crate) fn wants_operation(&self, thread: Option<ThreadId>, id: OperationId) -> bool {
        let targets = self.targets();
        thread.is_some_and(|thread| targets.threads.contains_key(&thread)) || targets.operations.contains(&id)
    }
}

impl Subscriptions {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.operations = None;
        *self.wanted.targets() = Targets::default();
    }

    fn threads(&self) -> HashSet<ThreadId> {
        self.wanted.targets().threads.keys().copied().collect()
    }

    /// Removes the entries that `unwanted` names, and what only they wanted.
    fn remove(&mut self, unwanted: impl Fn(&Entry) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|entry| !unwanted(entry));
        let ids = |kind: &str| -> HashSet<&str> {
            self.entries
                .iter()
                .filter(|entry| entry.target_type == kind)
                .map(|entry| entry.target_id.as_str())
                .collect()
        };
        let (threads, operations) = (ids("thread"), ids("operation"));
        let mut targets = self.wanted.targets();
        targets.threads.retain(|thread, _| threads.contains(thread.to_string().as_str()));
        targets.operations.retain(|operation| operations.contains(operation.to_string().as_str()));
        before - self.entries.len()
    }
}

impl Session {
    /// A start or an update. Both take the place of an entry with the same id or target.
    pub(super) async fn subscribe(&mut self, asked: &Envelope, wish: Subscription, action: &str) {
        let too_long = |text: &String| text.chars().count() > MAX_ID;
        if wish.target_type.is_empty() || wish.target_id.is_empty() {
            let message = "a subscription needs target_type and target_id";
            return self.deny(asked, "subscription_target_required", message);
        }
        if [&wish.subscription_id, &wish.target_type, &wish.target_id].into_iter().any(too_long) {
            let message = format!("ids of subscriptions have at most {MAX_ID} characters");
            return self.deny(asked, "subscription_target_required", message);
        }
        self.subscriptions
            .remove(|entry| entry.is(&wish.subscription_id, &wish.target_type, &wish.target_id));
        if self.subscriptions.entries.len() >= MAX_SUBSCRIPTIONS {
            let message = format!("a socket follows at most {MAX_SUBSCRIPTIONS} targets");
            return self.deny(asked, "too_many_subscriptions", message);
        }
        // Listening begins before the answer: whatever its reader causes is told.
        let stream = match scope(&wish) {
            Some(scope) => {
                let after = wish.replay.then_some(wish.last_seen_event_seq);
                match self.hub.core().subscribe(scope, after).await {
                    Ok(stream) => Some(stream),
                    Err(error) => return self.failed(asked, &error),
                }
            }
            None => None,
        };
        let subscriptions = &mut self.subscriptions;
        let wanted = subscriptions.wanted.clone();
        match wish.target_type.as_str() {
            "thread" => {
                if let (Ok(id), Some(stream)) = (wish.target_id.parse(), &stream) {
                    wanted.targets().threads.insert(id, stream.cursor());
                }
            }
            "operation" => {
                if let Ok(id) = wish.target_id.parse() {
                    wanted.targets().operations.insert(id);
                }
            }
            _ => {}
        }
        if subscriptions.operations.is_none() {
            let core = self.hub.core();
            let updates =
                feed::tell_operations(core.operation_updates(), self.outbound.clone(), wanted.clone());
            subscriptions.operations = Some(AbortOnDropHandle::new(tokio::spawn(updates)));
        }
        let threads = subscriptions.threads();
        self.hub.links().follows(self.id, threads);
        let ack = SubscriptionAck {
            action: action.to_owned(),
            subscription_id: wish.subscription_id.clone(),
            target_type: wish.target_type.clone(),
            target_id: wish.target_id.clone(),
            active: true,
            removed: None,
        };
        self.acknowledge(asked, ack);
        let feed = stream.map(|stream| {
            let is_thread = wish.target_type == "thread";
            let feed = feed::tell_events(stream, self.outbound.clone(), (!is_thread).then_some(wanted));
            AbortOnDropHandle::new(tokio::spawn(feed))
        });
        self.subscriptions.entries.push(Entry {
            id: wish.subscription_id,
            target_type: wish.target_type,
            target_id: wish.target_id,
            _feed: feed,
        });
    }

    pub(super) fn unsubscribe(&mut self, asked: &Envelope, stop: SubscriptionStop) {
        let removed = self.subscriptions.remove(|entry| {
            if stop.subscription_id.is_empty() {
                entry.is_about(&stop.target_type, &stop.target_id)
            } else {
                entry.id == stop.subscription_id || entry.is_about(&stop.target_type, &stop.target_id)
            }
        });
        let threads = self.subscriptions.threads();
        self.hub.links().follows(self.id, threads);
        let ack = SubscriptionAck {
            action: "stop".to_owned(),
            subscription_id: stop.subscription_id,
            target_type: stop.target_type,
            target_id: stop.target_id,
            active: false,
            removed: Some(removed as u64),
        };
        self.acknowledge(asked, ack);
    }

    fn acknowledge(&self, asked: &Envelope, ack: SubscriptionAck) {
        let primary = self.bound.as_ref().map(|bound| bound.primary.id.as_str());
        let endpoint = asked.endpoint_id.as_deref().or(primary).unwrap_or_default();
        self.reply(asked, endpoint, &CoreFrame::SubscriptionAck(ack));
    }
}

/// Whose events a subscription tells; `None` when there can be none.
fn scope(wish: &Subscription) -> Option<EventScope> {
    match wish.target_type.as_str() {
        "thread" => wish.target_id.parse::<ThreadId>().ok().map(EventScope::Thread),
        "run" => wish.target_id.parse::<RunId>().ok().map(EventScope::Run),
        _ => None,
    }
}
