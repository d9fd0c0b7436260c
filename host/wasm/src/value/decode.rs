//! JSON to component values, checked against the type before any guest code runs.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use wasmtime::component::Val;

use super::shape::{Field, Int, Shape};

/// Names that an error lists.
const MAX_NAMES: usize = 24;

/// Standard base64; padding may be left out.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A JSON value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if pointer.is_empty() { "the arguments" } else { pointer.as_str() })]
pub struct BadValue {
    /// A JSON pointer to the value; empty for the whole.
    pub pointer: String,
    pub message: String,
}

impl BadValue {
    fn new(message: impl Into<String>) -> Self {
        Self { pointer: String::new(), message: message.into() }
    }

    fn under(mut self, segment: &str) -> Self {
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        self.pointer = format!("/{escaped}{}", self.pointer);
        self
    }
}

/// Reads JSON as component values and counts what it has taken.
#[derive(Debug)]
pub struct Decoder {
    values: usize,
    bytes: usize,
}

impl Decoder {
    /// At most `values` values and `bytes` bytes of text.
    pub fn new(values: usize, bytes: usize) -> Self {
        Self { values, bytes }
    }

    /// Reads an object of arguments as the parameters of a function, in order.
    pub fn params(&mut self, params: &[Field], arguments: Value) -> Result<Vec<Val>, BadValue> {
        let Value::Object(mut object) = arguments else {
            return Err(expected("an object", &arguments));
        };
        let mut values = Vec::with_capacity(params.len());
        for param in params {
            values.push(self.member(param, object.swap_remove(&param.json))?);
        }
        leftover(&object, params.iter().map(|param| param.json.as_str()))?;
        Ok(values)
    }

    /// Reads one value.
    pub fn value(&mut self, shape: &Shape, value: Value) -> Result<Val, BadValue> {
        self.values =
            self.values.checked_sub(1).ok_or_else(|| BadValue::new("the arguments hold too many values"))?;
        match shape {
            Shape::Bool => match value {
                Value::Bool(bit) => Ok(Val::Bool(bit)),
                other => Err(expected("true or false", &other)),
            },
            Shape::Int(int) => integer(*int, &value),
            Shape::F32 => {
                let wide = float(&value)?;
                #[expect(clippy::cast_possible_truncation, reason = "checked below")]
                let narrow = wide as f32;
                if narrow.is_infinite() && wide.is_finite() {
                    return Err(BadValue::new("is beyond the range of a 32-bit float"));
                }
                Ok(Val::Float32(narrow))
            }
            Shape::F64 => Ok(Val::Float64(float(&value)?)),
            Shape::Char => match &value {
                Value::String(text) => {
                    let mut chars = text.chars();
                    match (chars.next(), chars.next()) {
                        (Some(only), None) => Ok(Val::Char(only)),
                        _ => Err(BadValue::new("must be a string of exactly one character")),
                    }
                }
                other => Err(expected("a string of one character", other)),
            },
            Shape::String => match value {
                Value::String(text) => {
                    self.take(text.len())?;
                    Ok(Val::String(text))
                }
                other => Err(expected("a string", &other)),
            },
            Shape::Bytes => match &value {
                Value::String(text) => {
                    self.take(text.len())?;
                    let bytes = BASE64.decode(text).map_err(|_| BadValue::new("is no base64"))?;
                    Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
                }
                other => Err(expected("a base64 string", other)),
            },
            Shape::List(item) => match value {
                Value::Array(items) => self.items(items, |_| Some(item)).map(Val::List),
                other => Err(expected("an array", &other)),
            },
            Shape::Tuple(shapes) => match value {
                Value::Array(items) if items.len() == shapes.len() => {
                    self.items(items, |index| shapes.get(index)).map(Val::Tuple)
                }
                Value::Array(items) => Err(BadValue::new(format!(
                    "must have exactly {} items, not {}",
                    shapes.len(),
                    items.len()
                ))),
                other => Err(expected("an array", &other)),
            },
            Shape::Option(inner) => self.option(inner, value),
            Shape::Record(fields) => match value {
                Value::Object(mut object) => {
                    let mut values = Vec::with_capacity(fields.len());
                    for field in fields {
                        let member = self.member(field, object.swap_remove(&field.json))?;
                        values.push((field.wit.clone(), member));
                    }
                    leftover(&object, fields.iter().map(|field| field.json.as_str()))?;
                    Ok(Val::Record(values))
                }
                other => Err(expected("an object", &other)),
            },
            Shape::Enum(names) => match value {
                Value::String(word) if names.contains(&word) => Ok(Val::Enum(word)),
                Value::String(word) => Err(unknown_word(&word, names)),
                other => Err(expected("a string", &other)),
            },
            Shape::Flags(names) => flags(names, value),
            Shape::Variant(cases) => {
                let (tag, payload) = tagged(value)?;
                let Some(case) = cases.iter().find(|case| case.name == tag) else {
                    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
                    return Err(unknown_word(&tag, &names).under("tag"));
                };
                let payload = self.payload(case.shape.as_ref(), payload)?;
                Ok(Val::Variant(tag, payload))
            }
            Shape::Result { ok, err } => {
                let (tag, payload) = tagged(value)?;
                match tag.as_str() {
                    "ok" => Ok(Val::Result(Ok(self.payload(ok.as_deref(), payload)?))),
                    "err" => Ok(Val::Result(Err(self.payload(err.as_deref(), payload)?))),
                    other => Err(unknown_word(other, &["ok".to_owned(), "err".to_owned()]).under("tag")),
                }
            }
        }
    }

