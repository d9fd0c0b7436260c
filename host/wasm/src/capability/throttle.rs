//! How often, and how many at once: the bounds `per_minute` and `concurrent`, over all calls of a plugin together.
//!
//! Requests over HTTP have counters of their own, in the broker.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::limit::Limit;
use super::{Capability, CapabilityError};

/// The counters of every plugin.
#[derive(Default)]
pub struct Throttle {
    counters: Mutex<HashMap<(String, Capability), Counters>>,
}

#[derive(Default)]
struct Counters {
    at_work: u64,
    /// The bound that the rate is for, and the rate.
    rate: Option<(u32, Arc<DefaultDirectRateLimiter>)>,
}

impl Throttle {
    /// Counts one use, which is at work until the pass is dropped.
    ///
    /// Fails with `CAPABILITY_BUSY` when as many are at work as `concurrent` says, and with `CAPABILITY_RATE_LIMITED`
    /// when this minute has had as many as `per_minute` says. All uses of a minute may come at once.
    pub fn enter(
        self: &Arc<Self>,
        plugin: &str,
        capability: Capability,
        limit: &Limit,
    ) -> Result<Pass, CapabilityError> {
        let (concurrent, per_minute) = (limit.get("concurrent"), limit.get("per_minute"));
        if concurrent.is_none() && per_minute.is_none() {
            return Ok(Pass(None));
        }
        let key = (plugin.to_owned(), capability);
        let mut all = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = all.entry(key.clone()).or_default();
        if let Some(most) = concurrent.filter(|most| counters.at_work >= *most) {
            let message = format!("{most} uses of `{}` are at work, which is its limit", capability.as_str());
            return Err(put_off("CAPABILITY_BUSY", message, None));
        }
        if let Some(most) = per_minute {
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            counters.spend(most).map_err(|after_ms| {
                let message = format!(
                    "`{}` was used {most} times in a minute, which is its limit",
                    capability.as_str()
                );
                put_off("CAPABILITY_RATE_LIMITED", message, Some(after_ms))
            })?;
        }
        counters.at_work += 1;
        Ok(Pass(Some((self.clone(), key))))
    }
}

impl Counters {
    /// Takes one of `most` a minute; fails with the milliseconds until there is one.
    fn spend(&mut self, most: u32) -> Result<(), u32> {
        let rate = match &self.rate {
            Some((bound, rate)) if *bound == most => rate.clone(),
            // Another bound begins with a full minute.
            _ => {
                let most_or_one = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
                let rate = Arc::new(RateLimiter::direct(Quota::per_minute(most_or_one)));
                self.rate = Some((most, rate.clone()));
                rate
            }
        };
        rate.check().map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1)
        })
    }
}

fn put_off(code: &str, message: String, after_ms: Option<u32>) -> CapabilityError {
    CapabilityError { retryable: true, retry_after_ms: after_ms, ..CapabilityError::new(code, message) }
}

/// A use at work.
pub struct Pass(Option<(Arc<Throttle>, (String, Capability))>);

impl Drop for Pass {
    fn drop(&mut self) {
        let Some((throttle, key)) = self.0.take() else { return };
        let mut all = throttle.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = all.get_mut(&key) {
            counters.at_work = counters.at_work.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn limit(bounds: Value) -> Limit {
        Limit::parse(Capability::Process, &bounds).unwrap()
    }

    fn code(entered: Result<Pass, CapabilityError>) -> String {
        entered.map_or_else(|error| error.code, |_| "ok".to_owned())
    }

    #[test]
    fn no_more_are_at_work_than_the_limit_says_and_each_makes_room_at_its_end() {
        let throttle = Arc::new(Throttle::default());
        let two = limit(json!({ "concurrent": 2 }));
        let enter = |plugin: &str| throttle.enter(plugin, Capability::Process, &two);

        let (first, _second) = (enter("a").unwrap(), enter("a").unwrap());
        assert_eq!(code(enter("a")), "CAPABILITY_BUSY");
        assert_eq!(code(enter("b")), "ok", "another plugin has its own");
        drop(first);
        assert_eq!(code(enter("a")), "ok");
    }

    #[test]
    fn one_more_than_a_minute_holds_is_put_off_for_as_long_as_it_says() {
        let throttle = Arc::new(Throttle::default());
        let three = limit(json!({ "per_minute": 3 }));
        let enter = |limit: &Limit| throttle.enter("a", Capability::Process, limit);

        for _ in 0..3 {
            assert_eq!(code(enter(&three)), "ok");
        }
        let refused = enter(&three).map(drop).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.retryable), ("CAPABILITY_RATE_LIMITED", true));
        assert!((1..=20_000).contains(&refused.retry_after_ms.unwrap()), "{refused:?}");
        assert_eq!(code(throttle.enter("a", Capability::Endpoint, &three)), "ok", "another capability");
        assert_eq!(code(enter(&limit(json!({})))), "ok", "without a limit none is counted");
    }
}
