//! Imports an interface that no host has; installing it names what is missing.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

struct Unknown;

impl Tool for Unknown {
    fn describe() -> Vec<ToolSpec> {
        vec![ToolSpec::new("make", "Makes a thing.", r#"{"type":"object"}"#).risk("read")]
    }

    fn call(_name: &str, input: Value) -> Result<Value, ToolError> {
        Ok(json!({ "thing": make(input["name"].as_str().unwrap_or_default()) }))
    }
}

export_tool!(Unknown);

#[cfg(target_family = "wasm")]
fn make(name: &str) -> String {
    acme::acme::stuff::things::make(name)
}

#[cfg(not(target_family = "wasm"))]
fn make(name: &str) -> String {
    name.to_owned()
}

#[cfg(target_family = "wasm")]
#[allow(unsafe_code, dead_code, clippy::all, reason = "generated")]
mod acme {
    wit_bindgen::generate!({ path: "wit", world: "unknown", generate_all });
}
