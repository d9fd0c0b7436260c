//! Whether one scope reaches as far as another.

use std::path::Path;

use serde_json::{Map, Value};

use crate::capability::Capability;

/// Whether everything that `inner` allows is allowed by `outer` too; in doubt it is not.
///
/// Each key of a scope bounds it: one that is left out bounds nothing, but for `access`, which is read-only then.
pub fn covers(capability: Capability, outer: &Value, inner: &Value) -> bool {
    let empty = Map::new();
    let Some(outer) = object(outer, &empty) else { return false };
    let Some(inner) = object(inner, &empty) else { return false };
    let writes = |scope: &Map<String, Value>| scope.get("access").and_then(Value::as_str) == Some("rw");
    let has_access = matches!(capability, Capability::Files | Capability::Keyvalue);
    if has_access && writes(inner) && !writes(outer) {
        return false;
    }
    outer.iter().filter(|(key, _)| !(has_access && *key == "access")).all(|(key, bound)| {
        let Some(asked) = inner.get(key) else { return false };
        match (bound, asked) {
            (Value::Array(bounds), Value::Array(asked)) => {
                asked.iter().all(|asked| bounds.iter().any(|bound| fits(capability, key, bound, asked)))
            }
            (Value::Array(bounds), asked) => bounds.iter().any(|bound| fits(capability, key, bound, asked)),
            (bound, Value::Array(asked)) => asked.iter().all(|asked| fits(capability, key, bound, asked)),
            (bound, asked) => fits(capability, key, bound, asked),
        }
    })
}

/// Whether the two are about the same thing: what one of them names in full the other names too.
pub fn is_same_thing(capability: Capability, a: &Value, b: &Value) -> bool {
    if covers(capability, a, b) || covers(capability, b, a) {
        return true;
    }
    let key = match capability {
        Capability::Files => "guest",
        Capability::Secret => "id",
        Capability::Process => "program",
        _ => return true,
    };
    a.get(key).is_some() && a.get(key) == b.get(key)
}

fn object<'a>(scope: &'a Value, empty: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    match scope {
        Value::Null => Some(empty),
        Value::Object(object) => Some(object),
        _ => None,
    }
}

/// Whether one value of `key` is within the bound of another.
fn fits(capability: Capability, key: &str, bound: &Value, asked: &Value) -> bool {
    if bound == asked {
        return true;
    }
    if let (Some(bound), Some(asked)) = (bound.as_u64(), asked.as_u64()) {
        return asked <= bound;
    }
    let (Some(bound), Some(asked)) = (bound.as_str(), asked.as_str()) else { return false };
    match (capability, key) {
        (Capability::Files, "guest") => Path::new(asked).starts_with(bound),
        (Capability::Http | Capability::Websocket, "hosts") => covers_host(bound, asked),
        (Capability::Http | Capability::Websocket, "paths") => covers_path(bound, asked),
        (Capability::Endpoint, "tools") => {
            bound.strip_suffix('*').is_some_and(|prefix| asked.starts_with(prefix))
        }
        _ => false,
    }
}

/// A prefix of whole segments: `/api/` covers `/api/v1`, and `/api` does not cover `/apis`.
fn covers_path(bound: &str, asked: &str) -> bool {
    asked
        .strip_prefix(bound)
        .is_some_and(|rest| bound.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

/// `https://*.example.org` covers every name below it, not the name itself.
fn covers_host(bound: &str, asked: &str) -> bool {
    let split = |text: &'_ str| -> (String, String) {
        let lower = text.to_ascii_lowercase();
        match lower.split_once("://") {
            Some((scheme, rest)) => (scheme.to_owned(), rest.to_owned()),
            None => ("https".to_owned(), lower),
        }
    };
    let ((bound_scheme, bound), (scheme, asked)) = (split(bound), split(asked));
    if bound_scheme != scheme {
        return false;
    }
    match bound.strip_prefix("*.") {
        Some(base) => asked.strip_prefix("*.").unwrap_or(&asked).strip_suffix(base).is_some_and(|rest| {
            (rest.ends_with('.') && rest.len() > 1) || (rest.is_empty() && asked.starts_with("*."))
        }),
        None => bound == asked,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_scope_covers_what_is_within_each_of_its_bounds() {
        use Capability::{Endpoint, Files, Http};
        for (capability, outer, inner, expected) in [
            (Endpoint, json!({}), json!({ "tools": ["gpio.read"] }), true),
            (Endpoint, json!({ "tools": ["gpio.read"] }), json!({}), false),
            (Endpoint, json!({ "tools": ["gpio.*"] }), json!({ "tools": ["gpio.read", "gpio.write"] }), true),
            (Endpoint, json!({ "tools": ["gpio.read"] }), json!({ "tools": ["gpio.*"] }), false),
            (Files, json!({ "guest": "/a" }), json!({ "guest": "/a/b", "access": "ro" }), true),
            (Files, json!({ "guest": "/a" }), json!({ "guest": "/ab" }), false),
            (Files, json!({ "guest": "/a" }), json!({ "guest": "/a", "access": "rw" }), false),
            (Files, json!({ "guest": "/a", "access": "rw" }), json!({ "guest": "/a" }), true),
            (Http, json!({ "hosts": ["https://*.b.c"] }), json!({ "hosts": ["https://a.b.c"] }), true),
            (Http, json!({ "hosts": ["https://*.b.c"] }), json!({ "hosts": ["https://b.c"] }), false),
            (Http, json!({ "hosts": ["https://*.b.c"] }), json!({ "hosts": ["https://ab.c"] }), false),
            (Http, json!({ "hosts": ["https://*.b.c"] }), json!({ "hosts": ["https://*.a.b.c"] }), true),
            (Http, json!({ "hosts": ["https://*.b.c"] }), json!({ "hosts": ["http://a.b.c"] }), false),
            (Http, json!({ "hosts": ["https://a.b.c"] }), json!({ "hosts": ["https://*.b.c"] }), false),
            (Http, json!({ "paths": ["/api"] }), json!({ "paths": ["/apis"] }), false),
            (Http, json!({ "paths": ["/api"] }), json!({ "paths": ["/api/v1"] }), true),
            (Http, json!({ "methods": ["GET"] }), json!({ "methods": ["GET", "POST"] }), false),
            (Http, json!({ "unknown": 1 }), json!({ "unknown": 2 }), false),
            (Http, json!([]), json!({}), false),
        ] {
            assert_eq!(covers(capability, &outer, &inner), expected, "{outer} covers {inner}");
        }
    }
}
