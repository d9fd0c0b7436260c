//! Questions to the owner. Needs the grant `approval`.

#[cfg(target_family = "wasm")]
use crate::bindings::berth::plugin::approval as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::approval as host;

use crate::Error;

/// Asks the owner and returns the name of the question at once; the answer comes as an event of the channel.
///
/// `title` says in a line what is to be agreed to, `details` says more. `risk` is one of `read`, `local_write`,
/// `external_write`, `command` and `destructive`.
pub fn ask(title: &str, risk: &str, details: &str) -> Result<String, Error> {
    host::ask(title, risk, details)
}
