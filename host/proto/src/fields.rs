//! Tolerant reading of one JSON object.

use serde_json::Value;

use crate::JsonMap;

/// The fields of an object. A value that does not fit counts as absent, and so does null.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a JsonMap);

impl<'a> Fields<'a> {
    /// The first of `keys` that is there.
    pub fn value(self, keys: &[&str]) -> Option<&'a Value> {
        keys.iter().find_map(|key| self.0.get(*key).filter(|value| !value.is_null()))
    }

    /// The first of `keys` with a text that is not blank, trimmed. Numbers and booleans count as text.
    pub fn maybe_text(self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| text(self.0.get(*key)?))
    }

    /// The same; `""` when there is none.
    pub fn text(self, keys: &[&str]) -> String {
        self.maybe_text(keys).unwrap_or_default()
    }

    /// A text as it is, neither trimmed nor refused when blank.
    pub fn verbatim(self, key: &str) -> String {
        match self.0.get(key) {
            Some(Value::String(text)) => text.clone(),
            other => other.and_then(text).unwrap_or_default(),
        }
    }

    /// A boolean, or a word or number that means one.
    pub fn flag(self, keys: &[&str]) -> Option<bool> {
        keys.iter().find_map(|key| flag(self.0.get(*key)?))
    }

    /// A whole number, or a text that spells one.
    pub fn int(self, keys: &[&str]) -> Option<i64> {
        keys.iter().find_map(|key| int(self.0.get(*key)?))
    }

    /// An object; empty when there is none.
    pub fn object(self, keys: &[&str]) -> JsonMap {
        self.maybe_object(keys).cloned().unwrap_or_default()
    }

    pub fn maybe_object(self, keys: &[&str]) -> Option<&'a JsonMap> {
        keys.iter().find_map(|key| self.0.get(*key)?.as_object())
    }

    /// A list; empty when there is none.
    pub fn list(self, keys: &[&str]) -> &'a [Value] {
        keys.iter().find_map(|key| self.0.get(*key)?.as_array()).map_or(&[], Vec::as_slice)
    }

    /// The texts of a list, or a single text; `None` when the field is absent.
    pub fn maybe_texts(self, keys: &[&str]) -> Option<Vec<String>> {
        keys.iter().find_map(|key| match self.0.get(*key)? {
            Value::Array(items) => Some(items.iter().filter_map(text).collect()),
            single => text(single).map(|text| vec![text]),
        })
    }

    pub fn texts(self, keys: &[&str]) -> Vec<String> {
        self.maybe_texts(keys).unwrap_or_default()
    }
}

/// A scalar as a trimmed text; `None` when it is blank.
pub fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn flag(value: &Value) -> Option<bool> {
    if let Value::Bool(flag) = value {
        return Some(*flag);
    }
    match text(value)?.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number, or a text that spells one; a fraction is cut off.
pub fn int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_stand_for_ids_and_null_for_nothing() {
        let object = json!({ "id": 17, "none": null, "blank": "  ", "name": " a " });
        let fields = Fields(object.as_object().unwrap());

        assert_eq!(fields.text(&["id"]), "17");
        assert_eq!(fields.text(&["none", "blank", "name"]), "a");
        assert_eq!(fields.maybe_text(&["blank"]), None);
        assert_eq!(fields.verbatim("name"), " a ");
    }

    #[test]
    fn a_flag_is_a_boolean_or_a_word_for_one() {
        let object = json!({ "a": true, "b": "Off", "c": 1, "d": "maybe", "e": null });
        let fields = Fields(object.as_object().unwrap());

        let read: Vec<_> = ["a", "b", "c", "d", "e", "f"].iter().map(|key| fields.flag(&[key])).collect();
        assert_eq!(read, [Some(true), Some(false), Some(true), None, None, None]);
    }

    #[test]
    fn a_cursor_that_is_no_number_is_none() {
        let object = json!({ "a": 41, "b": "41", "c": "x", "d": [1], "e": 1e300 });
        let fields = Fields(object.as_object().unwrap());

        let read: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|key| fields.int(&[key])).collect();
        assert_eq!(read, [Some(41), Some(41), None, None, Some(i64::MAX)]);
    }

    #[test]
    fn one_text_is_a_list_of_one() {
        let object = json!({ "a": "x", "b": ["x", 2, null, {}], "c": {} });
        let fields = Fields(object.as_object().unwrap());

        assert_eq!(fields.texts(&["a"]), ["x"]);
        assert_eq!(fields.texts(&["b"]), ["x", "2"]);
        assert_eq!(fields.maybe_texts(&["c"]), None);
    }
}
