//! The time of day, without a standard library that knows it.

use std::time::Duration;

/// The time since the Unix epoch, as the host tells it.
pub fn since_epoch() -> Duration {
    host::since_epoch()
}

#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
mod host {
    use std::time::Duration;

    use crate::bindings::base::wasi::clocks::wall_clock;

    pub fn since_epoch() -> Duration {
        let now = wall_clock::now();
        Duration::from_secs(now.seconds) + Duration::from_nanos(now.nanoseconds.into())
    }
}

#[cfg(target_os = "wasi")]
mod host {
    use std::time::{Duration, SystemTime};

    pub fn since_epoch() -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}

#[cfg(not(target_family = "wasm"))]
use crate::testing::clock as host;
