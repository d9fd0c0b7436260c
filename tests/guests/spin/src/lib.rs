//! Never returns: only the CPU limit or a cancel ends it.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool};

struct Spin;

impl Tool for Spin {
    fn describe() -> Vec<ToolSpec> {
        vec![ToolSpec::new("spin", "Counts forever.", r#"{"type":"object"}"#).risk("read")]
    }

    fn call(_name: &str, _input: Value) -> Result<Value, ToolError> {
        let mut count = 0_u64;
        loop {
            count = std::hint::black_box(count.wrapping_add(1));
        }
    }
}

export_tool!(Spin);
