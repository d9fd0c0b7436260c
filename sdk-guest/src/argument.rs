//! Arguments of dynamic tools: what a value of Rust is in JSON Schema, and how it is read from JSON.

mod object;

use serde_json::{Value, json};

pub use object::{Property, Taken, object, property};

/// A value that a tool takes.
///
/// `#[derive(Argument)]` implements it for a struct, whose fields become properties, and for an enum of words. Doc
/// comments become descriptions; a field that is an [`Option`] or has a default may be left out; a property that is not
/// there is refused.
///
/// ```
/// use berth_plugin::{Argument, json};
///
/// /// Who is greeted.
/// #[derive(Argument)]
/// struct Greeting {
///     /// A name.
///     name: String,
///     /// How often.
///     #[argument(default = 1_u32, minimum = 1, maximum = 9)]
///     times: u32,
///     tone: Option<Tone>,
/// }
///
/// #[derive(Argument, PartialEq, Debug)]
/// enum Tone {
///     /// With all titles.
///     Formal,
///     VeryLoud,
/// }
///
/// let schema = Greeting::schema();
/// assert_eq!(schema["properties"]["name"], json!({ "type": "string", "description": "A name." }));
/// assert_eq!(schema["required"], json!(["name"]));
///
/// let greeting = Greeting::take(&json!({ "name": "Ada", "tone": "very-loud" }))?;
/// assert_eq!((greeting.times, greeting.tone), (1, Some(Tone::VeryLoud)));
///
/// let refused = Greeting::take(&json!({ "name": "Ada", "times": 10 })).err();
/// assert_eq!(refused.map(|refused| refused.to_string()).as_deref(), Some("/times: is at most 9"));
/// # Ok::<(), berth_plugin::Mismatch>(())
/// ```
pub trait Argument: Sized {
    /// Its JSON Schema.
    fn schema() -> Value;

    /// Reads it. Fails with a pointer to what does not fit.
    fn take(value: &Value) -> Result<Self, Mismatch>;

    /// What it is when it was left out; `None` when it must not be.
    fn absent() -> Option<Self> {
        None
    }
}

/// A value that does not fit, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// A JSON pointer, empty for the whole.
    pub pointer: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Mismatch {
    /// Something wrong with the value itself.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { pointer: String::new(), reason: reason.into() }
    }

    /// The same, seen from what holds the value under `key`.
    #[must_use]
    pub fn below(mut self, key: &str) -> Self {
        self.pointer = format!("/{}{}", key.replace('~', "~0").replace('/', "~1"), self.pointer);
        self
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str(&self.reason),
            pointer => write!(f, "{pointer}: {}", self.reason),
        }
    }
}

impl std::error::Error for Mismatch {}

impl Argument for Value {
    fn schema() -> Value {
        json!({})
    }

    fn take(value: &Value) -> Result<Self, Mismatch> {
        Ok(value.clone())
    }
}

impl Argument for String {
    fn schema() -> Value {
        json!({ "type": "string" })
    }

    fn take(value: &Value) -> Result<Self, Mismatch> {
        value.as_str().map(str::to_owned).ok_or_else(|| Mismatch::new("is no text"))
    }
}

impl Argument for bool {
    fn schema() -> Value {
        json!({ "type": "boolean" })
    }

    fn take(value: &Value) -> Result<Self, Mismatch> {
        value.as_bool().ok_or_else(|| Mismatch::new("is neither true nor false"))
    }
}

impl Argument for f64 {
    fn schema() -> Value {
        json!({ "type": "number" })
    }

    fn take(value: &Value) -> Result<Self, Mismatch> {
        value.as_f64().ok_or_else(|| Mismatch::new("is no number"))
    }
}

macro_rules! whole {
    ($($number:ty),+) => {$(
        impl Argument for $number {
            fn schema() -> Value {
                json!({ "type": "integer", "minimum": <$number>::MIN, "maximum": <$number>::MAX })
            }

            fn take(value: &Value) -> Result<Self, Mismatch> {
                let signed = value.as_i64().and_then(|number| Self::try_from(number).ok());
                let number = signed.or_else(|| value.as_u64().and_then(|number| Self::try_from(number).ok()));
                number.ok_or_else(|| {
                    Mismatch::new(format!("is no whole number from {} to {}", Self::MIN, Self::MAX))
                })
            }
        }
    )+};
}

whole!(u8, u16, u32, u64, i8, i16, i32, i64);

impl<T: Argument> Argument for Option<T> {
    fn schema() -> Value {
        json!({ "anyOf": [T::schema(), { "type": "null" }] })
    }

    fn take(value: &Value) -> Result<Self, Mismatch> {
        if value.is_null() { Ok(None) } else { T::take(value).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Argument> Argument for Vec<T> {
    fn schema() -> Value {
        json!({ "type": "array", "items": T::schema() })
    }

    fn take(value: &Value) -> Result<Self, Mismatch> {
        let items = value.as_array().ok_or_else(|| Mismatch::new("is no list"))?;
        let each = items.iter().enumerate();
        each.map(|(index, item)| T::take(item).map_err(|wrong| wrong.below(&index.to_string()))).collect()
    }
}

/// The schema of one of `words`.
pub fn word(description: &str, words: &[&str]) -> Value {
    let mut schema = json!({ "type": "string", "enum": words });
    if !description.is_empty() {
        schema["description"] = description.into();
    }
    schema
}

/// Says that a value is none of `words`.
pub fn no_word(value: &Value, words: &[&str]) -> Mismatch {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    let words = words.join(", ");
    Mismatch::new(match value.as_str() {
        Some(text) => format!("`{text}` is none of {words}"),
        None => format!("is none of {words}"),
    })
}

#[cfg(test)]
mod tests;
