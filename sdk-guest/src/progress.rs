//! Tells the people who wait how far the call is.

#[cfg(target_family = "wasm")]
use crate::bindings::berth::plugin::progress as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::progress as host;

use crate::Error;

/// `fraction` is 0 to 1 when it is known.
pub fn report(fraction: Option<f32>, message: &str) {
    host::report(fraction, message);
}

/// Hands over a piece of the result, in order; waits while the host's buffer is full.
pub fn partial(bytes: &[u8]) -> Result<(), Error> {
    host::partial(bytes)
}
