//! Values of the operator's that a plugin uses and never holds. Needs the grant `secret`.

#[cfg(target_family = "wasm")]
use crate::bindings::berth::plugin::secrets as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::secrets as host;

use crate::Error;

pub use crate::bindings::berth::plugin::secrets::{Iv, KeyForm, Padding, Recipe, Signed};
pub use host::{Exchanged, Secret};

/// The secret of this name: a stored one, or one from an exchange that has not ended.
///
/// In a request it is named by a placeholder, `{{secret:NAME}}`.
pub fn open(name: &str) -> Result<Secret, Error> {
    host::open(name)
}
