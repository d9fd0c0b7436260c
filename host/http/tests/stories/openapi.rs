//! What `/openapi.json` says is what the router serves.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, header};
use serde_json::Value;

use crate::support::{Berth, request};

const METHODS: [&str; 5] = ["get", "post", "patch", "put", "delete"];

/// Every path that the router has, as its own description tells them.
fn paths_of(router: &axum::Router) -> BTreeSet<String> {
    let text = format!("{router:?}");
    let (_, rest) = text.split_once("paths: {").unwrap();
    let (paths, _) = rest.split_once('}').map(|_| rest.split_once("} }").unwrap()).unwrap();
    paths.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The methods that a path has, as a refusal of another one tells them.
async fn methods_of(berth: &Berth, path: &str) -> BTreeSet<String> {
    let path = path.replace(['{', '}'], "");
    let other = request(Method::from_bytes(b"BREW").unwrap(), &path).body(Body::empty()).unwrap();
    let answer = berth.send(other).await;
    assert_eq!(answer.status, 405, "{path}");
    let allow = answer.headers[header::ALLOW].to_str().unwrap().to_ascii_lowercase();
    allow.split(',').filter(|method| *method != "head").map(str::to_owned).collect()
}

async fn document(berth: &Berth) -> Value {
    berth.get("/openapi.json").await.ok()
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = METHODS.iter().filter_map(|method| Some((*method, item.get(*method)?)));
        methods.map(move |(method, operation)| (format!("{method} {path}"), path.as_str(), operation))
    })
}

/// Every value under a key, at any depth.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(items) => items.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let berth = Berth::start().await;
    let document = document(&berth).await;

    let served = paths_of(&berth.app);
    let described: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();

    assert_eq!(served, described);
    assert!(served.len() > 30 && served.contains("/runtime/threads/{thread_id}/events"), "{served:?}");
    for path in &served {
        let item = document["paths"][path].as_object().unwrap();
        let methods: BTreeSet<_> =
            item.keys().filter(|key| METHODS.contains(&key.as_str())).cloned().collect();
        assert_eq!(methods_of(&berth, path).await, methods, "{path}");
    }
}

#[tokio::test]
async fn every_operation_has_a_name_a_summary_its_answers_and_the_token() {
    let berth = Berth::start().await;
    let document = document(&berth).await;
    let mut names = BTreeSet::new();

    for (name, path, operation) in operations(&document) {
        let summary = operation["summary"].as_str().unwrap_or_default();
        assert!(summary.len() > 5, "{name} has no summary");
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{name} has the id of another");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.contains_key("200") && answers.contains_key("default"), "{name}: {answers:?}");
        for answer in answers.values() {
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{name}");
            assert!(answer["content"].as_object().is_some_and(|content| !content.is_empty()), "{name}");
        }
        let failure = &answers["default"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(failure, "#/components/schemas/ErrorEnvelope", "{name}");
        let schemes: Vec<_> = operation["security"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|one| one.as_object().unwrap().keys())
            .collect();
        let is_open = path == "/health" || path.starts_with("/channels/");
        assert_eq!(schemes, if is_open { vec![] } else { vec!["bearer", "api_key"] }, "{name}");
        let declared: BTreeSet<_> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let in_path: BTreeSet<_> = path.split(['{', '}']).skip(1).step_by(2).collect();
        assert_eq!(declared, in_path, "{name}");
    }
}

#[tokio::test]
async fn the_description_is_openapi_whose_references_lead_somewhere() {
    let berth = Berth::start().await;
    let document = document(&berth).await;

    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::validate(schema).is_ok(), "{name} is no JSON schema");
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    let mut references = Vec::new();
    all(&document, "$ref", &mut references);
    assert!(references.len() > 30);
    for reference in references {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
