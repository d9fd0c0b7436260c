//! Tools whose list is only known at run time.

use serde_json::{Map, Value};

use crate::__private::tools::{Output, Request};
use crate::{Argument, Error, Mismatch};

/// A catalogue of tools that take and give JSON.
pub trait Tool {
    /// The tools, asked for once after the install and again when the plugin changes.
    fn describe() -> Vec<ToolSpec>;

    /// Runs the tool `name`. `input` is an object that the host has checked against the schema.
    fn call(name: &str, input: Value) -> Result<Value, ToolError>;
}

/// One tool, as a model sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    fields: Map<String, Value>,
}

impl ToolSpec {
    /// `input_schema` is the text of a JSON Schema of an object; one that is no JSON counts as "any object".
    pub fn new(name: &str, description: &str, input_schema: &str) -> Self {
        let schema =
            serde_json::from_str(input_schema).unwrap_or_else(|_| serde_json::json!({ "type": "object" }));
        let mut fields = Map::new();
        fields.insert("name".into(), name.into());
        fields.insert("description".into(), description.into());
        fields.insert("input_schema".into(), schema);
        Self { fields }
    }

    /// What people see instead of the name.
    #[must_use]
    pub fn title(self, title: &str) -> Self {
        self.with("title", title.into())
    }

    /// One of `read`, `write`, `external`, `command`, `destructive`.
    #[must_use]
    pub fn risk(self, risk: &str) -> Self {
        self.with("risk", risk.into())
    }

    /// A JSON Schema of the result.
    #[must_use]
    pub fn output_schema(self, schema: Value) -> Self {
        self.with("output_schema", schema)
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.fields.insert(key.into(), value);
        self
    }
}

/// Why a tool gave no result.
#[derive(Clone, Debug)]
pub enum ToolError {
    /// The arguments make no sense; says which and why. `INVALID_ARGUMENTS` for the host.
    InvalidInput(String),
    /// The tool ran and failed; the model sees the value, marked as a failure.
    Failed(Value),
    /// Something the tool needs failed: an import of the host, for example.
    Error(Error),
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Mismatch> for ToolError {
    fn from(mismatch: Mismatch) -> Self {
        Self::InvalidInput(mismatch.to_string())
    }
}

/// A tool of [`export_tools!`](crate::export_tools): `lines` are those of its doc comment.
#[doc(hidden)]
pub fn spec<A: Argument>(name: &str, lines: &[&str], risk: &str) -> ToolSpec {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    ToolSpec::new(name, &lines.join("\n"), &A::schema().to_string()).risk(risk)
}

#[doc(hidden)]
pub fn taken<A: Argument>(input: &Value) -> Result<A, ToolError> {
    Ok(A::take(input)?)
}

#[doc(hidden)]
pub fn describe<T: Tool>() -> Vec<u8> {
    let specs = T::describe().into_iter().map(|spec| Value::Object(spec.fields)).collect();
    Value::Array(specs).to_string().into_bytes()
}

#[doc(hidden)]
pub fn invoke<T: Tool>(request: Request) -> Result<Output, Error> {
    let input = serde_json::from_str(&request.arguments)
        .map_err(|error| invalid(format!("the arguments are no JSON: {error}")))?;
    match T::call(&request.name, input) {
        Ok(value) => Ok(output(&value, false)),
        Err(ToolError::Failed(value)) => Ok(output(&value, true)),
        Err(ToolError::InvalidInput(message)) => Err(invalid(message)),
        Err(ToolError::Error(error)) => Err(error),
    }
}

fn invalid(message: String) -> Error {
    Error::new("INVALID_ARGUMENTS", message)
}

fn output(content: &Value, is_error: bool) -> Output {
    Output { content: content.to_string(), is_error, meta: Vec::new() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    struct Counter;

    impl Tool for Counter {
        fn describe() -> Vec<ToolSpec> {
            vec![ToolSpec::new("count", "Counts", r#"{"type":"object","required":["to"]}"#).risk("read")]
        }

        fn call(name: &str, input: Value) -> Result<Value, ToolError> {
            match (name, input["to"].as_u64()) {
                ("count", Some(13)) => Err(ToolError::Failed(json!("unlucky"))),
                ("count", Some(to)) => Ok(json!({ "counted": to })),
                ("count", None) => Err(ToolError::InvalidInput("`to` is missing".into())),
                (other, _) => Err(ToolError::InvalidInput(format!("no tool `{other}`"))),
            }
        }
    }

    fn call(arguments: &str) -> Result<Output, Error> {
        invoke::<Counter>(Request { name: "count".into(), arguments: arguments.into(), meta: Vec::new() })
    }

    #[test]
    fn a_description_is_a_list_of_json_objects() {
        let described: Value = serde_json::from_slice(&describe::<Counter>()).unwrap();

        let expected = json!([{ "name": "count", "description": "Counts", "risk": "read",
            "input_schema": { "type": "object", "required": ["to"] } }]);
        assert_eq!(described, expected);
    }

    #[test]
    fn a_failure_of_the_tool_is_an_output_and_a_wrong_argument_an_error() {
        let fine = call(r#"{"to":3}"#).unwrap();
        assert_eq!((fine.content.as_str(), fine.is_error), (r#"{"counted":3}"#, false));

        let failed = call(r#"{"to":13}"#).unwrap();
        assert_eq!((failed.content.as_str(), failed.is_error), (r#""unlucky""#, true));

        assert_eq!(call("{}").unwrap_err().code, "INVALID_ARGUMENTS");
        assert_eq!(call("{").unwrap_err().code, "INVALID_ARGUMENTS");
    }
}
