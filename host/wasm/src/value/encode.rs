//! Component values to JSON, with a cap on the text that comes out.

use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::{Map, Value};
use wasmtime::component::Val;

use super::decode::BASE64;
use super::shape::Shape;

/// The largest whole number that every JSON reader keeps.
const EXACT: i128 = 1 << 53;

/// Why an answer has no JSON form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("the answer is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the answer does not have its declared type")]
    Mismatch,
}

/// Writes component values as JSON and counts the bytes of the text.
#[derive(Debug)]
pub struct Encoder {
    left: usize,
    limit: usize,
}

impl Encoder {
    /// At most `limit` bytes of text, counted a little generously.
    pub fn new(limit: usize) -> Self {
        Self { left: limit, limit }
    }

    /// Writes `value`, which has the type `shape`.
    pub fn value(&mut self, shape: &Shape, value: Val) -> Result<Value, EncodeError> {
        // Two quotes, brackets or braces, and the comma after them.
        self.take(3)?;
        Ok(match (shape, value) {
            (Shape::Bool, Val::Bool(bit)) => self.word(Value::Bool(bit), 5)?,
            (Shape::Int(_), Val::U8(number)) => self.number(number)?,
            (Shape::Int(_), Val::S8(number)) => self.number(number)?,
            (Shape::Int(_), Val::U16(number)) => self.number(number)?,
            (Shape::Int(_), Val::S16(number)) => self.number(number)?,
            (Shape::Int(_), Val::U32(number)) => self.number(number)?,
            (Shape::Int(_), Val::S32(number)) => self.number(number)?,
            (Shape::Int(_), Val::U64(number)) if i128::from(number) <= EXACT => self.number(number)?,
            (Shape::Int(_), Val::U64(number)) => self.word(number.to_string().into(), 20)?,
            (Shape::Int(_), Val::S64(number)) if i128::from(number).abs() <= EXACT => self.number(number)?,
            (Shape::Int(_), Val::S64(number)) => self.word(number.to_string().into(), 20)?,
            (Shape::F32, Val::Float32(number)) => {
                self.number(float(f64::from(number), || shortest(number)))?
            }
            (Shape::F64, Val::Float64(number)) => self.number(float(number, || number))?,
            (Shape::Char, Val::Char(only)) => self.text(only.to_string())?,
            (Shape::String, Val::String(text)) => self.text(text)?,
            (Shape::Bytes, Val::List(items)) => {
                self.take(items.len().div_ceil(3) * 4)?;
                let bytes = items
                    .into_iter()
                    .map(|item| if let Val::U8(byte) = item { Ok(byte) } else { Err(EncodeError::Mismatch) })
                    .collect::<Result<Vec<u8>, _>>()?;
                Value::String(BASE64.encode(bytes))
            }
            (Shape::List(shape), Val::List(items)) => {
                Value::Array(items.into_iter().map(|item| self.value(shape, item)).collect::<Result<_, _>>()?)
            }
            (Shape::Tuple(shapes), Val::Tuple(items)) => Value::Array(
                shapes
                    .iter()
                    .zip(items)
                    .map(|(shape, item)| self.value(shape, item))
                    .collect::<Result<_, _>>()?,
            ),
            (Shape::Option(_), Val::Option(None)) => self.word(Value::Null, 4)?,
            (Shape::Option(inner), Val::Option(Some(some))) => {
                let value = self.value(inner, *some)?;
                if matches!(**inner, Shape::Option(_)) {
                    self.take(r#""some":"#.len())?;
                    object([("some", value)])
                } else {
                    value
                }
            }
            (Shape::Record(fields), Val::Record(values)) => {
                let mut object = Map::with_capacity(fields.len());
                for (field, (_, value)) in fields.iter().zip(values) {
                    self.take(field.json.len() + 3)?;
                    object.insert(field.json.clone(), self.value(&field.shape, value)?);
                }
                Value::Object(object)
            }
            (Shape::Enum(_), Val::Enum(word)) => {
                self.take(word.len())?;
                Value::String(word)
            }
            (Shape::Flags(_), Val::Flags(words)) => {
                self.take(words.iter().map(|word| word.len() + 3).sum())?;
                Value::Array(words.into_iter().map(Value::String).collect())
            }
            (Shape::Variant(cases), Val::Variant(tag, payload)) => {
                let case = cases.iter().find(|case| case.name == tag).ok_or(EncodeError::Mismatch)?;
                self.tagged(&case.name, case.shape.as_ref(), payload)?
            }
            (Shape::Result { ok, .. }, Val::Result(Ok(payload))) => {
                self.tagged("ok", ok.as_deref(), payload)?
            }
            (Shape::Result { err, .. }, Val::Result(Err(payload))) => {
                self.tagged("err", err.as_deref(), payload)?
            }
            _ => return Err(EncodeError::Mismatch),
        })
    }

    fn tagged(
        &mut self,
        tag: &str,
        shape: Option<&Shape>,
        payload: Option<Box<Val>>,
    ) -> Result<Value, EncodeError> {
        self.take(tag.len() + 16)?;
        match (shape, payload) {
            (None, None) => Ok(object([("tag", tag.into())])),
            (Some(shape), Some(value)) => {
                Ok(object([("tag", tag.into()), ("val", self.value(shape, *value)?)]))
            }
            _ => Err(EncodeError::Mismatch),
        }
    }

    /// A value whose text has `bytes` at most.
    fn word(&mut self, value: Value, bytes: usize) -> Result<Value, EncodeError> {
        self.take(bytes)?;
        Ok(value)
    }

    /// A number, or the word for one that JSON lacks.
    fn number(&mut self, number: impl Into<Value>) -> Result<Value, EncodeError> {
        let number = number.into();
        let mut length = Length(0);
        // A length takes every text.
        let _ = write!(length, "{number}");
        self.take(length.0)?;
        Ok(number)
    }

    /// A text, with the backslashes that JSON puts into it.
    fn text(&mut self, text: String) -> Result<Value, EncodeError> {
        let escapes = |byte: u8| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
            0..0x20 => 5,
            _ => 0,
        };
        self.take(text.len() + text.bytes().map(escapes).sum::<usize>())?;
        Ok(Value::String(text))
    }

    fn take(&mut self, bytes: usize) -> Result<(), EncodeError> {
        self.left = self.left.checked_sub(bytes).ok_or(EncodeError::TooLarge { limit: self.limit })?;
        Ok(())
    }
}

/// Counts what is written to it.
struct Length(usize);

impl std::fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn float(number: f64, as_json: impl Fn() -> f64) -> Value {
    if number.is_nan() {
        "nan".into()
    } else if number.is_infinite() {
        if number > 0.0 { "inf".into() } else { "-inf".into() }
    } else {
        as_json().into()
    }
}

/// The double that prints like `number`: `0.1_f32` is told as 0.1, not as 0.10000000149.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}
