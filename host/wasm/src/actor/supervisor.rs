//! How often a channel may break off. A pure decision.

use std::collections::VecDeque;
use std::time::Duration;

use berth_model::Timestamp;

/// Restarts within [`WINDOW`]; one more quarantines.
pub const RESTARTS: usize = 3;
/// How long a restart counts.
pub const WINDOW: Duration = Duration::from_secs(60);
/// The wait before the first restart; it doubles with each within the window.
const BACK_OFF: Duration = Duration::from_millis(200);

/// What follows when a channel has broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Begin anew after this wait.
    Restart(Duration),
    /// It is to be left alone until somebody has looked at it.
    Quarantine,
}

/// Counts the restarts of a channel.
#[derive(Debug, Default)]
pub struct Supervisor {
    restarts: VecDeque<Timestamp>,
}

impl Supervisor {
    /// The channel has broken off at `now`.
    pub fn broke_off(&mut self, now: Timestamp) -> Verdict {
        while self.restarts.front().is_some_and(|first| now.since(*first) >= WINDOW) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= RESTARTS {
            return Verdict::Quarantine;
        }
        self.restarts.push_back(now);
        let doubled = u32::try_from(self.restarts.len() - 1).unwrap_or(u32::MAX);
        Verdict::Restart(BACK_OFF * 2_u32.saturating_pow(doubled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_restarts_in_a_minute_with_growing_waits_and_then_quarantine() {
        let mut supervisor = Supervisor::default();
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let wait = |ms| Verdict::Restart(Duration::from_millis(ms));

        for (second, verdict) in [
            (0, wait(200)),
            (10, wait(400)),
            (20, wait(800)),
            (59, Verdict::Quarantine),
            // The first one is forgotten after a minute.
            (60, wait(800)),
            (69, Verdict::Quarantine),
            (200, wait(200)),
        ] {
            assert_eq!(supervisor.broke_off(at(second)), verdict, "{second}");
        }
    }
}
