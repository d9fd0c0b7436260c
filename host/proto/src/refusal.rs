//! The refusal of a connection: not an endpoint frame, but what clients of MeetYou know as the answer to a bad token.
//!
//! A client of the SDK family stops for good when it reads this as a frame, so it is used for refusals alone.

use serde::Serialize;
use serde_json::{Value, json};

use crate::fields::Fields;

/// The schema of the refusal.
pub const SCHEMA: &str = "meetyou.ws.v1";

/// Why a connection is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub retryable: bool,
    pub details: Value,
}

impl Refusal {
    /// The token is missing or wrong.
    pub fn unauthorized() -> Self {
        Self {
            code: "unauthorized".to_owned(),
            message: "the access token is missing or wrong".to_owned(),
            retryable: false,
            details: json!({ "auth_type": "bearer_or_api_key_or_query" }),
        }
    }

    /// A page of an origin that is not allowed asks.
    pub fn origin(origin: &str) -> Self {
        Self {
            code: "origin_not_allowed".to_owned(),
            message: "this origin may not connect".to_owned(),
            retryable: false,
            details: json!({ "origin": origin }),
        }
    }

    /// The host has no room for another connection, or stops.
    pub fn unavailable(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned(), retryable: true, details: json!({}) }
    }

    /// The body or frame; `occurred_at` is RFC 3339.
    pub fn write(&self, occurred_at: &str) -> String {
        #[derive(Serialize)]
        struct Frame<'a> {
            schema: &'a str,
            kind: &'a str,
            error: Error<'a>,
        }
        #[derive(Serialize)]
        struct Error<'a> {
            code: &'a str,
            category: &'a str,
            message: &'a str,
            retryable: bool,
            details: &'a Value,
            occurred_at: &'a str,
        }
        let Self { code, message, retryable, details } = self;
        let error = Error { code, category: "runtime", message, retryable: *retryable, details, occurred_at };
        serde_json::to_string(&Frame { schema: SCHEMA, kind: "error", error }).unwrap_or_default()
    }

    /// Reads a text that may be a refusal: any object with `"kind": "error"` is one.
    pub fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let object = value.as_object().filter(|object| object.get("kind") == Some(&json!("error")))?;
        let error = Fields(object).object(&["error"]);
        let fields = Fields(&error);
        Some(Self {
            code: fields.maybe_text(&["code"]).unwrap_or_else(|| "refused".to_owned()),
            message: fields.text(&["message"]),
            retryable: fields.flag(&["retryable"]).unwrap_or(false),
            details: error.get("details").cloned().unwrap_or(Value::Null),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_kind_and_no_type() {
        let text = Refusal::unauthorized().write("2026-05-01T00:00:00Z");

        insta::assert_snapshot!(text, @r#"{"schema":"meetyou.ws.v1","kind":"error","error":{"code":"unauthorized","category":"runtime","message":"the access token is missing or wrong","retryable":false,"details":{"auth_type":"bearer_or_api_key_or_query"},"occurred_at":"2026-05-01T00:00:00Z"}}"#);
        assert_eq!(Refusal::read(&text), Some(Refusal::unauthorized()));
    }

    #[test]
    fn a_frame_is_no_refusal() {
        assert_eq!(Refusal::read(r#"{"schema":"meetyou.endpoint.ws.v4","type":"endpoint.error"}"#), None);
    }
}
