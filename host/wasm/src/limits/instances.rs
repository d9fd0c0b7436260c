//! Instances that are there before their call, or after it.

use std::time::Duration;

/// Of one plugin.
pub const READY_PER_PLUGIN: usize = 2;
/// Of all plugins.
pub const READY_PER_HOST: usize = 32;
/// Their memory, of all plugins together.
pub const READY_BYTES: usize = 128 << 20;
/// How long one waits for a call.
pub const READY_IDLE: Duration = Duration::from_secs(60);
/// Calls that one instance of a pool serves.
pub const POOL_USES: u32 = 100;
/// How many times its first memory an instance of a pool may have.
pub const POOL_GROWTH: usize = 2;
