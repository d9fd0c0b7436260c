//! Time that can be waited for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_model::Timestamp;

/// The longest single sleep: a clock that was set is noticed after that.
const NAP: Duration = Duration::from_secs(15 * 60);

/// Tells the time and wakes. Tests own theirs.
#[async_trait]
pub trait Alarm: Send + Sync {
    fn now(&self) -> Timestamp;

    /// Ends at `at` or later. Cancel-safe.
    async fn until(&self, at: Timestamp);
}

/// The clock of the host and the timers of the machine.
pub struct SystemAlarm(pub Arc<dyn Clock>);

#[async_trait]
impl Alarm for SystemAlarm {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.0.now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP)).await;
        }
    }
}

/// Ends at `at`, or never without one.
pub(crate) async fn maybe_until(alarm: &dyn Alarm, at: Option<Timestamp>) {
    match at {
        Some(at) => alarm.until(at).await,
        None => std::future::pending().await,
    }
}