    fn member(&mut self, field: &Field, value: Option<Value>) -> Result<Val, BadValue> {
        match value {
            Some(value) => self.value(&field.shape, value).map_err(|bad| bad.under(&field.json)),
            None if field.is_optional() => Ok(Val::Option(None)),
            None => Err(BadValue::new("is required").under(&field.json)),
        }
    }

    fn items<'a>(
        &mut self,
        items: Vec<Value>,
        shape: impl Fn(usize) -> Option<&'a Shape>,
    ) -> Result<Vec<Val>, BadValue> {
        let mut values = Vec::with_capacity(items.len().min(self.values));
        for (index, item) in items.into_iter().enumerate() {
            if let Some(shape) = shape(index) {
                values.push(self.value(shape, item).map_err(|bad| bad.under(&index.to_string()))?);
            }
        }
        Ok(values)
    }

    fn option(&mut self, inner: &Shape, value: Value) -> Result<Val, BadValue> {
        if value.is_null() {
            return Ok(Val::Option(None));
        }
        if !matches!(inner, Shape::Option(_)) {
            return Ok(Val::Option(Some(Box::new(self.value(inner, value)?))));
        }
        let Value::Object(mut object) = value else {
            return Err(expected("null or an object with `some`", &value));
        };
        let Some(some) = object.swap_remove("some") else {
            return Err(BadValue::new("is required").under("some"));
        };
        leftover(&object, ["some"].into_iter())?;
        let some = self.value(inner, some).map_err(|bad| bad.under("some"))?;
        Ok(Val::Option(Some(Box::new(some))))
    }

    fn payload(
        &mut self,
        shape: Option<&Shape>,
        payload: Option<Value>,
    ) -> Result<Option<Box<Val>>, BadValue> {
        match (shape, payload) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(BadValue::new("this case carries no value").under("val")),
            (Some(Shape::Option(_)), None) => Ok(Some(Box::new(Val::Option(None)))),
            (Some(_), None) => Err(BadValue::new("is required").under("val")),
            (Some(shape), Some(value)) => {
                Ok(Some(Box::new(self.value(shape, value).map_err(|bad| bad.under("val"))?)))
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), BadValue> {
        self.bytes =
            self.bytes.checked_sub(bytes).ok_or_else(|| BadValue::new("the arguments hold too much text"))?;
        Ok(())
    }
}

