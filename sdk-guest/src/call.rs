//! The call that is being served.

#[cfg(target_family = "wasm")]
use crate::bindings::berth::plugin::call as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::call as host;
use std::time::Duration;

pub use crate::bindings::berth::plugin::call::CallContext as Context;

/// Who asked for what, and until when.
pub fn context() -> Context {
    host::context()
}

/// True once the host has decided to end the call; about a second is left to return.
pub fn cancelled() -> bool {
    host::cancelled()
}

/// The time until the host ends the call, zero after it.
pub fn remaining() -> Duration {
    Duration::from_millis(host::remaining_ms())
}
