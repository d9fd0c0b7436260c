//! What the operator allowed. Asking needs no grant; using does.

#[cfg(target_family = "wasm")]
use crate::bindings::berth::plugin::capabilities as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::capabilities as host;

use crate::Value;

/// Names of the granted capabilities, sorted.
pub fn granted() -> Vec<String> {
    host::granted()
}

/// Whether `name` is granted for `scope`, a JSON object; an empty one asks for any scope.
pub fn check(name: &str, scope: &Value) -> bool {
    host::check(name, &scope.to_string())
}
