//! The live bus of run events.
//!
//! Stored events reach every listener in the order of their cursors, without gap and without repeat: one task reads
//! them back from the store after each commit and tells them. Transient events are told at once and kept nowhere; who
//! tells them waits for `EventBus::told` first, so that they do not overtake what was stored before them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use berth_model::event::{LiveEvent, NewEvent};
use tokio::sync::{Notify, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::port::store::{EventScope, Store, StoreError};

/// Events that a slow listener may lag behind before it reads from the store again.
const BACKLOG: usize = 4096;
/// Events read at once.
const PAGE: u32 = 256;
/// The wait after a failed read.
const RETRY: Duration = Duration::from_millis(500);

/// See the module.
pub struct EventBus {
    store: Arc<dyn Store>,
    live: broadcast::Sender<Arc<LiveEvent>>,
    committed: Arc<Notify>,
    /// Commits so far, and how many of them have been told.
    commits: Arc<watch::Sender<u64>>,
    told: Arc<watch::Sender<u64>>,
}

impl EventBus {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            live: broadcast::channel(BACKLOG).0,
            committed: Arc::default(),
            commits: Arc::default(),
            told: Arc::default(),
        }
    }

    /// Starts to tell what is stored from now on.
    pub(crate) async fn start(&self, tasks: &TaskTracker, kill: CancellationToken) -> Result<(), StoreError> {
        let mut last = self.store.read().await?.last_cursor().await?;
        let (store, live, committed) = (self.store.clone(), self.live.clone(), self.committed.clone());
        let (commits, told) = (self.commits.clone(), self.told.clone());
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    () = committed.notified() => {}
                    () = kill.cancelled() => break,
                }
                let known = *commits.borrow();
                while let Err(error) = tell(&*store, &live, &mut last).await {
                    tracing::warn!(%error, "stored events cannot be read; they are told later");
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = kill.cancelled() => return,
                    }
                }
                told.send_replace(known);
            }
        });
        Ok(())
    }

    /// Rings after a commit that appended events.
    pub(crate) fn committed(&self) {
        self.commits.send_modify(|commits| *commits += 1);
        self.committed.notify_one();
    }

    /// Waits until what was committed so far has been told. Waits for ever while the store cannot be read.
    pub(crate) async fn told(&self) {
        let known = *self.commits.borrow();
        // The sender is ours, so it lives.
        let _ = self.told.subscribe().wait_for(|told| *told >= known).await;
    }

    /// Tells an event that is not kept. [`Self::told`] before the first one keeps the order.
    pub(crate) fn transient(&self, event: NewEvent) {
        // No listener is no failure.
        let _ = self.live.send(Arc::new(LiveEvent::Transient(event)));
    }

    /// Replays what `scope` told behind `after`, then goes on live; with `None` live alone.
    pub async fn subscribe(&self, scope: EventScope, after: Option<i64>) -> Result<EventStream, StoreError> {
        // Listening begins before reading: what is committed in between is in one of the two.
        let live = self.live.subscribe();
        let last = self.store.read().await?.last_cursor().await?;
        let (cursor, behind) = match after {
            Some(cursor) => (cursor, true),
            None => (last, false),
        };
        let ready = VecDeque::new();
        Ok(EventStream { store: self.store.clone(), scope, cursor, live_from: last, live, ready, behind })
    }
}

async fn tell(
    store: &dyn Store,
    live: &broadcast::Sender<Arc<LiveEvent>>,
    last: &mut i64,
) -> Result<(), StoreError> {
    loop {
        let events = store.events_after(&EventScope::All, *last, PAGE).await?;
        let full = events.len() == PAGE as usize;
        for event in events {
            *last = event.cursor;
            let _ = live.send(Arc::new(LiveEvent::Stored(event)));
        }
        if !full {
            return Ok(());
        }
    }
}

/// Events of one scope, replayed and then live.
pub struct EventStream {
    store: Arc<dyn Store>,
    scope: EventScope,
    /// The last stored event that was given out.
    cursor: i64,
    /// Stored events behind this one were not there yet when the listener came.
    live_from: i64,
    live: broadcast::Receiver<Arc<LiveEvent>>,
    ready: VecDeque<Arc<LiveEvent>>,
    /// Whether the store has more that the listener has not seen.
    behind: bool,
}

impl EventStream {
    /// The next event; `None` when the bus is gone. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Arc<LiveEvent>>, StoreError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.cursor = event.cursor().unwrap_or(self.cursor);
                return Ok(Some(event));
            }
            if self.behind {
                let events = self.store.events_after(&self.scope, self.cursor, PAGE).await?;
                self.behind = events.len() == PAGE as usize;
                self.ready.extend(events.into_iter().map(|event| Arc::new(LiveEvent::Stored(event))));
                continue;
            }
            match self.live.recv().await {
                Ok(event) if self.wants(&event) => self.ready.push_back(event),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => self.behind = true,
                Err(broadcast::error::RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// The cursor of the last stored event that was given out, or the one that the stream began behind. Who resumes
    /// behind it misses nothing and hears nothing twice.
    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Whether `event` was stored before the listener came.
    pub fn is_replayed(&self, event: &LiveEvent) -> bool {
        event.cursor().is_some_and(|cursor| cursor <= self.live_from)
    }

    fn wants(&self, event: &LiveEvent) -> bool {
        let inner = event.event();
        let in_scope = match &self.scope {
            EventScope::All => true,
            EventScope::Thread(id) => inner.thread == Some(*id),
            EventScope::Run(id) => inner.run == *id,
            EventScope::Workspace(id) => inner.workspace == *id,
        };
        in_scope && event.cursor().is_none_or(|cursor| cursor > self.cursor)
    }
}
