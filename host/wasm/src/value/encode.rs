//! Component values to JSON, with a cap on the text that comes out.

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
    /// At most `limit` bytes, counted a little generously.
    pub fn new(limit: usize) -> Self {
        Self { left: limit, limit }
    }

    /// Writes `value`, which has the type `shape`.
    pub fn value(&mut self, shape: &Shape, value: Val) -> Result<Value, EncodeError> {
        self.take(2)?;
        Ok(match (shape, value) {
            (Shape::Bool, Val::Bool(bit)) => Value::Bool(bit),
            (Shape::Int(_), Val::U8(number)) => number.into(),
            (Shape::Int(_), Val::S8(number)) => number.into(),
            (Shape::Int(_), Val::U16(number)) => number.into(),
            (Shape::Int(_), Val::S16(number)) => number.into(),
            (Shape::Int(_), Val::U32(number)) => number.into(),
            (Shape::Int(_), Val::S32(number)) => number.into(),
            (Shape::Int(_), Val::U64(number)) if i128::from(number) <= EXACT => number.into(),
            (Shape::Int(_), Val::U64(number)) => number.to_string().into(),
            (Shape::Int(_), Val::S64(number)) if i128::from(number).abs() <= EXACT => number.into(),
            (Shape::Int(_), Val::S64(number)) => number.to_string().into(),
            (Shape::F32, Val::Float32(number)) => float(f64::from(number), || shortest(number)),
            (Shape::F64, Val::Float64(number)) => float(number, || number),
            (Shape::Char, Val::Char(only)) => Value::String(only.to_string()),
            (Shape::String, Val::String(text)) => {
                self.take(text.len())?;
                Value::String(text)
            }
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
            (Shape::Option(_), Val::Option(None)) => Value::Null,
            (Shape::Option(inner), Val::Option(Some(some))) => {
                let value = self.value(inner, *some)?;
                if matches!(**inner, Shape::Option(_)) { object([("some", value)]) } else { value }
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

    fn take(&mut self, bytes: usize) -> Result<(), EncodeError> {
        self.left = self.left.checked_sub(bytes).ok_or(EncodeError::TooLarge { limit: self.limit })?;
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
