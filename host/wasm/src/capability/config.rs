//! What the operator has set for a plugin. Needs no grant: setting it is the consent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

/// The settings of one plugin, as texts by their keys.
pub type Values = Arc<BTreeMap<String, String>>;

/// The longest name of a key that is shown in a message.
const SHOWN_BYTES: usize = 128;

/// Tells the settings of plugins.
pub trait ConfigSource: Send + Sync {
    /// The settings of `plugin`, empty when there are none. Fails with what is wrong with them, for people.
    fn values(&self, plugin: &str) -> Result<Values, String>;

    /// From now on the settings of `plugin` must fit `schema`, a JSON Schema; without one they are taken as they are.
    fn learn(&self, plugin: &str, schema: Option<Value>);
}

/// Nothing is set for anybody.
#[derive(Debug, Clone, Copy)]
pub struct NoConfig;

impl ConfigSource for NoConfig {
    fn values(&self, _: &str) -> Result<Values, String> {
        Ok(Values::default())
    }

    fn learn(&self, _: &str, _: Option<Value>) {}
}

/// A schema that no setting can be checked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSchema(pub String);

/// Reads and checks the text of a schema.
pub fn schema(text: &str) -> Result<Value, BadSchema> {
    let schema: Value =
        serde_json::from_str(text).map_err(|error| BadSchema(format!("it is no JSON: {error}")))?;
    if !schema.is_object() {
        return Err(BadSchema("it is no JSON object".to_owned()));
    }
    if count(&schema) != reached(&schema) {
        let message = "`x-secret` marks a field under `properties`; elsewhere nobody would see it".to_owned();
        return Err(BadSchema(message));
    }
    jsonschema::validator_for(&schema).map_err(|error| BadSchema(error.to_string()))?;
    Ok(schema)
}

/// Fields that are marked as secret, wherever.
fn count(schema: &Value) -> usize {
    match schema {
        Value::Object(fields) => {
            usize::from(fields.contains_key("x-secret")) + fields.values().map(count).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(count).sum(),
        _ => 0,
    }
}

/// Those of them that [`resolve`] finds.
fn reached(schema: &Value) -> usize {
    let own = usize::from(schema.get("x-secret") == Some(&Value::Bool(true)));
    let known = schema.get("properties").and_then(Value::as_object);
    own + known.map_or(0, |known| known.values().map(reached).sum())
}

/// Checks settings with the schema of their plugin and makes texts of them.
///
/// A field that the schema marks with `x-secret` is left out, and must not be set: its place is among the secrets.
pub fn resolve(settings: &Value, schema: Option<&Value>) -> Result<BTreeMap<String, String>, String> {
    let empty = Value::Object(serde_json::Map::new());
    let mut checked = if settings.is_null() { empty } else { settings.clone() };
    if let Some(schema) = schema {
        if let Some(pointer) = secret_set(&checked, schema, String::new()) {
            return Err(format!("{pointer} is a secret: it is set with `berth secret`, not in the settings"));
        }
        fill(&mut checked, schema);
        let relaxed = without_secrets(schema);
        let validator = jsonschema::validator_for(&relaxed).map_err(|error| error.to_string())?;
        if let Some(error) = validator.iter_errors(&checked).next() {
            let pointer = error.instance_path().to_string();
            let place = if pointer.is_empty() { "the settings" } else { pointer.as_str() };
            // The message may repeat the value, which is the operator's and no secret.
            return Err(format!("{place}: {error}"));
        }
    }
    let mut texts = BTreeMap::new();
    flatten(&checked, String::new(), &mut texts);
    Ok(texts)
}

/// Where a field marked as secret is set.
fn secret_set(value: &Value, schema: &Value, pointer: String) -> Option<String> {
    if schema.get("x-secret") == Some(&Value::Bool(true)) {
        return Some(pointer);
    }
    let (fields, known) = (value.as_object()?, schema.get("properties")?.as_object()?);
    fields.iter().find_map(|(key, value)| {
        let shown = &key[..key.floor_char_boundary(SHOWN_BYTES)];
        secret_set(value, known.get(key)?, format!("{pointer}/{shown}"))
    })
}

/// Puts the defaults of the schema where nothing is set.
fn fill(value: &mut Value, schema: &Value) {
    let Some(known) = schema.get("properties").and_then(Value::as_object) else { return };
    let Some(fields) = value.as_object_mut() else { return };
    for (key, schema) in known.iter().filter(|(_, schema)| schema.get("x-secret").is_none()) {
        if let Some(value) = fields.get_mut(key) {
            fill(value, schema);
        } else if let Some(default) = schema.get("default") {
            fields.insert(key.clone(), default.clone());
        }
    }
}

/// The schema without the fields that are secrets, in `properties` and in `required`.
fn without_secrets(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Some(object) = schema.as_object_mut() else { return schema };
    let mut secrets = Vec::new();
    if let Some(known) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for (key, field) in known.iter_mut() {
            if field.get("x-secret") == Some(&Value::Bool(true)) {
                secrets.push(key.clone());
            } else {
                *field = without_secrets(field);
            }
        }
        known.retain(|key, _| !secrets.contains(key));
    }
    if let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|key| key.as_str().is_none_or(|key| !secrets.iter().any(|secret| secret == key)));
    }
    schema
}

/// Tables become keys with dots; lists are JSON.
fn flatten(value: &Value, key: String, texts: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(value, key, texts);
            }
        }
        Value::Null => {}
        Value::String(text) => {
            texts.insert(key, text.clone());
        }
        other => {
            texts.insert(key, other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema_of_a_bot() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["host", "token"],
            "properties": {
                "host": { "type": "string" },
                "retries": { "type": "integer", "default": 3, "maximum": 9 },
                "token": { "type": "string", "x-secret": true },
                "proxy": { "type": "object", "properties": {
                    "port": { "type": "integer" },
                    "password": { "type": "string", "x-secret": true }
                } }
            }
        })
    }

    #[test]
    fn settings_become_texts_with_defaults_and_dotted_keys() {
        let settings = json!({ "host": "a.example", "proxy": { "port": 8080 } });

        let texts = resolve(&settings, Some(&schema_of_a_bot())).unwrap();

        let pairs: Vec<_> = texts.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("host", "a.example"), ("proxy.port", "8080"), ("retries", "3")]);
        let free = resolve(&json!({ "list": [1, "b"], "on": true, "none": null }), None).unwrap();
        let pairs: Vec<_> = free.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("list", "[1,\"b\"]"), ("on", "true")]);
        assert!(resolve(&Value::Null, None).unwrap().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_place() {
        for (settings, said) in [
            (json!({}), "host"),
            (json!({ "host": "a", "retries": 10 }), "/retries"),
            (json!({ "host": "a", "hots": 1 }), "hots"),
            (json!({ "host": "a", "token": "t" }), "/token is a secret"),
            (json!({ "host": "a", "proxy": { "password": "p" } }), "/proxy/password is a secret"),
        ] {
            let message = resolve(&settings, Some(&schema_of_a_bot())).unwrap_err();

            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn a_schema_that_checks_nothing_is_refused() {
        assert!(schema("{").is_err());
        assert!(schema("[]").is_err());
        assert!(schema(r#"{"type": "strnig"}"#).is_err());
        assert!(schema(r#"{"$defs": {"a": {"x-secret": true}}}"#).is_err());
        assert!(schema(r#"{"properties": {"a": {"x-secret": "yes"}}}"#).is_err());
        assert!(schema(r#"{"type": "object"}"#).is_ok());
        assert!(schema(&schema_of_a_bot().to_string()).is_ok());
    }
}
