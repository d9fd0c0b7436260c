//! What stands around every payload.

use serde::Serialize;
use serde_json::Value;

use crate::fields::Fields;
use crate::{JsonMap, SCHEMA};

/// Why a message is no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    #[error("the message is no JSON")]
    NotJson,
    #[error("the message is no JSON object")]
    NotObject,
    #[error("the schema is not {SCHEMA}")]
    WrongSchema,
}

impl BadFrame {
    /// The code in `endpoint.error`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotJson => "invalid_json",
            Self::NotObject => "invalid_payload",
            Self::WrongSchema => "invalid_schema",
        }
    }
}

/// One frame with its payload still untyped.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Envelope {
    schema: Schema,
    /// The frame's name, trimmed.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// RFC 3339; only informative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_endpoint_id: Option<String>,
    /// The `message_id` of the frame that this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// A frame from Core with a delivery id asks for a `delivery.result`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
    pub payload: JsonMap,
}

/// Writes itself as [`SCHEMA`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Schema;

impl Serialize for Schema {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(SCHEMA)
    }
}

impl Envelope {
    pub fn new(kind: impl Into<String>, payload: JsonMap) -> Self {
        Self { kind: kind.into(), payload, ..Self::default() }
    }

    /// Reads a message. A payload that is no object counts as an empty one.
    pub fn read(text: &str) -> Result<Self, BadFrame> {
        let value: Value = serde_json::from_str(text).map_err(|_| BadFrame::NotJson)?;
        let Value::Object(mut object) = value else { return Err(BadFrame::NotObject) };
        let fields = Fields(&object);
        if fields.text(&["schema"]) != SCHEMA {
            return Err(BadFrame::WrongSchema);
        }
        let frame = Self {
            schema: Schema,
            kind: fields.text(&["type"]),
            message_id: fields.maybe_text(&["message_id"]),
            sent_at: fields.maybe_text(&["sent_at"]),
            endpoint_id: fields.maybe_text(&["endpoint_id"]),
            target_endpoint_id: fields.maybe_text(&["target_endpoint_id"]),
            correlation_id: fields.maybe_text(&["correlation_id"]),
            connection_id: fields.maybe_text(&["connection_id"]),
            delivery_id: fields.maybe_text(&["delivery_id"]),
            payload: JsonMap::new(),
        };
        let payload = match object.remove("payload") {
            Some(Value::Object(payload)) => payload,
            _ => JsonMap::new(),
        };
        Ok(Self { payload, ..frame })
    }

    /// The message on the wire.
    pub fn write(&self) -> String {
        // Strings and JSON values alone: there is nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn fields(&self) -> Fields<'_> {
        Fields(&self.payload)
    }

    /// What an answer to this frame carries as its `correlation_id`; `""` when there is nothing.
    pub fn reply_id(&self) -> String {
        self.message_id.clone().or_else(|| self.correlation_id.clone()).unwrap_or_default()
    }

    /// Makes this frame an answer.
    #[must_use]
    pub fn answering(mut self, reply_id: impl Into<String>, endpoint_id: impl Into<String>) -> Self {
        self.correlation_id = Some(reply_id.into());
        self.endpoint_id = Some(endpoint_id.into());
        self
    }

    #[must_use]
    pub fn with_message_id(mut self, id: impl Into<String>) -> Self {
        self.message_id = Some(id.into());
        self
    }

    #[must_use]
    pub fn with_endpoint(mut self, id: impl Into<String>) -> Self {
        self.endpoint_id = Some(id.into());
        self
    }
}

/// A payload struct as the object that a frame carries.
pub(crate) fn object(payload: &impl Serialize) -> JsonMap {
    match serde_json::to_value(payload) {
        Ok(Value::Object(object)) => object,
        _ => JsonMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_no_frame_says_why() {
        for (text, bad) in [
            ("{", BadFrame::NotJson),
            ("[1]", BadFrame::NotObject),
            ("\"x\"", BadFrame::NotObject),
            ("{}", BadFrame::WrongSchema),
            (r#"{"schema":"meetyou.endpoint.ws.v3","type":"x"}"#, BadFrame::WrongSchema),
        ] {
            assert_eq!(Envelope::read(text), Err(bad), "{text}");
        }
    }

    #[test]
    fn a_payload_that_is_no_object_is_an_empty_one() {
        for payload in ["[1]", "null", "7", "\"x\""] {
            let text = format!(r#"{{"schema":"{SCHEMA}","type":" a ","payload":{payload},"new":1}}"#);

            let frame = Envelope::read(&text).unwrap();

            assert_eq!((frame.kind.as_str(), frame.payload.len()), ("a", 0));
        }
    }

    #[test]
    fn an_answer_names_the_message_else_the_correlation_of_the_question() {
        let read =
            |rest: &str| Envelope::read(&format!(r#"{{"schema":"{SCHEMA}",{rest}}}"#)).unwrap().reply_id();

        assert_eq!(read(r#""message_id":"m","correlation_id":"c""#), "m");
        assert_eq!(read(r#""message_id":"","correlation_id":"c""#), "c");
        assert_eq!(read(r#""type":"x""#), "");
    }
}
