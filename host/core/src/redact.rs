//! Values that no row, event or log may carry: secrets, and what is nested so deep that nobody could read it back.

use serde_json::Value;

/// What stands in their place.
const REDACTED: &str = "[REDACTED]";
/// What stands in place of a list or an object below [`LEVELS`] others.
const TOO_DEEP: &str = "[NESTED TOO DEEP]";
/// Readers of JSON give up at 128 levels, and rows, events and frames put a few of their own around a value.
const LEVELS: usize = 64;

const NAMES: [&str; 10] = [
    "access_token",
    "api_key",
    "authorization",
    "cookie",
    "cookie_header",
    "email",
    "password",
    "refresh_token",
    "secret",
    "token",
];
const ENDINGS: [&str; 5] = ["_api_key", "_cookie", "_password", "_secret", "_token"];

/// Whether a value under `key` is sensitive. Source: MeetYou V4, encrypted tool arguments.
pub(crate) fn is_sensitive(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key == "webvpn_cookie"
        || NAMES.contains(&key.as_str())
        || ENDINGS.iter().any(|ending| key.len() > ending.len() && key.ends_with(ending))
}

/// A copy without sensitive values, at any depth, and without what lies deeper than 64 levels.
pub fn redacted(value: &Value) -> Value {
    within(value, LEVELS)
}

fn within(value: &Value, levels: usize) -> Value {
    match value {
        Value::Object(_) | Value::Array(_) if levels == 0 => TOO_DEEP.into(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let shown = if is_sensitive(key) { Value::from(REDACTED) } else { within(value, levels - 1) };
                (key.clone(), shown)
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| within(item, levels - 1)).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sensitive_values_are_replaced_at_any_depth_and_others_stay() {
        let shown = redacted(&json!({
            "path": "a", "Token": "t", "list": [{ "db_password": 1, "token_count": 3 }], "secret": { "x": 1 },
        }));

        assert_eq!(
            shown,
            json!({
                "path": "a", "Token": "[REDACTED]",
                "list": [{ "db_password": "[REDACTED]", "token_count": 3 }], "secret": "[REDACTED]",
            })
        );
    }

    #[test]
    fn what_is_nested_too_deep_is_left_out_and_what_is_not_stays() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));

        let shown = redacted(&nested(1000));

        assert_eq!(redacted(&nested(64)), nested(64));
        assert_eq!(shown.to_string(), format!("{}\"[NESTED TOO DEEP]\"{}", "[".repeat(64), "]".repeat(64)));
    }
}
