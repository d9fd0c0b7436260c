//! The smallest manifest for what a plugin was seen to use.

use serde_json::{Map, Value};

use super::Capability;
use super::diff::scope;

/// A wish that covers uses that were seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggested {
    pub capability: Capability,
    /// A JSON object.
    pub scope: Value,
}

/// Wishes that cover each of `used`, and as little beyond as they can.
///
/// Two scopes become one where they differ in a single list, so that the one allows no more than both did.
pub fn smallest(used: impl IntoIterator<Item = (Capability, Value)>) -> Vec<Suggested> {
    let mut wishes: Vec<Suggested> = Vec::new();
    for (capability, scope) in used {
        let scope = as_wished(capability, scope);
        if !wishes.iter().any(|wish| covers(wish, capability, &scope)) {
            wishes.retain(|wish| {
                wish.capability != capability || !scope::covers(capability, &scope, &wish.scope)
            });
            wishes.push(Suggested { capability, scope });
        }
    }
    while let Some((kept, gone, scope)) = mergeable(&wishes) {
        wishes[kept].scope = scope;
        wishes.remove(gone);
    }
    wishes.sort_by_key(|wish| (wish.capability, wish.scope.to_string()));
    wishes
}

fn covers(wish: &Suggested, capability: Capability, scope: &Value) -> bool {
    wish.capability == capability && scope::covers(capability, &wish.scope, scope)
}

/// A use in the words of a manifest, which names no folder of the host.
fn as_wished(capability: Capability, mut scope: Value) -> Value {
    if let (Capability::Files, Some(object)) = (capability, scope.as_object_mut()) {
        object.shift_remove("host");
    }
    scope
}

fn mergeable(wishes: &[Suggested]) -> Option<(usize, usize, Value)> {
    for (kept, a) in wishes.iter().enumerate() {
        for (gone, b) in wishes.iter().enumerate().skip(kept + 1) {
            if a.capability == b.capability
                && let Some(scope) = merged(&a.scope, &b.scope)
            {
                return Some((kept, gone, scope));
            }
        }
    }
    None
}

/// One scope for both, when they differ in one list alone.
fn merged(a: &Value, b: &Value) -> Option<Value> {
    let (a, b) = (a.as_object()?, b.as_object()?);
    if a.len() != b.len() || !a.keys().all(|key| b.contains_key(key)) {
        return None;
    }
    let differing: Vec<&String> = a.keys().filter(|key| a[*key] != b[*key]).collect();
    let [key] = differing[..] else { return None };
    let (Value::Array(ours), Value::Array(theirs)) = (&a[key], &b[key]) else { return None };
    let mut all: Vec<Value> = ours.iter().chain(theirs).cloned().collect();
    all.sort_by_key(Value::to_string);
    all.dedup();
    let mut scope = a.clone();
    scope.insert(key.clone(), Value::Array(all));
    Some(Value::Object(scope))
}

/// The wishes as they stand in a `plugin.toml`.
pub fn toml(wishes: &[Suggested]) -> String {
    let mut text = String::new();
    for wish in wishes {
        text.push_str("[[capability]]\n");
        text.push_str(&format!("name = \"{}\"\n", wish.capability.as_str()));
        text.push_str("reason = \"\"\n");
        let empty = Map::new();
        let scope = wish.scope.as_object().unwrap_or(&empty);
        let pairs: Vec<String> =
            scope.iter().map(|(key, value)| format!("{} = {}", word(key), inline(value))).collect();
        text.push_str(&format!("scope = {{ {} }}\n\n", pairs.join(", ")));
    }
    text
}

fn word(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { key.to_owned() } else { toml::Value::String(key.to_owned()).to_string() }
}

fn inline(value: &Value) -> String {
    match value {
        Value::Null => "\"\"".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let pairs: Vec<String> =
                object.iter().map(|(key, value)| format!("{} = {}", word(key), inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::manifest::Manifest;

    fn scopes(wishes: &[Suggested]) -> Vec<Value> {
        wishes.iter().map(|wish| wish.scope.clone()).collect()
    }

    #[test]
    fn what_differs_in_one_list_becomes_one_wish_and_no_more_than_that() {
        let used = [
            json!({ "tools": ["gpio.read"], "endpoints": ["a"] }),
            json!({ "tools": ["gpio.write"], "endpoints": ["a"] }),
            json!({ "tools": ["lamp.on"], "endpoints": ["b"] }),
            json!({ "tools": ["gpio.read"], "endpoints": ["a"] }),
        ];

        let wishes = smallest(used.map(|scope| (Capability::Endpoint, scope)));

        assert_eq!(
            scopes(&wishes),
            [
                json!({ "tools": ["gpio.read", "gpio.write"], "endpoints": ["a"] }),
                json!({ "tools": ["lamp.on"], "endpoints": ["b"] }),
            ]
        );
    }

    #[test]
    fn a_folder_is_wished_for_under_its_name_in_the_guest_with_the_widest_access_used() {
        let used = ["ro", "rw", "ro"].map(|access| {
            (Capability::Files, json!({ "guest": "/notes", "host": "/srv/n", "access": access }))
        });

        assert_eq!(scopes(&smallest(used)), [json!({ "guest": "/notes", "access": "rw" })]);
    }

    #[test]
    fn the_suggestion_is_a_manifest_that_reads() {
        let wishes = smallest([
            (Capability::Endpoint, json!({ "tools": ["a\"b\n"], "endpoints": ["x"] })),
            (Capability::Files, json!({ "guest": "/notes", "access": "rw" })),
        ]);

        let text = format!("[plugin]\nid = \"notes\"\nversion = \"0.1.0\"\n{}", toml(&wishes));
        let manifest = Manifest::parse(&text).unwrap();

        assert_eq!(manifest.requests.len(), 2);
        for (request, wish) in manifest.requests.iter().zip(&wishes) {
            assert_eq!((request.capability, &*request.scope), (wish.capability, &wish.scope));
        }
    }

    proptest! {
        #[test]
        fn each_use_is_covered_by_one_wish(
            used in proptest::collection::vec((0_u8..3, proptest::collection::vec(0_u8..3, 0..3)), 0..8)
        ) {
            let used: Vec<Value> = used
                .into_iter()
                .map(|(endpoint, tools)| {
                    let tools: Vec<String> = tools.iter().map(|tool| format!("t{tool}")).collect();
                    json!({ "tools": tools, "endpoints": [format!("e{endpoint}")] })
                })
                .collect();
            let wishes = smallest(used.iter().map(|scope| (Capability::Endpoint, scope.clone())));
            for use_of in &used {
                prop_assert!(wishes.iter().any(|wish| covers(wish, Capability::Endpoint, use_of)));
            }
        }
    }
}
