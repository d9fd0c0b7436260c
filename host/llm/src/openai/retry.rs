//! When to ask again.

use std::time::Duration;

use berth_core::port::model::ModelError;
use rand::RngExt;

/// How often and how patiently to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub retries: u32,
    /// The first wait; each later one is twice as long.
    pub base: Duration,
    /// The longest wait. A host that asks for a longer one is not asked again.
    pub max: Duration,
}

impl Default for RetryPolicy {
    /// Three more attempts, from 500 ms to 30 s.
    fn default() -> Self {
        Self { retries: 3, base: Duration::from_millis(500), max: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// How long to wait before attempt `attempt + 1`; `None` to give up.
    pub(super) fn wait(&self, attempt: u32, error: &ModelError, asked: Option<Duration>) -> Option<Duration> {
        if !error.retryable || attempt >= self.retries {
            return None;
        }
        match asked {
            Some(asked) => (asked <= self.max).then_some(asked),
            None => {
                let full = self.base.saturating_mul(1 << attempt.min(16)).min(self.max);
                // Half fixed, half random: many clients that failed together do not come back together.
                Some(full / 2 + full.mul_f64(rand::rng().random_range(0.0..=0.5)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn error(retryable: bool) -> ModelError {
        ModelError { code: "provider_rate_limited", message: String::new(), retryable, details: Value::Null }
    }

    #[test]
    fn the_host_decides_the_wait_unless_it_asks_for_too_long() {
        let policy = RetryPolicy::default();

        assert_eq!(policy.wait(0, &error(true), Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(policy.wait(0, &error(true), Some(Duration::from_secs(31))), None);
    }

    #[test]
    fn waits_grow_within_their_bounds_and_end() {
        let policy = RetryPolicy::default();

        for (attempt, full) in [(0, 500), (1, 1000), (2, 2000)] {
            let wait = policy.wait(attempt, &error(true), None).unwrap();
            assert!((full / 2..=full).contains(&(wait.as_millis() as u64)), "{attempt}: {wait:?}");
        }
        assert_eq!(policy.wait(3, &error(true), None), None);
        assert_eq!(policy.wait(0, &error(false), None), None);
    }
}
