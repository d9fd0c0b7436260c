//! What one call of a plugin may use at most, with the defaults.

pub mod component;

use std::time::Duration;

/// Linear memory of all core instances of one call together.
pub const MEMORY_BYTES: usize = 64 << 20;
/// Guest time of one call, counted in ticks of the epoch clock.
pub const CPU: Duration = Duration::from_secs(2);
/// Time of the whole call, instantiation and waits included.
pub const WALL: Duration = Duration::from_secs(30);
/// Bytes that one crossing may carry from the guest to the host.
pub const HOSTCALL_BYTES: usize = 8 << 20;
/// Handles of resources that a call may hold.
pub const HANDLES: usize = 4096;
/// Elements of one table.
pub const TABLE_ELEMENTS: usize = 20_000;
/// Core instances of one component; a Python guest has about 40.
pub const CORE_INSTANCES: usize = 64;
/// Tables of one component.
pub const TABLES: usize = 64;
/// Memories of one component.
pub const MEMORIES: usize = 8;
/// Stack of the guest.
pub const STACK_BYTES: usize = 512 << 10;
/// Stack of the guest and of the host functions that it calls.
pub const FIBER_STACK_BYTES: usize = 1 << 20;
/// The JSON text of an answer.
pub const OUTPUT_BYTES: usize = 1 << 20;
/// The texts in the arguments of a call, together.
pub const INPUT_BYTES: usize = 4 << 20;
/// Values in the arguments or the answer of one call.
pub const VALUES: usize = 200_000;
/// Lines of standard output and error that are kept of one call.
pub const LOG_LINES: usize = 256;
/// The longest kept line.
pub const LOG_LINE_BYTES: usize = 4096;
/// Calls of one plugin beside each other.
pub const CALLS_PER_PLUGIN: usize = 8;
/// Calls of all plugins beside each other.
pub const CALLS_PER_HOST: usize = 64;
/// The file of a component.
pub const COMPONENT_BYTES: usize = 32 << 20;
/// The largest random block that a guest gets at once.
pub const RANDOM_BYTES: u64 = 1 << 20;
/// How long a cancelled guest may take to return.
pub const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// The limits of the calls of one plugin: its wishes, cut to the operator's ceilings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: usize,
    pub cpu: Duration,
    pub wall: Duration,
    pub output_bytes: usize,
    pub concurrent_calls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: MEMORY_BYTES,
            cpu: CPU,
            wall: WALL,
            output_bytes: OUTPUT_BYTES,
            concurrent_calls: CALLS_PER_PLUGIN,
        }
    }
}

impl Limits {
    /// The highest limits that a manifest gets when the operator sets none.
    pub fn ceilings() -> Self {
        Self {
            memory_bytes: 256 << 20,
            cpu: Duration::from_secs(60),
            wall: Duration::from_secs(600),
            output_bytes: 4 << 20,
            concurrent_calls: 32,
        }
    }

    /// Each limit, or the ceiling where that is lower.
    #[must_use]
    pub fn clamped(&self, ceilings: &Self) -> Self {
        Self {
            memory_bytes: self.memory_bytes.min(ceilings.memory_bytes),
            cpu: self.cpu.min(ceilings.cpu),
            wall: self.wall.min(ceilings.wall),
            output_bytes: self.output_bytes.min(ceilings.output_bytes),
            concurrent_calls: self.concurrent_calls.min(ceilings.concurrent_calls).max(1),
        }
    }
}
