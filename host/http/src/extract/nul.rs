//! The one character that no text may have.

use serde_json::{Value, json};

use crate::error::ApiError;

/// PostgreSQL has no NUL in a text, so no text of ours may have one, whatever the database.
pub(super) fn refused(field: &str) -> ApiError {
    ApiError::bad_request("nul_character", format!("`{field}` has a NUL character"))
        .with("field", json!(field))
}

/// The parameter whose value has a NUL, as far as it can be told.
pub(super) fn parameter(query: &str) -> &str {
    let pair = query.split('&').find(|pair| pair.contains("%00")).unwrap_or_default();
    pair.split('=').next().unwrap_or_default()
}

/// The first NUL of a JSON text, whose only form is `\u0000`.
pub(super) fn of_json(bytes: &[u8]) -> Option<String> {
    let is_there = bytes.windows(6).any(|six| six == br"\u0000");
    is_there.then(|| serde_json::from_slice(bytes).ok()).flatten().and_then(|value| field(&value))
}

/// Where the first NUL of a body is. What goes to a tool belongs to the tool, and may have one.
fn field(body: &Value) -> Option<String> {
    let fields = body.as_object()?;
    fields.iter().filter(|(key, _)| *key != "arguments").find_map(|(key, value)| below(key, value))
}

fn below(path: &str, value: &Value) -> Option<String> {
    match value {
        _ if path.contains('\0') => Some(path.replace('\0', "\u{fffd}")),
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, item)| below(&format!("{path}[{at}]"), item))
        }
        Value::Object(fields) => fields.iter().find_map(|(key, item)| below(&format!("{path}.{key}"), item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_wherever_it_is_and_left_to_tools() {
        for (body, field) in [
            (r#"{"name":"a\u0000"}"#, Some("name")),
            (r#"{"name":"a","meta":{"x":[1,"\u0000"]}}"#, Some("meta.x[1]")),
            (r#"{"name":"a","meta":{"k\u0000":1}}"#, Some("meta.k\u{fffd}")),
            (r#"{"name":"a","arguments":{"text":"\u0000"}}"#, None),
            (r#"{"name":"a\\u0000"}"#, None),
        ] {
            assert_eq!(of_json(body.as_bytes()).as_deref(), field, "{body}");
        }
    }
}
