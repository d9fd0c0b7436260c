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

/// What running plugins may take together when nobody has said: half of the memory of this machine, at most 4 GiB.
pub fn memory_for_plugins() -> u64 {
    let known = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = known.lines().find_map(|line| {
        let kib: u64 = line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib << 10)
    });
    let most = berth_wasm::limits::MEMORY_PER_HOST;
    total.map_or(most, |total| most.min(total / 2)).max(berth_wasm::limits::MEMORY_BYTES as u64)
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
