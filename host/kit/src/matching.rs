//! Compares what was wanted with what came, and says where they differ.

use serde_json::Value;

/// The longest value in a message.
const SHOWN: usize = 300;

/// Where `got` is not `wanted`, as a JSON pointer and both values; `None` when they are equal.
pub fn difference(wanted: &Value, got: &Value) -> Option<Difference> {
    differs(wanted, got, false, String::new())
}

/// Where `got` does not hold `wanted`: objects may have more fields, texts may be longer.
pub fn missing(wanted: &Value, got: &Value) -> Option<Difference> {
    differs(wanted, got, true, String::new())
}

/// The first place that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// A JSON pointer; empty for the whole.
    pub pointer: String,
    pub wanted: String,
    pub got: String,
}

fn differs(wanted: &Value, got: &Value, is_part: bool, pointer: String) -> Option<Difference> {
    let here = |pointer: String| Some(Difference { pointer, wanted: shown(wanted), got: shown(got) });
    let counted = |items: &[Value], value: &Value| match items.len() {
        1 => format!("1 item: {}", shown(value)),
        count => format!("{count} items: {}", shown(value)),
    };
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(fields)) => {
            for (key, value) in wanted {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match fields.get(key) {
                    None => {
                        return Some(Difference { pointer, wanted: shown(value), got: "nothing".to_owned() });
                    }
                    Some(field) => {
                        if let Some(found) = differs(value, field, is_part, pointer) {
                            return Some(found);
                        }
                    }
                }
            }
            let more = fields.iter().find(|(key, _)| !is_part && !wanted.contains_key(*key));
            more.map(|(key, value)| Difference {
                pointer: format!("{pointer}/{key}"),
                wanted: "nothing".to_owned(),
                got: shown(value),
            })
        }
        (Value::Array(wanted), Value::Array(items)) if wanted.len() == items.len() => wanted
            .iter()
            .zip(items)
            .enumerate()
            .find_map(|(at, (wanted, got))| differs(wanted, got, is_part, format!("{pointer}/{at}"))),
        (Value::Array(items), Value::Array(others)) => {
            Some(Difference { pointer, wanted: counted(items, wanted), got: counted(others, got) })
        }
        (Value::String(wanted), Value::String(text)) if is_part && text.contains(wanted.as_str()) => None,
        (Value::String(wanted), Value::String(text)) if !is_part && wanted != text => {
            let (wanted, got) = around(wanted, text);
            Some(Difference { pointer, wanted, got })
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (wanted, got) if wanted == got => None,
        _ => here(pointer),
    }
}

/// Two texts in one line each, from a little before where they differ when that is further on than a line shows.
fn around(wanted: &str, got: &str) -> (String, String) {
    /// So much of what is the same is shown.
    const LEAD: usize = 40;
    let same = wanted.bytes().zip(got.bytes()).take_while(|(a, b)| a == b).count();
    let quoted = |text: &str| shown(&Value::String(text.to_owned()));
    if same < SHOWN - LEAD {
        return (quoted(wanted), quoted(got));
    }
    let from = wanted.floor_char_boundary(same - LEAD);
    let line = 1 + wanted[..from].matches('\n').count();
    let piece = |text: &str| format!("… from byte {from}, line {line}: {}", quoted(&text[from..]));
    (piece(wanted), piece(got))
}

/// A value in one line of a message.
pub fn shown(value: &Value) -> String {
    cut(&value.to_string())
}

/// A text in one line of a message.
pub fn cut(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", &text[..text.floor_char_boundary(SHOWN)], text.len())
}

/// Bytes in one line of a message.
pub fn shown_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{:?}", cut(text)),
        Err(_) => format!("{} bytes that are no text", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_place_that_differs_is_named() {
        let wanted = json!({ "a": [1, { "b": "x" }] });
        for (got, pointer) in [
            (json!({ "a": [1, { "b": "x" }] }), None),
            (json!({ "a": [1, { "b": "y" }] }), Some("/a/1/b")),
            (json!({ "a": [1] }), Some("/a")),
            (json!({ "a": [1, { "b": "x" }], "c": 1 }), Some("/c")),
            (json!({}), Some("/a")),
        ] {
            assert_eq!(difference(&wanted, &got).map(|at| at.pointer), pointer.map(str::to_owned), "{got}");
        }
    }

    #[test]
    fn long_texts_are_shown_where_they_differ_and_lists_with_how_many_items_they_have() {
        let long = "é\n".repeat(200);
        let at = difference(&json!(format!("{long}one")), &json!(format!("{long}two"))).unwrap();
        assert!(at.wanted.ends_with("one\"") && at.got.ends_with("two\""), "{at:?}");
        assert!(at.wanted.contains("line 1") && at.wanted.len() < 200, "{at:?}");

        let at = missing(&json!([1]), &json!([1, 2])).unwrap();
        assert_eq!((at.wanted.as_str(), at.got.as_str()), ("1 item: [1]", "2 items: [1,2]"));
    }

    #[test]
    fn a_part_leaves_out_fields_and_the_rest_of_texts_and_no_items() {
        let wanted = json!({ "notes": [{ "text": "Bread" }] });
        assert_eq!(
            missing(&wanted, &json!({ "notes": [{ "text": "Bread is out", "id": "1" }], "n": 1 })),
            None
        );
        assert!(missing(&wanted, &json!({ "notes": [{ "text": "Milk" }] })).is_some());
        assert!(missing(&wanted, &json!({ "notes": [{ "text": "Bread" }, {}] })).is_some());
    }
}
