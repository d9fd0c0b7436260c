//! Levels as callers write them.

use serde::Deserialize;
use serde_json::{Value, json};

/// A level in one of its spellings; whether it is one is decided by its reader.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected a boolean, an integer or a text")]
pub enum Switch {
    Flag(bool),
    Number(i64),
    Text(String),
}

impl Switch {
    /// A pin's level: a boolean, 0, 1, `"0"` or `"1"`.
    pub fn level(&self) -> Option<bool> {
        match self {
            Self::Flag(level) => Some(*level),
            Self::Number(0) => Some(false),
            Self::Number(1) => Some(true),
            Self::Number(_) => None,
            Self::Text(text) => match text.trim() {
                "0" => Some(false),
                "1" => Some(true),
                _ => None,
            },
        }
    }

    /// A device's state: a level, or a word for one.
    pub fn state(&self) -> Option<bool> {
        let Self::Text(text) = self else { return self.level() };
        match text.trim().to_ascii_lowercase().as_str() {
            "on" | "high" | "yes" | "true" => Some(true),
            "off" | "low" | "no" | "false" => Some(false),
            _ => self.level(),
        }
    }
}

/// The schema of such an argument.
pub fn switch_schema() -> Value {
    json!({ "type": ["boolean", "integer", "string"] })
}

/// A closed object schema; `required` are those of `properties` that must be there.
pub fn closed(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> (Option<bool>, Option<bool>) {
        let switch: Switch = serde_json::from_value(value).unwrap();
        (switch.level(), switch.state())
    }

    #[test]
    fn a_level_has_few_spellings_and_a_state_has_words_as_well() {
        for (value, level, state) in [
            (json!(true), Some(true), Some(true)),
            (json!(0), Some(false), Some(false)),
            (json!("1"), Some(true), Some(true)),
            (json!("On"), None, Some(true)),
            (json!(" low "), None, Some(false)),
            (json!(2), None, None),
            (json!("maybe"), None, None),
        ] {
            assert_eq!(read(value.clone()), (level, state), "{value}");
        }
    }
}
