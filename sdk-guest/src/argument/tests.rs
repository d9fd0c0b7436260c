#![allow(clippy::unwrap_used)]

use crate::Argument;

use super::*;

/// What to do.
#[derive(Argument, Debug, PartialEq)]
struct Order {
    /// Its name,
    /// on two lines.
    name: String,
    #[argument(default = 3_u8, minimum = 1, maximum = 5)]
    times: u8,
    #[argument(name = "type")]
    kind: Option<Kind>,
    parts: Vec<Part>,
}

#[derive(Argument, Debug, PartialEq)]
struct Part {
    size: i64,
}

/// Of what kind.
#[derive(Argument, Debug, PartialEq)]
enum Kind {
    /// The usual one.
    Plain,
    NotSoPlain,
}

fn refusal(value: Value) -> String {
    Order::take(&value).unwrap_err().to_string()
}

#[test]
fn a_struct_becomes_a_schema_with_its_doc_comments() {
    assert_eq!(
        Order::schema(),
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "description": "Its name, on two lines." },
                "times": { "type": "integer", "minimum": 1, "maximum": 5, "default": 3 },
                "type": { "anyOf": [
                    { "type": "string", "enum": ["plain", "not-so-plain"],
                      "description": "Of what kind.\n`plain`: The usual one." },
                    { "type": "null" },
                ] },
                "parts": { "type": "array", "items": {
                    "type": "object",
                    "properties": { "size": { "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX } },
                    "required": ["size"],
                    "additionalProperties": false,
                } },
            },
            "description": "What to do.",
            "required": ["name", "parts"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn what_fits_is_read_and_what_was_left_out_has_its_default() {
    let order =
        Order::take(&json!({ "name": "a", "parts": [{ "size": -1 }], "type": "not-so-plain" })).unwrap();

    let parts = vec![Part { size: -1 }];
    assert_eq!(order, Order { name: "a".into(), times: 3, kind: Some(Kind::NotSoPlain), parts });
    let none = Order::take(&json!({ "name": "a", "parts": [], "type": null, "times": 5 })).unwrap();
    assert_eq!((none.times, none.kind), (5, None));
}

#[test]
fn what_does_not_fit_is_refused_with_a_pointer() {
    assert_eq!(refusal(json!([])), "is no object");
    assert_eq!(refusal(json!({ "parts": [] })), "/name: is required");
    assert_eq!(refusal(json!({ "name": 1, "parts": [] })), "/name: is no text");
    assert_eq!(refusal(json!({ "name": "a", "parts": [], "times": 0 })), "/times: is at least 1");
    assert_eq!(
        refusal(json!({ "name": "a", "parts": [], "times": 1.5 })),
        "/times: is no whole number from 0 to 255"
    );
    assert_eq!(refusal(json!({ "name": "a", "parts": [{}] })), "/parts/0/size: is required");
    assert_eq!(
        refusal(json!({ "name": "a", "parts": [], "type": "odd" })),
        "/type: `odd` is none of `plain`, `not-so-plain`"
    );
    let unknown = refusal(json!({ "name": "a", "parts": [], "a/b": 1 }));
    assert_eq!(unknown, "/a~1b: is not known: there are name, times, type, parts");
}
