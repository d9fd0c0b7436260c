//! Time and ids, counted.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use berth_core::port::clock::Clock;
use berth_core::port::ids::Ids;
use berth_model::Timestamp;
use uuid::Uuid;

/// 2026-05-01T00:00:00Z, in microseconds of the Unix epoch.
const START: i64 = 1_777_593_600_000_000;

/// A clock that begins on the first of May 2026 and goes on a millisecond each time somebody looks.
#[derive(Debug)]
pub struct SteppedClock(AtomicI64);

impl SteppedClock {
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Default for SteppedClock {
    fn default() -> Self {
        Self(AtomicI64::new(START))
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1000, Ordering::Relaxed))
    }
}

/// Ids that are numbers: 1, 2, 3 …
#[derive(Debug)]
pub struct CountedIds(AtomicU64);

impl Default for CountedIds {
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl Ids for CountedIds {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}
