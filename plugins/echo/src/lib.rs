//! Says back what it is told, in several ways: the smallest dynamic tool.

use berth_plugin::{Tool, ToolError, ToolSpec, Value, export_tool, json};

struct Echo;

type Way = fn(&str) -> String;

/// Name, description and function of each way; the list that `describe` makes.
const WAYS: [(&str, &str, Way); 3] = [
    ("say", "Says the text back as it is.", str::to_owned),
    ("reverse", "Says the text back from its last character to its first.", reverse),
    ("shout", "Says the text back in capital letters.", str::to_uppercase),
];

impl Tool for Echo {
    fn describe() -> Vec<ToolSpec> {
        let schema = json!({
            "type": "object",
            "properties": { "text": { "type": "string", "description": "What to say." } },
            "required": ["text"],
            "additionalProperties": false,
        })
        .to_string();
        let spec =
            |(name, description, _): (&str, &str, _)| ToolSpec::new(name, description, &schema).risk("read");
        WAYS.into_iter().map(spec).collect()
    }

    fn call(name: &str, input: Value) -> Result<Value, ToolError> {
        let Some((_, _, say)) = WAYS.into_iter().find(|(way, _, _)| *way == name) else {
            return Err(ToolError::InvalidInput(format!("no tool `{name}`")));
        };
        let Some(text) = input["text"].as_str() else {
            return Err(ToolError::InvalidInput("`text` must be a string".into()));
        };
        Ok(json!({ "text": say(text) }))
    }
}

export_tool!(Echo);

fn reverse(text: &str) -> String {
    text.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_tool_that_is_described_answers() {
        let said: Vec<_> = WAYS
            .iter()
            .map(|(name, ..)| Echo::call(name, json!({ "text": "héllo" })).unwrap()["text"].clone())
            .collect();

        assert_eq!(said, ["héllo", "olléh", "HÉLLO"]);
        assert_eq!(Echo::describe().len(), said.len());
    }

    #[test]
    fn an_unknown_tool_or_a_missing_text_is_refused_with_its_name() {
        let refusal = |name, input| match Echo::call(name, input) {
            Err(ToolError::InvalidInput(message)) => message,
            other => format!("{other:?}"),
        };

        assert_eq!(refusal("sing", json!({ "text": "la" })), "no tool `sing`");
        assert_eq!(refusal("say", json!({})), "`text` must be a string");
    }
}
