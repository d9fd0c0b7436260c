//! Programs of the machine of the host, by the operator's policy. Needs the grant `process`.

#[cfg(target_family = "wasm")]
use crate::bindings::berth::plugin::process as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::process as host;

use crate::Error;

pub use crate::bindings::berth::plugin::process::{Limits, Output};

impl Default for Limits {
    /// As long and as much as the policy allows, in no folder.
    fn default() -> Self {
        Self { timeout_ms: 0, output_bytes: 0, folder: None, meta: Vec::new() }
    }
}

/// Runs `program`, an id of the policy, with these arguments and this input, to its end.
///
/// A program that ends with another exit code than 0 has run all the same. Fails with `PERMISSION_DENIED`,
/// `COMMAND_REFUSED`, and the codes of the host that begin with `PROGRAM_`.
pub fn run(program: &str, argv: &[String], stdin: &[u8], limits: &Limits) -> Result<Output, Error> {
    host::run(program, argv, stdin, limits)
}
