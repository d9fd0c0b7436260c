//! Runs a program of the machine as it is told, and answers with what came of it.

use berth_plugin::process::{self, Limits};
use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

struct Runner;

impl Tool for Runner {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object"}"#;
        vec![
            ToolSpec::new("run", "Runs `program` with `argv`, `times` times.", schema).risk("read"),
            ToolSpec::new("hello", "Says hello.", schema).risk("read"),
        ]
    }

    fn call(name: &str, input: Value) -> Result<Value, ToolError> {
        match name {
            "run" => {
                let times = input["times"].as_u64().unwrap_or(1);
                let ran: Vec<Value> = (0..times).map(|_| run(&input)).collect();
                Ok(if times == 1 { ran.into_iter().next().unwrap_or_default() } else { ran.into() })
            }
            "hello" => Ok(json!("hello")),
            other => Err(ToolError::InvalidInput(format!("no tool `{other}`"))),
        }
    }
}

export_tool!(Runner);

fn run(input: &Value) -> Value {
    let text = |key: &str| input[key].as_str().unwrap_or_default();
    let number = |key: &str| input[key].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    let words = input["argv"].as_array().into_iter().flatten();
    let argv: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
    let limits = Limits {
        timeout_ms: number("timeout_ms"),
        output_bytes: number("output_bytes"),
        folder: input["folder"].as_str().map(str::to_owned),
        ..Limits::default()
    };
    match process::run(text("program"), &argv, text("stdin").as_bytes(), &limits) {
        Ok(output) => json!({
            "exit": output.exit,
            "stdout": String::from_utf8_lossy(&output.stdout),
            "stderr": String::from_utf8_lossy(&output.stderr),
            "truncated": output.truncated,
        }),
        Err(error) => json!({ "code": error.code, "message": error.message, "retryable": error.retryable }),
    }
}
