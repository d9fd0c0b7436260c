//! Objects: what the derived code of a struct is made of.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use super::{Argument, Mismatch};

/// A field as its schema, and whether it must be there.
pub struct Property {
    name: &'static str,
    schema: Value,
    is_required: bool,
}

/// The schema of the field `name`.
pub fn property<T: Argument>(
    name: &'static str,
    description: &str,
    default: Option<Value>,
    minimum: Option<Value>,
    maximum: Option<Value>,
) -> Property {
    let mut schema = T::schema();
    let is_required = default.is_none() && T::absent().is_none();
    let more = [
        ("description", (!description.is_empty()).then(|| description.into())),
        ("default", default),
        ("minimum", minimum),
        ("maximum", maximum),
    ];
    for (key, value) in more {
        if let (Some(value), Some(fields)) = (value, schema.as_object_mut()) {
            fields.insert(key.to_owned(), value);
        }
    }
    Property { name, schema, is_required }
}

/// The schema of an object with these fields and no others.
pub fn object(description: &str, properties: Vec<Property>) -> Value {
    let required: Vec<_> = properties.iter().filter(|one| one.is_required).map(|one| one.name).collect();
    let properties: Map<_, _> =
        properties.into_iter().map(|property| (property.name.to_owned(), property.schema)).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !description.is_empty() {
        schema["description"] = description.into();
    }
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema["additionalProperties"] = json!(false);
    schema
}

/// An object that is being read.
pub struct Taken<'a> {
    fields: &'a Map<String, Value>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Taken<'a> {
    /// Fails when it is no object.
    pub fn new(value: &'a Value) -> Result<Self, Mismatch> {
        let fields = value.as_object().ok_or_else(|| Mismatch::new("is no object"))?;
        Ok(Self { fields, known: RefCell::default() })
    }

    /// The field `name`, `absent` when it is not there. Fails when it must be, or does not fit.
    pub fn take<T: Argument>(
        &self,
        name: &'static str,
        absent: Option<T>,
        minimum: Option<Value>,
        maximum: Option<Value>,
    ) -> Result<T, Mismatch> {
        self.known.borrow_mut().push(name);
        let Some(value) = self.fields.get(name) else {
            return absent.ok_or_else(|| Mismatch::new("is required").below(name));
        };
        let number = |bound: &Option<Value>| bound.as_ref().and_then(Value::as_f64);
        if let Some(given) = value.as_f64() {
            if let Some(least) = number(&minimum).filter(|least| given < *least) {
                return Err(Mismatch::new(format!("is at least {least}")).below(name));
            }
            if let Some(most) = number(&maximum).filter(|most| given > *most) {
                return Err(Mismatch::new(format!("is at most {most}")).below(name));
            }
        }
        T::take(value).map_err(|wrong| wrong.below(name))
    }

    /// Fails when there is a field that nobody has taken.
    pub fn end(&self) -> Result<(), Mismatch> {
        let known = self.known.borrow();
        match self.fields.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                Err(Mismatch::new(format!("is not known: there are {}", known.join(", "))).below(key))
            }
            None => Ok(()),
        }
    }
}
