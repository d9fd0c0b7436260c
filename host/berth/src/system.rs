//! The real clock and the real source of ids.

use berth_core::port::clock::Clock;
use berth_core::port::ids::Ids;
use berth_model::Timestamp;

/// The clock of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// Random ids, version 4.
#[derive(Debug, Clone, Copy)]
pub struct RandomIds;

impl Ids for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "this is the port's real side")]
    fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::new_v4()
    }
}
