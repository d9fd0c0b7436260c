//! A tool in a line: its name, what it takes, what it answers.

use serde_json::Value;

use crate::output::{items, text};

/// `name(argument: type, other?: type) -> type`; the type of the answer where a schema of it is known.
pub fn signature(name: &str, input: &Value, answer: Option<&Value>) -> String {
    let required = items(&input["required"]);
    let properties = input["properties"].as_object().into_iter().flatten();
    let arguments: Vec<_> = properties
        .map(|(name, schema)| {
            let mark = if required.iter().any(|other| other == name) { "" } else { "?" };
            format!("{name}{mark}: {}", kind(schema))
        })
        .collect();
    let answer = answer.map(|schema| format!(" -> {}", kind(schema))).unwrap_or_default();
    format!("{name}({}){answer}", arguments.join(", "))
}

/// The kind of value that a schema is of, in a word.
fn kind(schema: &Value) -> String {
    if let Value::Array(kinds) = &schema["type"] {
        let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
        return kinds.collect::<Vec<_>>().join(" or ");
    }
    match schema["type"].as_str() {
        Some("array") if schema["items"].is_object() => format!("array of {}", kind(&schema["items"])),
        Some("object") => match schema["properties"].as_object() {
            Some(fields) if !fields.is_empty() => {
                let names: Vec<_> = fields.keys().map(String::as_str).collect();
                format!("{{{}}}", names.join(", "))
            }
            _ => "object".to_owned(),
        },
        Some(_) => text(schema, "type"),
        None => "value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tool_is_told_with_what_it_takes_and_what_may_be_left_out() {
        let input = json!({
            "properties": { "text": { "type": "string" }, "times": { "type": ["integer", "null"] } },
            "required": ["text"],
        });

        assert_eq!(signature("a_b", &input, None), "a_b(text: string, times?: integer)");
        assert_eq!(signature("a_b", &json!({}), Some(&json!({ "type": "string" }))), "a_b() -> string");
    }

    #[test]
    fn a_schema_is_told_in_a_word() {
        for (schema, word) in [
            (json!({ "type": "string" }), "string"),
            (json!({ "type": ["string", "null"] }), "string"),
            (json!({ "type": "array", "items": { "type": "integer" } }), "array of integer"),
            (json!({ "type": "object", "properties": { "words": {}, "lines": {} } }), "{words, lines}"),
            (json!({ "anyOf": [] }), "value"),
        ] {
            assert_eq!(kind(&schema), word);
        }
    }
}
