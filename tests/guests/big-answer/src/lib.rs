//! Answers with more than the host takes.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

/// Beyond the output limit of 1 MiB, within the memory limit.
const ANSWER_BYTES: u64 = 5 * 1024 * 1024;

struct Big;

impl Tool for Big {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object","properties":{"bytes":{"type":"integer"}}}"#;
        vec![
            ToolSpec::new("answer", "Answers with a text of `bytes` bytes, 5 MiB by default.", schema)
                .risk("read"),
        ]
    }

    fn call(_name: &str, input: Value) -> Result<Value, ToolError> {
        let bytes = input["bytes"].as_u64().unwrap_or(ANSWER_BYTES);
        let bytes =
            usize::try_from(bytes).map_err(|_| ToolError::InvalidInput("`bytes` is too large".into()))?;
        Ok(json!({ "text": "a".repeat(bytes) }))
    }
}

export_tool!(Big);
