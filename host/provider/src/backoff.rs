//! How long a provider waits before it connects again.

use std::fmt;
use std::time::Duration;

/// Never less than this, so that a Core that drops us at once is not flooded.
const FLOOR: Duration = Duration::from_millis(100);

/// Exponential back-off with full jitter: the n-th wait is a random part of `base * 2^n`, at most `cap`.
pub struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
    /// 0 to 1.
    jitter: Box<dyn FnMut() -> f64 + Send>,
}

impl Backoff {
    pub fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap: cap.max(FLOOR), tries: 0, jitter: Box::new(rand::random::<f64>) }
    }

    /// With `jitter` instead of chance, for tests.
    #[must_use]
    pub fn with_jitter(mut self, jitter: impl FnMut() -> f64 + Send + 'static) -> Self {
        self.jitter = Box::new(jitter);
        self
    }

    pub(crate) fn next(&mut self) -> Duration {
        let whole = self.base.saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX)).min(self.cap);
        self.tries = self.tries.saturating_add(1);
        whole.mul_f64((self.jitter)().clamp(0.0, 1.0)).max(FLOOR)
    }

    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

impl Default for Backoff {
    /// One second, at most 30 s.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(30))
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backoff").field("base", &self.base).field("cap", &self.cap).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(jitter: f64, count: usize) -> Vec<u128> {
        let mut backoff = Backoff::default().with_jitter(move || jitter);
        (0..count).map(|_| backoff.next().as_millis()).collect()
    }

    #[test]
    fn the_wait_doubles_up_to_its_cap() {
        assert_eq!(waits(1.0, 7), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!(waits(1.0, 70)[69], 30_000);
    }

    #[test]
    fn the_jitter_takes_any_part_of_it_but_never_all() {
        assert_eq!(waits(0.5, 3), [500, 1000, 2000]);
        assert_eq!(waits(0.0, 3), [100, 100, 100]);
    }

    #[test]
    fn a_good_connection_starts_it_over() {
        let mut backoff = Backoff::default().with_jitter(|| 1.0);
        backoff.next();
        backoff.next();

        backoff.reset();

        assert_eq!(backoff.next(), Duration::from_secs(1));
    }
}
