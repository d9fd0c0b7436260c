//! Writes more log lines than anybody reads, and lines longer than anybody reads.

use std::io::Write;

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

struct Flood;

impl Tool for Flood {
    fn describe() -> Vec<ToolSpec> {
        let schema =
            r#"{"type":"object","properties":{"lines":{"type":"integer"},"bytes":{"type":"integer"}}}"#;
        vec![
            ToolSpec::new("flood", "Writes `lines` lines of `bytes` bytes, 10000 of 100 by default.", schema)
                .risk("read"),
        ]
    }

    fn call(_name: &str, input: Value) -> Result<Value, ToolError> {
        let lines = input["lines"].as_u64().unwrap_or(10_000);
        let bytes = usize::try_from(input["bytes"].as_u64().unwrap_or(100)).unwrap_or(100);
        let filler = "x".repeat(bytes);
        let mut refused = 0_u64;
        for line in 0..lines {
            if writeln!(std::io::stderr(), "{line} {filler}").is_err() {
                refused += 1;
            }
        }
        Ok(json!({ "lines": lines, "refused": refused }))
    }
}

export_tool!(Flood);
