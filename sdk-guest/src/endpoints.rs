//! One hop to a capability of a connected device. Needs the grant `endpoint`.

#[cfg(target_family = "wasm")]
use crate::bindings::berth::plugin::endpoints as host;
#[cfg(not(target_family = "wasm"))]
use crate::testing::endpoints as host;

use crate::{Error, Value};

pub use crate::bindings::berth::plugin::endpoints::EndpointInfo;

/// Endpoints that offer `tool_key` and that the grant allows, online ones first.
pub fn list(tool_key: &str) -> Result<Vec<EndpointInfo>, Error> {
    host::list(tool_key)
}

/// Calls `tool_key` with `arguments`, a JSON object.
///
/// `selector` is an endpoint id, `provider:<type>`, or empty for the best one. Fails with the error of the host or of
/// the device, or with `INVALID_RESULT` when the device did not answer with JSON.
pub fn call(selector: &str, tool_key: &str, arguments: &Value) -> Result<Value, Error> {
    let answer = host::call(selector, tool_key, &arguments.to_string())?;
    serde_json::from_str(&answer)
        .map_err(|error| Error::new("INVALID_RESULT", format!("`{tool_key}` answered with no JSON: {error}")))
}
