//! Time, chance and disk as a call meets them, where they are not those of the machine.
//!
//! A host has none of this: its guests see the clocks of the machine. The test kit puts its own in the place of them, so
//! that a story of a plugin says what time it is, what is random, and when the disk is full.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use berth_broker::Pace;

/// Who waits for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiter {
    /// A guest that sleeps: nothing else of it goes on.
    Guest,
    /// A limit of the host, which runs beside what it bounds.
    Limit,
}

/// What a call meets in the place of the machine.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// The wall clock, since the Unix epoch.
    fn wall(&self) -> Duration;

    /// The clock that only goes forward, since its beginning.
    fn monotonic(&self) -> Duration;

    /// Ends when the clock that only goes forward shows `at`. Cancel-safe.
    async fn until(&self, at: Duration, waiter: Waiter);

    /// Fills `bytes` with what guests take for random.
    fn random(&self, bytes: &mut [u8]);

    /// What a call may still write before the disk is full.
    fn disk_bytes(&self) -> u64;
}

/// A request ends so long before its call, for a guest that has something to say about it.
const LEFT: Duration = Duration::from_millis(100);

/// The same for the waits of a request.
pub(crate) struct Paced {
    surroundings: Arc<dyn Surroundings>,
    /// When the call ends, on the clock of the surroundings.
    due: Option<Duration>,
    made: Instant,
}

impl Paced {
    pub fn new(surroundings: Arc<dyn Surroundings>, due: Option<Duration>) -> Self {
        Self { surroundings, due, made: Instant::now() }
    }

    /// The end of a wait that begins now.
    ///
    /// The broker counts what is left of a call by the clock of the machine, which goes on while that of the surroundings
    /// stands still. A wait for the end of the call is therefore the one that would end so much before it.
    fn end(&self, span: Duration) -> Duration {
        let end = self.surroundings.monotonic() + span;
        match self.due {
            Some(due) if due.saturating_sub(end) <= self.made.elapsed() => due.saturating_sub(LEFT),
            _ => end,
        }
    }
}

#[async_trait]
impl Pace for Paced {
    async fn after(&self, span: Duration) {
        self.surroundings.until(self.end(span), Waiter::Limit).await;
    }
}
