//! Time, chance and disk as a call meets them, where they are not those of the machine.
//!
//! A host has none of this: its guests see the clocks of the machine. The test kit puts its own in the place of them, so
//! that a story of a plugin says what time it is, what is random, and when the disk is full.

use std::sync::Arc;
use std::time::Duration;

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

/// The same for the waits of a request.
pub(crate) struct Paced(pub Arc<dyn Surroundings>);

#[async_trait]
impl Pace for Paced {
    async fn after(&self, span: Duration) {
        self.0.until(self.0.monotonic() + span, Waiter::Limit).await;
    }
}
