//! JSON Schema of a shape: what models and authors see.

use serde_json::{Map, Value, json};

use super::shape::{Field, Shape};

/// The schema of one value of `shape`.
pub fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Int(int) => {
            let (min, max) = int.bounds();
            let (min, max) = (number(min), number(max));
            if int.is_wide() {
                json!({ "type": ["integer", "string"], "minimum": min, "maximum": max, "pattern": "^-?[0-9]+$" })
            } else {
                json!({ "type": "integer", "minimum": min, "maximum": max })
            }
        }
        Shape::F32 | Shape::F64 => {
            json!({ "anyOf": [{ "type": "number" }, { "enum": ["nan", "inf", "-inf"] }] })
        }
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::String => json!({ "type": "string" }),
        Shape::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Shape::List(item) => json!({ "type": "array", "items": of(item) }),
        Shape::Option(inner) => match &**inner {
            Shape::Option(_) => nullable(json!({
                "type": "object",
                "properties": { "some": of(inner) },
                "required": ["some"],
                "additionalProperties": false,
            })),
            plain => nullable(of(plain)),
        },
        Shape::Tuple(items) => json!({
            "type": "array",
            "prefixItems": items.iter().map(of).collect::<Vec<_>>(),
            "items": false,
            "minItems": items.len(),
            "maxItems": items.len(),
        }),
        Shape::Record(fields) => object(fields),
        Shape::Variant(cases) => {
            json!({ "oneOf": cases.iter().map(|case| {
                let schema = tagged(&case.name, case.shape.as_ref());
                described(schema, case.docs.as_deref())
            }).collect::<Vec<_>>() })
        }
        Shape::Enum(names) => json!({ "type": "string", "enum": names }),
        Shape::Flags(names) => {
            json!({ "type": "array", "items": { "type": "string", "enum": names }, "uniqueItems": true })
        }
        Shape::Result { ok, err } => {
            json!({ "oneOf": [tagged("ok", ok.as_deref()), tagged("err", err.as_deref())] })
        }
    }
}

/// The schema of an object with `fields`: a record, or the parameters of a function.
pub fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.json.clone(), described(of(&field.shape), field.docs.as_deref())))
        .collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| !field.is_optional()).map(|field| field.json.as_str()).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn tagged(tag: &str, payload: Option<&Shape>) -> Value {
    match payload {
        None => json!({
            "type": "object",
            "properties": { "tag": { "const": tag } },
            "required": ["tag"],
            "additionalProperties": false,
        }),
        Some(shape) => json!({
            "type": "object",
            "properties": { "tag": { "const": tag }, "val": of(shape) },
            "required": ["tag", "val"],
            "additionalProperties": false,
        }),
    }
}

fn nullable(schema: Value) -> Value {
    match schema {
        Value::Object(mut map) if !map.contains_key("enum") => match map.get("type").cloned() {
            Some(Value::String(word)) => {
                map.insert("type".to_owned(), json!([word, "null"]));
                Value::Object(map)
            }
            Some(Value::Array(mut words)) => {
                words.push(json!("null"));
                map.insert("type".to_owned(), Value::Array(words));
                Value::Object(map)
            }
            _ => json!({ "anyOf": [Value::Object(map), { "type": "null" }] }),
        },
        other => json!({ "anyOf": [other, { "type": "null" }] }),
    }
}

fn described(mut schema: Value, docs: Option<&str>) -> Value {
    if let (Some(map), Some(docs)) = (schema.as_object_mut(), docs) {
        map.insert("description".to_owned(), Value::from(docs));
    }
    schema
}

fn number(bound: i128) -> Value {
    match u64::try_from(bound) {
        Ok(bound) => Value::from(bound),
        Err(_) => Value::from(i64::try_from(bound).unwrap_or(i64::MIN)),
    }
}
