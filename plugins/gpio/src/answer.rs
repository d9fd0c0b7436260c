//! Takes the fields of a board's answer, and says which one is missing or of another kind.

use berth_plugin::Value;

use super::Error;

pub fn text(answer: &Value, key: &str) -> Result<String, Error> {
    answer[key].as_str().map(str::to_owned).ok_or_else(|| unusable(key, answer))
}

pub fn flag(answer: &Value, key: &str) -> Result<bool, Error> {
    answer[key].as_bool().ok_or_else(|| unusable(key, answer))
}

/// The field `value`: boards answer with a boolean, and some that write with the 0 or 1 they were given.
pub fn level(answer: &Value) -> Result<bool, Error> {
    match (&answer["value"], answer["value"].as_u64()) {
        (Value::Bool(level), _) => Ok(*level),
        (_, Some(level @ (0 | 1))) => Ok(level == 1),
        _ => Err(unusable("value", answer)),
    }
}

pub fn number<N: TryFrom<u64>>(answer: &Value, key: &str) -> Result<N, Error> {
    let number = answer[key].as_u64().and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| unusable(key, answer))
}

pub fn number_or_none<N: TryFrom<u64>>(answer: &Value, key: &str) -> Result<Option<N>, Error> {
    if answer[key].is_null() { Ok(None) } else { number(answer, key).map(Some) }
}

pub fn unusable(key: &str, answer: &Value) -> Error {
    Error {
        code: "INVALID_RESULT".into(),
        message: format!("the Raspberry Pi answered without a usable `{key}`"),
        retryable: false,
        details: Some(answer.to_string()),
    }
}
