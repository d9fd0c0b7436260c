//! What is sent.

use std::collections::HashSet;

use berth_core::port::model::{ChatMessage, ModelRequest, ToolCallRequest};
use serde_json::{Map, Value, json};

/// Fields that some hosts do not know; a refusal of one of them is no reason to give up.
pub(super) const OPTIONAL_FIELDS: [&str; 3] = ["stream_options", "reasoning_effort", "thinking"];

/// The body of a streamed request.
pub(super) fn body(model: &str, request: &ModelRequest) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.options.model.as_deref().unwrap_or(model)));
    body.insert("messages".to_owned(), Value::Array(messages(&request.messages)));
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), request.tools.iter().map(tool).collect());
    }
    if request.options.thinking != Some(false)
        && let Some(effort) = &request.options.thinking_effort
    {
        body.insert("reasoning_effort".to_owned(), json!(effort));
    }
    Value::Object(body)
}

pub(super) fn without_optional_fields(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| !OPTIONAL_FIELDS.contains(&name.as_str()));
    }
    body
}

fn tool(tool: &berth_core::port::model::ToolDefinition) -> Value {
    json!({
        "type": "function",
        "function": { "name": tool.name, "description": tool.description, "parameters": tool.parameters },
    })
}

/// The messages a host accepts: a tool message without its call, and a call without its result, are left out.
fn messages(messages: &[ChatMessage]) -> Vec<Value> {
    let answered: HashSet<&str> = messages
        .iter()
        .filter_map(|message| match message {
            ChatMessage::Tool { call_id, .. } => Some(call_id.as_str()),
            _ => None,
        })
        .collect();
    let mut asked = HashSet::new();
    let mut sent = Vec::with_capacity(messages.len());
    for message in messages {
        match message {
            ChatMessage::System(text) => sent.push(json!({ "role": "system", "content": text })),
            ChatMessage::User(text) => sent.push(json!({ "role": "user", "content": text })),
            ChatMessage::Assistant { text, tool_calls, reasoning, .. } => {
                let calls: Vec<_> =
                    tool_calls.iter().filter(|call| answered.contains(call.id.as_str())).collect();
                asked.extend(calls.iter().map(|call| call.id.as_str()));
                sent.extend(assistant(text, &calls, reasoning));
            }
            ChatMessage::Tool { call_id, content, .. } if asked.contains(call_id.as_str()) => {
                sent.push(json!({ "role": "tool", "tool_call_id": call_id, "content": content }));
            }
            ChatMessage::Tool { .. } => {}
        }
    }
    sent
}

fn assistant(text: &str, calls: &[&ToolCallRequest], reasoning: &str) -> Option<Value> {
    if calls.is_empty() {
        return (!text.is_empty()).then(|| json!({ "role": "assistant", "content": text }));
    }
    let calls: Vec<_> = calls
        .iter()
        .map(|call| {
            json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": call.arguments },
            })
        })
        .collect();
    let content = if text.is_empty() { Value::Null } else { json!(text) };
    let mut message = json!({ "role": "assistant", "content": content, "tool_calls": calls });
    if !reasoning.is_empty() {
        // Hosts that reason between calls want their own words back.
        message["reasoning_content"] = json!(reasoning);
    }
    Some(message)
}

#[cfg(test)]
mod tests {
    use berth_core::port::model::ModelOptions;

    use super::*;

    fn call(id: &str) -> ToolCallRequest {
        ToolCallRequest { id: id.to_owned(), name: "t".to_owned(), arguments: "{}".to_owned() }
    }

    fn assistant_with(calls: Vec<ToolCallRequest>) -> ChatMessage {
        ChatMessage::Assistant {
            text: String::new(),
            tool_calls: calls,
            reasoning: String::new(),
            provider_items: Vec::new(),
        }
    }

    fn result(id: &str) -> ChatMessage {
        ChatMessage::Tool {
            call_id: id.to_owned(),
            name: "t".to_owned(),
            content: "1".to_owned(),
            is_error: false,
        }
    }

    #[test]
    fn dangling_calls_and_results_are_dropped_and_whole_exchanges_survive() {
        let sent = messages(&[
            result("lost"),
            ChatMessage::User("u".to_owned()),
            assistant_with(vec![call("a"), call("open")]),
            result("a"),
        ]);

        assert_eq!(
            Value::Array(sent),
            json!([
                { "role": "user", "content": "u" },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "a", "type": "function", "function": { "name": "t", "arguments": "{}" } } ] },
                { "role": "tool", "tool_call_id": "a", "content": "1" },
            ])
        );
    }

    #[test]
    fn thinking_switched_off_sends_no_reasoning_field() {
        let options = ModelOptions {
            thinking: Some(false),
            thinking_effort: Some("high".to_owned()),
            ..ModelOptions::default()
        };
        let body = body("m", &ModelRequest { messages: Vec::new(), tools: Vec::new(), options });

        assert!(body.get("reasoning_effort").is_none());
        assert_eq!(body["model"], "m");
    }

    #[test]
    fn without_optional_fields_the_question_is_the_same() {
        let request = ModelRequest {
            messages: vec![ChatMessage::User("u".to_owned())],
            tools: Vec::new(),
            options: ModelOptions::default(),
        };

        assert_eq!(
            without_optional_fields(body("m", &request)),
            json!({ "model": "m", "messages": [{ "role": "user", "content": "u" }], "stream": true })
        );
    }
}
