//! Tries everything that a plugin must not be able to do, and tells how far it came.

mod answers;
mod compute;
mod files;
mod floods;
mod machine;

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool};

struct Attacker;

impl Tool for Attacker {
    fn describe() -> Vec<ToolSpec> {
        let schema = r#"{"type":"object","properties":{"attack":{"type":"string"}},"required":["attack"]}"#;
        vec![ToolSpec::new("try", "Tries one attack and tells what came of it.", schema).risk("read")]
    }

    fn call(_: &str, input: Value) -> Result<Value, ToolError> {
        let attack = input["attack"].as_str().unwrap_or_default();
        let tried = compute::attack(attack, &input)
            .or_else(|| floods::attack(attack, &input))
            .or_else(|| answers::attack(attack, &input))
            .or_else(|| machine::attack(attack, &input))
            .or_else(|| files::attack(attack, &input));
        tried.unwrap_or_else(|| Err(ToolError::InvalidInput(format!("no attack `{attack}`"))))
    }
}

export_tool!(Attacker);
