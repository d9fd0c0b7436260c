//! Recurses without end.

use std::hint::black_box;

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

struct Overflow;

impl Tool for Overflow {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        vec![
            ToolSpec::new("recurse", "Uses up the stack in the guest's memory.", schema).risk("read"),
            ToolSpec::new(
                "recurse_lean",
                "Uses up the host's stack: its frames take no guest memory.",
                schema,
            )
            .risk("read"),
        ]
    }

    fn call(name: &str, _input: Value) -> Result<Value, ToolError> {
        match name {
            "recurse" => Ok(json!({ "depth": wide(0) })),
            "recurse_lean" => Ok(json!({ "depth": lean(black_box(0)) })),
            other => Err(ToolError::InvalidInput(format!("no tool `{other}`"))),
        }
    }
}

export_tool!(Overflow);

#[expect(unconditional_recursion, reason = "that is the point")]
#[inline(never)]
fn wide(depth: u32) -> u32 {
    let frame = black_box([depth; 64]);
    wide(depth + 1) + frame[0]
}

#[inline(never)]
fn lean(depth: u32) -> u32 {
    // An end that is never reached, and a step that cannot be taken before the one below it, keep the compiler from
    // making a loop of it.
    if depth == u32::MAX { 0 } else { lean(depth.wrapping_add(1)).rotate_left(7) ^ depth }
}
