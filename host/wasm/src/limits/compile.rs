//! What compiling one component may use.

use std::time::Duration;

/// Address space of the compiling process. A language runtime of 30 MiB stays below a third of it.
pub const MEMORY_BYTES: u64 = 3 << 30;
/// CPU time of all its threads.
pub const CPU: Duration = Duration::from_secs(120);
/// From start to answer; an install waits no longer.
pub const WALL: Duration = Duration::from_secs(180);
/// Machine code of one component.
pub const ARTIFACT_BYTES: u64 = 512 << 20;
