//! How often a secret may be used: an oracle must not be free.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tokens that fill up again with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What may be used at once.
    pub burst: u32,
    pub per_minute: u32,
}

/// When there are more than so many keys, those that are full again are forgotten.
const KEYS: usize = 1024;

/// One bucket for each key.
pub struct Limiter<K> {
    rate: Rate,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.per_second()).min(f64::from(rate.burst));
        self.at = now;
    }
}

impl Rate {
    fn per_second(self) -> f64 {
        f64::from(self.per_minute.max(1)) / 60.0
    }
}

impl<K: Eq + Hash> Limiter<K> {
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one token; else says how long until there is one.
    pub fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        self.with(key, now, |bucket, rate| {
            let missing = 1.0 - bucket.tokens;
            if missing > 0.0 {
                return Err(Duration::from_secs_f64(missing / rate.per_second()));
            }
            bucket.tokens -= 1.0;
            Ok(())
        })
    }

    /// Whether there is a token, which stays.
    pub fn look(&self, key: K, now: Instant) -> Result<(), Duration> {
        self.with(key, now, |bucket, rate| {
            let missing = 1.0 - bucket.tokens;
            if missing > 0.0 { Err(Duration::from_secs_f64(missing / rate.per_second())) } else { Ok(()) }
        })
    }

    fn with<T>(&self, key: K, now: Instant, act: impl FnOnce(&mut Bucket, Rate) -> T) -> T {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= KEYS {
            buckets.retain(|_, bucket| {
                bucket.fill(self.rate, now);
                bucket.tokens < f64::from(self.rate.burst)
            });
        }
        let full = f64::from(self.rate.burst);
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: full, at: now });
        bucket.fill(self.rate, now);
        act(bucket, self.rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_says_when_and_fills_again_for_itself() {
        let limiter = Limiter::new(Rate { burst: 2, per_minute: 60 });
        let start = Instant::now();
        assert_eq!(limiter.take("a", start), Ok(()));
        assert_eq!(limiter.look("a", start), Ok(()));
        assert_eq!(limiter.take("a", start), Ok(()));

        assert_eq!(limiter.take("a", start), Err(Duration::from_secs(1)));
        assert_eq!(limiter.look("a", start), Err(Duration::from_secs(1)));
        assert_eq!(limiter.take("b", start), Ok(()));

        let later = start + Duration::from_secs(1);
        assert_eq!(limiter.take("a", later), Ok(()));
        assert!(limiter.take("a", later).is_err());
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten_and_empty_ones_kept() {
        let limiter = Limiter::new(Rate { burst: 1, per_minute: 60 });
        let start = Instant::now();
        let later = start + Duration::from_secs(5);
        for key in 0..KEYS {
            assert_eq!(limiter.take(key, start), Ok(()));
        }
        assert_eq!(limiter.take(7, later), Ok(()));

        assert_eq!(limiter.take(KEYS, later), Ok(()));

        assert!(limiter.take(7, later).is_err());
        assert_eq!(limiter.buckets.lock().map(|buckets| buckets.len()).ok(), Some(2));
    }
}
