//! How much a caller may ask for: at once, in a minute, and of one answer.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::error::BrokerError;

/// The limits of one caller, all its calls together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in flight; one is in flight until its body has ended or was dropped.
    pub concurrent: u32,
    /// Requests in a minute, redirects among them; all of them may come at once.
    pub per_minute: u32,
    /// Bytes of one answer, on the wire and again after decompression.
    pub max_response_bytes: u64,
    /// Bytes of the body of one request.
    pub max_request_bytes: u64,
}

impl Default for Limits {
    /// 8 at once, 600 a minute, 20 MiB each way.
    fn default() -> Self {
        Self { concurrent: 8, per_minute: 600, max_response_bytes: 20 << 20, max_request_bytes: 20 << 20 }
    }
}

impl Limits {
    /// What no caller gets more of.
    pub const CEILING: Self = Self {
        concurrent: 64,
        per_minute: 6000,
        max_response_bytes: 256 << 20,
        max_request_bytes: 256 << 20,
    };

    /// The smaller of each pair.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        Self {
            concurrent: self.concurrent.min(other.concurrent),
            per_minute: self.per_minute.min(other.per_minute),
            max_response_bytes: self.max_response_bytes.min(other.max_response_bytes),
            max_request_bytes: self.max_request_bytes.min(other.max_request_bytes),
        }
    }
}

/// The counters of every caller.
#[derive(Default)]
pub(crate) struct Permits {
    callers: Mutex<HashMap<String, Counters>>,
}

struct Counters {
    in_flight: u32,
    rate: Option<(u32, Arc<DefaultDirectRateLimiter>)>,
}

impl Permits {
    /// One more request in flight, until the answer is dropped.
    pub(crate) fn enter(self: &Arc<Self>, caller: &str, limits: &Limits) -> Result<InFlight, BrokerError> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = callers.entry(caller.to_owned()).or_insert(Counters { in_flight: 0, rate: None });
        if counters.in_flight >= limits.concurrent {
            return Err(BrokerError::Busy { limit: limits.concurrent });
        }
        counters.in_flight += 1;
        Ok(InFlight { permits: self.clone(), caller: caller.to_owned() })
    }

    /// One more request of this minute.
    pub(crate) fn spend(&self, caller: &str, limits: &Limits) -> Result<(), BrokerError> {
        let Some(per_minute) = NonZeroU32::new(limits.per_minute) else {
            return Err(BrokerError::RateLimited { limit: 0, after: Duration::from_secs(60) });
        };
        let rate = {
            let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
            let counters = callers.entry(caller.to_owned()).or_insert(Counters { in_flight: 0, rate: None });
            match &counters.rate {
                Some((limit, rate)) if *limit == limits.per_minute => rate.clone(),
                // Another limit begins with a full minute.
                _ => {
                    let rate = Arc::new(RateLimiter::direct(Quota::per_minute(per_minute)));
                    counters.rate = Some((limits.per_minute, rate.clone()));
                    rate
                }
            }
        };
        rate.check().map_err(|until| BrokerError::RateLimited {
            limit: limits.per_minute,
            after: until.wait_time_from(governor::clock::DefaultClock::default().now()),
        })
    }
}

/// A request in flight.
pub(crate) struct InFlight {
    permits: Arc<Permits>,
    caller: String,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut callers = self.permits.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counters) = callers.get_mut(&self.caller) {
            counters.in_flight = counters.in_flight.saturating_sub(1);
        }
    }
}
