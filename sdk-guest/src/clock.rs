//! The time of day, and waiting, without a standard library that knows of them.

use std::time::Duration;

/// The time since the Unix epoch, as the host tells it.
pub fn since_epoch() -> Duration {
    host::since_epoch()
}

/// Waits for so long. The host ends the wait when it ends the call.
pub fn wait(span: Duration) {
    host::wait(span);
}

#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
mod host {
    use std::time::Duration;

    use crate::bindings::base::wasi::clocks::{monotonic_clock, wall_clock};

    pub fn wait(span: Duration) {
        let nanoseconds = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        monotonic_clock::subscribe_duration(nanoseconds).block();
    }

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

    pub fn wait(span: Duration) {
        std::thread::sleep(span);
    }
}

#[cfg(not(target_family = "wasm"))]
use crate::testing::clock as host;
