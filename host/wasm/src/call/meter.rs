//! Guest time.
//!
//! Every poll of a call is charged: what it took, but at most one tick of the epoch clock, because a guest that is
//! still running then is told to yield, and what it took beyond that another thread had the processor or a disk.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Counts the guest time of one call.
#[derive(Debug)]
pub struct Meter {
    start: Instant,
    tick_ns: u64,
    /// Charged so far.
    charged_ns: AtomicU64,
    /// When the running poll began, since `start`.
    poll_ns: AtomicU64,
}

impl Meter {
    pub fn new(start: Instant, tick: Duration) -> Self {
        Self { start, tick_ns: nanos(tick), charged_ns: AtomicU64::new(0), poll_ns: AtomicU64::new(0) }
    }

    /// Guest time up to now.
    pub fn spent(&self, now: Instant) -> Duration {
        let running = self.charge(now);
        Duration::from_nanos(self.charged_ns.load(Ordering::Relaxed) + running)
    }

    /// Guest time up to the end of the last poll.
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.charged_ns.load(Ordering::Relaxed))
    }

    fn enter(&self, now: Instant) {
        self.poll_ns.store(nanos(now - self.start), Ordering::Relaxed);
    }

    fn leave(&self, now: Instant) {
        self.charged_ns.fetch_add(self.charge(now), Ordering::Relaxed);
    }

    fn charge(&self, now: Instant) -> u64 {
        nanos(now - self.start).saturating_sub(self.poll_ns.load(Ordering::Relaxed)).min(self.tick_ns)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Polls `inner` and charges each poll to the meter.
pub struct Metered<'a, F> {
    pub meter: &'a Meter,
    pub inner: Pin<&'a mut F>,
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.enter(Instant::now());
        let polled = self.inner.as_mut().poll(cx);
        self.meter.leave(Instant::now());
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_charged_what_it_took_but_at_most_a_tick() {
        let start = Instant::now();
        let meter = Meter::new(start, Duration::from_millis(10));

        for (from, to) in [(0, 3), (50, 60), (100, 900)] {
            meter.enter(start + Duration::from_millis(from));
            meter.leave(start + Duration::from_millis(to));
        }

        assert_eq!(meter.total(), Duration::from_millis(23));
    }
}
