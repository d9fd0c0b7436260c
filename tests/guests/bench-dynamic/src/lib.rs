//! Says back its arguments: the least work of a dynamic tool.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool};

struct Echo;

impl Tool for Echo {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        vec![ToolSpec::new("echo", "Says its arguments back.", schema).risk("read")]
    }

    fn call(_name: &str, input: Value) -> Result<Value, ToolError> {
        Ok(input)
    }
}

export_tool!(Echo);
