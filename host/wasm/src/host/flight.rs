//! The calls of one generation: counted while they run, watched while it is new, ended when it is replaced.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use berth_model::generation::{Canary, Verdict};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// What the calls of a generation share.
pub(super) struct Flight {
    /// Of the generation.
    pub number: i64,
    running: TaskTracker,
    stop: CancellationToken,
    is_watched: AtomicBool,
    canary: Mutex<Canary>,
}

impl Flight {
    pub fn new(number: i64, is_proven: bool) -> Self {
        Self {
            number,
            running: TaskTracker::new(),
            stop: CancellationToken::new(),
            is_watched: AtomicBool::new(!is_proven),
            canary: Mutex::new(Canary::default()),
        }
    }

    /// A call has begun; it has ended when the token is dropped.
    pub fn board(&self) -> TaskTrackerToken {
        self.running.token()
    }

    /// Ends when calls have to end.
    pub fn stopped(&self) -> WaitForCancellationFuture<'_> {
        self.stop.cancelled()
    }

    /// Takes in how a call ended. Each verdict but `Watching` comes once.
    pub fn record(&self, failed: bool) -> Verdict {
        if !self.is_watched.load(Ordering::Relaxed) {
            return Verdict::Watching;
        }
        let verdict = match self.canary.lock() {
            Ok(mut canary) => canary.record(failed),
            Err(poisoned) => poisoned.into_inner().record(failed),
        };
        // The first who sees the end of the watch tells it.
        if verdict != Verdict::Watching && !self.is_watched.swap(false, Ordering::Relaxed) {
            return Verdict::Watching;
        }
        verdict
    }

    /// Waits for the last call, at most for `patience`; then ends those that are left and waits for their end.
    pub async fn drain(&self, patience: Duration) {
        self.running.close();
        if tokio::time::timeout(patience, self.running.wait()).await.is_err() {
            self.stop.cancel();
            self.running.wait().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_ends_with_the_last_call_and_leaves_it_alone() {
        let flight = Flight::new(1, true);
        let call = flight.board();
        let mut drain = std::pin::pin!(flight.drain(Duration::MAX));
        assert!(futures::poll!(drain.as_mut()).is_pending());

        drop(call);

        drain.await;
        assert!(!flight.stop.is_cancelled());
    }

    #[tokio::test]
    async fn what_has_no_time_is_told_to_end() {
        let flight = Flight::new(1, true);
        let call = flight.board();
        let ends = async {
            flight.stopped().await;
            drop(call);
        };

        tokio::join!(flight.drain(Duration::ZERO), ends);
    }

    #[test]
    fn a_verdict_comes_once() {
        let bad = Flight::new(1, false);
        let verdicts: Vec<_> =
            (0..40).map(|_| bad.record(true)).filter(|one| *one != Verdict::Watching).collect();
        assert_eq!(verdicts, [Verdict::Bad { calls: 11, failures: 11 }]);

        let proven = Flight::new(1, true);
        assert!((0..40).all(|_| proven.record(true) == Verdict::Watching));
    }
}
