//! Takes all the memory it can get.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

const PIECE_BYTES: usize = 1024 * 1024;

struct Eater;

impl Tool for Eater {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        vec![
            ToolSpec::new("eat", "Allocates until it dies of it.", schema).risk("read"),
            ToolSpec::new(
                "measure",
                "Allocates until it is refused, and answers with the bytes it got.",
                schema,
            )
            .risk("read"),
        ]
    }

    fn call(name: &str, _input: Value) -> Result<Value, ToolError> {
        let mut pieces: Vec<Vec<u8>> = Vec::with_capacity(64 * 1024);
        loop {
            let mut piece = Vec::new();
            if name == "measure" && piece.try_reserve_exact(PIECE_BYTES).is_err() {
                return Ok(json!({ "bytes": pieces.len() * PIECE_BYTES }));
            }
            piece.resize(PIECE_BYTES, 0xa5);
            pieces.push(std::hint::black_box(piece));
        }
    }
}

export_tool!(Eater);
