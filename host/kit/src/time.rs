//! Time, chance and disk of a case.
//!
//! Time stands still while anybody works, and goes on when a guest sleeps or a server stays silent: then it goes on to the
//! next moment that somebody waits for, be it the guest or a limit of the host. So a time-out takes no time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_model::Timestamp;
use berth_wasm::capability::surroundings::{Surroundings, Waiter};
use tokio::sync::watch;

/// Nothing has moved for so many looks in a row: then nobody works.
const CALM_LOOKS: u32 = 6;
/// Between two looks, in the time of the machine.
const LOOK: Duration = Duration::from_millis(2);
/// Midnight of 1 January 2026 in UTC, in microseconds.
const BEGINNING: i64 = 1_767_225_600_000_000;

/// See the module.
pub struct Time {
    inner: Mutex<Inner>,
    now: watch::Sender<Duration>,
    /// Counted by whoever moves something.
    moves: AtomicU64,
    /// Servers that are about to answer.
    busy: AtomicUsize,
}

struct Inner {
    wall: Duration,
    sleepers: BTreeMap<u64, Duration>,
    next: u64,
    random: u64,
    disk: u64,
}

impl Default for Time {
    fn default() -> Self {
        let inner =
            Inner { wall: Duration::ZERO, sleepers: BTreeMap::new(), next: 0, random: 0, disk: u64::MAX };
        let time = Self {
            inner: Mutex::new(inner),
            now: watch::Sender::new(Duration::ZERO),
            moves: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
        };
        time.begin(None, 0);
        time
    }
}

impl Time {
    /// Begins anew for a case.
    pub fn begin(&self, at: Option<Timestamp>, seed: u64) {
        let at = at.unwrap_or(Timestamp::from_micros(BEGINNING));
        let mut inner = self.lock();
        inner.wall = Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(0));
        inner.random = seed;
        inner.disk = u64::MAX;
        drop(inner);
        self.now.send_replace(Duration::ZERO);
    }

    /// Sets the wall clock; what waits does not notice.
    pub fn set(&self, at: Timestamp) {
        self.lock().wall = Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(0));
    }

    /// Sets the wall clock `span` ahead.
    pub fn jump(&self, span: Duration) {
        self.lock().wall += span;
    }

    /// Both clocks go on.
    pub fn advance(&self, span: Duration) {
        self.lock().wall += span;
        self.now.send_modify(|now| *now += span);
    }

    /// What has gone by since the case began.
    pub fn elapsed(&self) -> Duration {
        *self.now.borrow()
    }

    /// Says what is left on the disk.
    pub fn set_disk(&self, bytes: u64) {
        self.lock().disk = bytes;
    }

    /// Somebody has moved something: time stands still for a while.
    pub fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    /// Time stands still until this is dropped.
    pub fn work(self: &Arc<Self>) -> Work {
        self.moved();
        self.busy.fetch_add(1, Ordering::Relaxed);
        Work(self.clone())
    }

    /// Waits until nobody works, and goes on to the next moment that somebody waits for.
    pub async fn skip(&self) {
        let (mut calm, mut seen) = (0, self.moves.load(Ordering::Relaxed));
        while calm < CALM_LOOKS {
            tokio::time::sleep(LOOK).await;
            let moves = self.moves.load(Ordering::Relaxed);
            let is_calm = moves == seen && self.busy.load(Ordering::Relaxed) == 0;
            calm = if is_calm { calm + 1 } else { 0 };
            seen = moves;
        }
        let now = self.elapsed();
        let next = self.lock().sleepers.values().copied().filter(|at| *at > now).min();
        if let Some(next) = next {
            self.advance(next - now);
        }
    }

    fn sleep(&self, at: Duration) -> Asleep<'_> {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        inner.sleepers.insert(id, at);
        Asleep(self, id)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Asleep<'a>(&'a Time, u64);

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.0.lock().sleepers.remove(&self.1);
    }
}

/// Somebody is at work.
pub struct Work(Arc<Time>);

impl Drop for Work {
    fn drop(&mut self) {
        self.0.moved();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(i64::try_from(self.wall().as_micros()).unwrap_or(i64::MAX))
    }
}

#[async_trait]
impl Surroundings for Time {
    fn wall(&self) -> Duration {
        self.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.elapsed()
    }

    async fn until(&self, at: Duration, waiter: Waiter) {
        let _asleep = self.sleep(at);
        let mut changes = self.now.subscribe();
        loop {
            let reached = async { changes.wait_for(|now| *now >= at).await.is_ok() };
            match waiter {
                Waiter::Limit => {
                    if reached.await {
                        return;
                    }
                    // The case is over, and with it all that waits.
                    return std::future::pending().await;
                }
                Waiter::Guest => tokio::select! {
                    biased;
                    _ = reached => return,
                    () = self.skip() => {}
                },
            }
        }
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut inner = self.lock();
        for piece in bytes.chunks_mut(8) {
            // SplitMix64: the same bytes for the same seed, and no secret.
            inner.random = inner.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = inner.random;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            piece.copy_from_slice(&word.to_le_bytes()[..piece.len()]);
        }
    }

    fn disk_bytes(&self) -> u64 {
        self.lock().disk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleep_takes_no_time_and_ends_at_the_first_moment_that_anybody_waits_for() {
        let time = Arc::new(Time::default());
        let hour = Duration::from_secs(3600);

        let limit = time.until(Duration::from_secs(30), Waiter::Limit);
        tokio::select! {
            () = limit => {}
            () = time.until(hour, Waiter::Guest) => panic!("the limit comes first"),
        }
        assert_eq!(time.elapsed(), Duration::from_secs(30));
        time.until(hour, Waiter::Guest).await;
        assert_eq!(time.elapsed(), hour);
        assert_eq!(time.now().to_string(), "2026-01-01T01:00:00.000000Z");
    }

    #[tokio::test]
    async fn time_stands_still_while_a_server_works() {
        let time = Arc::new(Time::default());
        let work = time.work();
        let sleeper = tokio::spawn({
            let time = time.clone();
            async move { time.until(Duration::from_secs(1), Waiter::Guest).await }
        });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(time.elapsed(), Duration::ZERO);

        drop(work);
        sleeper.await.ok();
        assert_eq!(time.elapsed(), Duration::from_secs(1));
    }

    #[test]
    fn chance_is_the_same_for_the_same_seed_and_the_wall_clock_is_set_alone() {
        let time = Time::default();
        let draw = || {
            let mut bytes = [0; 11];
            time.random(&mut bytes);
            bytes
        };
        time.begin(None, 7);
        let first = draw();
        assert_ne!(draw(), first);
        time.begin(None, 7);
        assert_eq!(draw(), first);

        time.jump(Duration::from_secs(3600));
        assert_eq!((time.elapsed(), time.now().as_micros() - BEGINNING), (Duration::ZERO, 3_600_000_000));
    }
}
