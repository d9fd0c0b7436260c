//! Dies in several ways; each ends the call as a trap.

use std::hint::black_box;

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

const TOOLS: [(&str, &str); 3] = [
    ("panic", "Panics, and says so on standard error."),
    ("divide", "Divides by zero."),
    ("outside", "Reads outside its memory."),
];

struct Trapper;

impl Tool for Trapper {
    fn describe() -> Vec<ToolSpec> {
        let spec =
            |(name, description)| ToolSpec::new(name, description, r#"{"type":"object"}"#).risk("read");
        TOOLS.into_iter().map(spec).collect()
    }

    fn call(name: &str, _input: Value) -> Result<Value, ToolError> {
        match name {
            "panic" => panic!("this guest panics on demand"),
            "divide" => Ok(json!({ "answer": divide(black_box(1), black_box(0)) })),
            "outside" => Ok(json!({ "answer": outside() })),
            other => Err(ToolError::InvalidInput(format!("no tool `{other}`"))),
        }
    }
}

export_tool!(Trapper);

/// Rust checks the divisor itself and panics; a trap of the machine would need assembly, and ends the call the same.
fn divide(value: i32, by: i32) -> i32 {
    value / by
}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "the point is to read what is not there")]
fn outside() -> u8 {
    let last = std::ptr::with_exposed_provenance::<u8>(black_box(u32::MAX as usize));
    // SAFETY: the sandbox traps on this address, as no guest here has 4 GiB of memory.
    unsafe { last.read_volatile() }
}

#[cfg(not(target_family = "wasm"))]
fn outside() -> u8 {
    0
}
