//! Every answer of every story is held against `/openapi.json`.

use serde_json::{Value, json};

use crate::support::Answer;

/// The description that a router gives of itself.
pub struct Contract(Value);

impl Contract {
    pub fn new(document: Value) -> Self {
        Self(document)
    }

    /// The answer must be one that its operation describes; one of no operation must be a failure.
    #[track_caller]
    pub fn check(&self, answer: &Answer) {
        let kind = answer.headers.get("content-type").map(|kind| kind.to_str().unwrap());
        if kind != Some("application/json") {
            return;
        }
        let method = answer.method.as_str().to_ascii_lowercase();
        let responses = self.item(&answer.path).map(|item| &item[&method]["responses"]);
        let described = responses.map(|responses| &responses[answer.status.to_string()]);
        let schema = match described {
            Some(described) if !described.is_null() => &described["content"]["application/json"]["schema"],
            _ => {
                assert!(answer.status >= 400, "{answer:?} is not described");
                &json!({ "$ref": "#/components/schemas/ErrorEnvelope" })
            }
        };
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let body = answer.json();
        let wrong: Vec<_> =
            validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{answer:?} is not as it is described: {wrong:?}");
    }

    /// What the description says of a path: a literal one wins, as in the router.
    fn item(&self, path: &str) -> Option<&Value> {
        let paths = self.0["paths"].as_object().unwrap();
        let fits = |template: &str| {
            let (wanted, given) = (template.split('/'), path.split('/'));
            wanted.clone().count() == given.clone().count()
                && wanted.zip(given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item))
    }
}
