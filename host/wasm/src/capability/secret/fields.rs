//! Fields of a plugin's settings that are secrets.

use serde_json::{Map, Value};

use super::check_scope;
use crate::capability::Capability;
use crate::capability::config::BadSchema;
use crate::capability::grants::Request;

/// What a field may say of its scope, and the key of the scope that it becomes.
const KEYS: [(&str, &str); 3] =
    [("x-audience", "audience"), ("x-place", "place"), ("x-operations", "operations")];

/// A wish for each field of a JSON Schema that is marked with `"x-secret": true`: for the secret of the field's name, or
/// of its path with dots, as the other settings have it.
pub fn requests(schema: &Value) -> Result<Vec<Request>, BadSchema> {
    let mut found = Vec::new();
    walk(schema, "", true, &mut found)?;
    Ok(found)
}

fn walk(schema: &Value, path: &str, required: bool, found: &mut Vec<Request>) -> Result<(), BadSchema> {
    if schema.get("x-secret") == Some(&Value::Bool(true)) {
        found.push(request(schema, path, required)?);
        return Ok(());
    }
    let Some(fields) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
    let wanted = schema.get("required").and_then(Value::as_array);
    for (key, field) in fields {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let is_wanted = wanted.is_some_and(|wanted| wanted.iter().any(|name| name == key));
        walk(field, &path, required && is_wanted, found)?;
    }
    Ok(())
}

fn request(field: &Value, path: &str, required: bool) -> Result<Request, BadSchema> {
    let mut scope = Map::from_iter([("id".to_owned(), Value::from(path))]);
    for (key, part) in KEYS {
        if let Some(value) = field.get(key) {
            scope.insert(part.to_owned(), value.clone());
        }
    }
    let scope = Value::Object(scope);
    check_scope(&scope).map_err(|message| BadSchema(format!("the secret field `{path}`: {message}")))?;
    let said = ["description", "title"].iter().find_map(|key| field.get(key).and_then(Value::as_str));
    let reason = said.unwrap_or_default().to_owned();
    Ok(Request { required, reason, ..Request::new(Capability::Secret, scope) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_field_becomes_a_wish_for_the_secret_of_its_name() {
        let schema = json!({
            "type": "object", "required": ["app_secret", "proxy"],
            "properties": {
                "city": { "type": "string" },
                "app_secret": {
                    "type": "string", "x-secret": true, "description": "signs in",
                    "x-audience": ["https://open.feishu.cn"], "x-place": ["json:/app_secret"],
                    "x-operations": ["exchange"],
                },
                "proxy": { "properties": { "password": { "x-secret": true, "title": "Password" } } },
            },
        });

        let requests = requests(&schema).unwrap();

        assert_eq!(requests.len(), 2);
        let named = |id: &str| requests.iter().find(|request| request.scope["id"] == id).unwrap();
        let app = named("app_secret");
        assert_eq!((app.required, app.reason.as_str()), (true, "signs in"));
        assert_eq!(
            app.scope,
            json!({
                "id": "app_secret", "audience": ["https://open.feishu.cn"], "place": ["json:/app_secret"],
                "operations": ["exchange"],
            })
        );
        let password = named("proxy.password");
        assert_eq!((password.required, password.reason.as_str()), (false, "Password"));
    }

    #[test]
    fn a_field_that_cannot_be_a_secret_is_named() {
        for (field, word) in [
            (json!({ "AppSecret": { "x-secret": true } }), "AppSecret"),
            (json!({ "a": { "x-secret": true, "x-audience": ["nowhere"], "x-place": ["path"] } }), "`a`"),
            (json!({ "a": { "x-secret": true, "x-operations": ["reveal"] } }), "reveal"),
        ] {
            let error = requests(&json!({ "properties": field })).unwrap_err();
            assert!(error.0.contains(word), "{error}");
        }
    }
}
