//! The tools that touch nothing. Source: MeetYou V4, edge provider.

use berth_provider::{Answer, CallContext, CallError, Capability};
use serde::Deserialize;
use serde_json::{Value, json};

pub fn echo_capability() -> Capability {
    Capability::new("utility.echo", "Echo", "Answers with the text it was given")
        .takes(json!({
            "type": "object",
            "properties": { "text": { "type": "string" }, "message": { "type": "string" } },
        }))
        .answers(json!({ "type": "object", "required": ["summary", "echo", "arguments"] }))
        .tags(&["edge", "utility"])
        .parallel()
}

/// Echoes `text`, else `message`.
pub async fn echo(call: CallContext) -> Answer {
    #[derive(Deserialize)]
    struct Arguments {
        text: Option<String>,
        message: Option<String>,
    }
    let Arguments { text, message } = call.parse()?;
    let echo = text.or(message).unwrap_or_default();
    Ok(json!({ "summary": echo, "echo": echo, "arguments": Value::Object(call.arguments) }))
}

pub fn add_capability() -> Capability {
    two_numbers("math.add", "Add", "Adds two numbers")
}

pub fn divide_capability() -> Capability {
    two_numbers("math.divide", "Divide", "Divides one number by another")
}

fn two_numbers(key: &str, title: &str, description: &str) -> Capability {
    Capability::new(key, title, description)
        .takes(json!({
            "type": "object",
            "properties": { "left": { "type": "number" }, "right": { "type": "number" } },
            "required": ["left", "right"],
        }))
        .answers(json!({ "type": "object", "required": ["summary", "left", "right", "result", "operation"] }))
        .tags(&["edge", "math"])
        .parallel()
}

pub async fn add(call: CallContext) -> Answer {
    calculate(&call, "add", "+", |left, right| left + right)
}

pub async fn divide(call: CallContext) -> Answer {
    calculate(&call, "divide", "/", |left, right| left / right)
}

fn calculate(call: &CallContext, operation: &str, sign: &str, of: impl Fn(f64, f64) -> f64) -> Answer {
    #[derive(Deserialize)]
    struct Arguments {
        left: f64,
        right: f64,
    }
    let failed = |message: String| CallError::new("edge_call_failed", message);
    let Arguments { left, right } = call.parse().map_err(|error| failed(error.message))?;
    let result = of(left, right);
    if !result.is_finite() {
        return Err(failed(format!("{left} {sign} {right} is no number")));
    }
    let summary = format!("{left} {sign} {right} = {result}");
    Ok(json!({ "summary": summary, "left": left, "right": right, "result": result, "operation": operation }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: Value) -> CallContext {
        CallContext::local("t", arguments.as_object().unwrap().clone())
    }

    #[tokio::test]
    async fn an_echo_prefers_the_text_and_repeats_the_arguments() {
        let answer = echo(call(json!({ "message": "b", "text": "a", "n": 1 }))).await.unwrap();

        assert_eq!(answer["echo"], "a");
        assert_eq!(answer["arguments"], json!({ "message": "b", "text": "a", "n": 1 }));
        assert_eq!(echo(call(json!({ "message": "b" }))).await.unwrap()["echo"], "b");
    }

    #[tokio::test]
    async fn sums_and_quotients_tell_what_they_did() {
        let sum = add(call(json!({ "left": 2, "right": 3 }))).await.unwrap();
        let quotient = divide(call(json!({ "left": 1, "right": 4 }))).await.unwrap();

        assert_eq!(sum["summary"], "2 + 3 = 5");
        assert_eq!((&quotient["result"], &quotient["operation"]), (&json!(0.25), &json!("divide")));
    }

    #[tokio::test]
    async fn what_cannot_be_calculated_has_one_code() {
        for (arguments, says) in [
            (json!({ "left": 1, "right": 0 }), "1 / 0 is no number"),
            (json!({ "left": "x", "right": 1 }), "`left`"),
            (json!({ "left": 1 }), "`right`"),
        ] {
            let error = divide(call(arguments)).await.unwrap_err();
            assert_eq!(error.code, "edge_call_failed");
            assert!(error.message.contains(says), "{}", error.message);
        }
    }
}