fn tagged(value: Value) -> Result<(String, Option<Value>), BadValue> {
    let Value::Object(mut object) = value else {
        return Err(expected("an object with `tag`", &value));
    };
    let tag = match object.swap_remove("tag") {
        Some(Value::String(tag)) => tag,
        Some(other) => return Err(expected("a string", &other).under("tag")),
        None => return Err(BadValue::new("is required").under("tag")),
    };
    let payload = object.swap_remove("val");
    leftover(&object, ["tag", "val"].into_iter())?;
    Ok((tag, payload))
}

fn flags(names: &[String], value: Value) -> Result<Val, BadValue> {
    let Value::Array(items) = value else {
        return Err(expected("an array of labels", &value));
    };
    let mut set: Vec<String> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let Value::String(word) = item else {
            return Err(expected("a string", &item).under(&index.to_string()));
        };
        if !names.contains(&word) {
            return Err(unknown_word(&word, names).under(&index.to_string()));
        }
        if set.contains(&word) {
            return Err(BadValue::new(format!("`{word}` is given twice")).under(&index.to_string()));
        }
        set.push(word);
    }
    Ok(Val::Flags(set))
}

fn integer(int: Int, value: &Value) -> Result<Val, BadValue> {
    let number = match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| number.as_f64().and_then(whole))
            .ok_or_else(|| BadValue::new("must be a whole number"))?,
        Value::String(text) if int.is_wide() => text
            .parse::<i128>()
            .ok()
            .filter(|_| {
                text.bytes().enumerate().all(|(at, byte)| byte.is_ascii_digit() || (at == 0 && byte == b'-'))
            })
            .ok_or_else(|| BadValue::new("must be a whole number"))?,
        other => return Err(expected("a whole number", other)),
    };
    let (min, max) = int.bounds();
    let outside = |_| BadValue::new(format!("must be between {min} and {max}"));
    Ok(match int {
        Int::U8 => Val::U8(number.try_into().map_err(outside)?),
        Int::S8 => Val::S8(number.try_into().map_err(outside)?),
        Int::U16 => Val::U16(number.try_into().map_err(outside)?),
        Int::S16 => Val::S16(number.try_into().map_err(outside)?),
        Int::U32 => Val::U32(number.try_into().map_err(outside)?),
        Int::S32 => Val::S32(number.try_into().map_err(outside)?),
        Int::U64 => Val::U64(number.try_into().map_err(outside)?),
        Int::S64 => Val::S64(number.try_into().map_err(outside)?),
    })
}

/// The whole number that a float like `3.0` is, when it is exact.
fn whole(number: f64) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i128)
}

fn float(value: &Value) -> Result<f64, BadValue> {
    match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| BadValue::new("is no number")),
        Value::String(word) => match word.as_str() {
            "nan" => Ok(f64::NAN),
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            _ => Err(BadValue::new("must be a number, `nan`, `inf` or `-inf`")),
        },
        other => Err(expected("a number", other)),
    }
}

/// Refuses what is left of an object once the `known` members were taken out of it.
fn leftover<'a>(
    object: &serde_json::Map<String, Value>,
    known: impl Iterator<Item = &'a str>,
) -> Result<(), BadValue> {
    let Some(key) = object.keys().next() else { return Ok(()) };
    let mut known: Vec<&str> = known.take(MAX_NAMES + 1).collect();
    let more = if known.len() > MAX_NAMES { " …" } else { "" };
    known.truncate(MAX_NAMES);
    let message = match known.as_slice() {
        [] => "is not known here: nothing is".to_owned(),
        known => format!("is not known here: known are {}{more}", known.join(", ")),
    };
    Err(BadValue::new(message).under(key))
}

fn unknown_word(word: &str, names: &[String]) -> BadValue {
    let word: String = word.chars().take(64).collect();
    BadValue::new(format!("`{word}` is none of {}", names.join(", ")))
}

fn expected(what: &str, got: &Value) -> BadValue {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    BadValue::new(format!("must be {what}, not {got}"))
}
