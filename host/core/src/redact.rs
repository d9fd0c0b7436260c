//! Values that no row, event or log may carry.

use serde_json::Value;

/// What stands in their place.
const REDACTED: &str = "[REDACTED]";

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

/// A copy without sensitive values, at any depth.
pub fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let shown = if is_sensitive(key) { Value::from(REDACTED) } else { redacted(value) };
                (key.clone(), shown)
            })
            .collect(),
        Value::Array(items) => items.iter().map(redacted).collect(),
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
}
