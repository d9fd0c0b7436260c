//! Says back what it is told, in several ways: the smallest dynamic tools.

use berth_plugin::{Argument, ToolError, Value, export_tools, json};

export_tools! { Echo:
    /// Says the text back as it is.
    read say(Words),
    /// Says the text back from its last character to its first.
    read reverse(Words),
    /// Says the text back in capital letters.
    read shout(Words),
}

#[derive(Argument)]
struct Words {
    /// What to say.
    text: String,
}

fn say(words: Words) -> Result<Value, ToolError> {
    Ok(json!({ "text": words.text }))
}

fn reverse(words: Words) -> Result<Value, ToolError> {
    Ok(json!({ "text": words.text.chars().rev().collect::<String>() }))
}

fn shout(words: Words) -> Result<Value, ToolError> {
    Ok(json!({ "text": words.text.to_uppercase() }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use berth_plugin::Tool;

    use super::*;

    #[test]
    fn every_tool_that_is_described_answers() {
        let names = ["say", "reverse", "shout"];

        let said = names.map(|name| Echo::call(name, json!({ "text": "hé" })).unwrap()["text"].clone());

        assert_eq!(said, ["hé", "éh", "HÉ"]);
        assert_eq!(Echo::describe().len(), names.len());
    }

    #[test]
    fn an_unknown_tool_or_a_missing_text_is_refused_with_its_name() {
        let refusal = |name, input| match Echo::call(name, input) {
            Err(ToolError::InvalidInput(message)) => message,
            other => format!("{other:?}"),
        };

        assert_eq!(refusal("sing", json!({ "text": "la" })), "no tool `sing`");
        assert_eq!(refusal("say", json!({})), "/text: is required");
        assert_eq!(refusal("say", json!({ "text": 1 })), "/text: is no text");
    }
}
