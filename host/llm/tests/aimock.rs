//! The OpenAI dialect against a real mock program, started by each test on a port of its own.
//!
//! `BERTH_AIMOCK` names the program's script; `cargo xtask test` installs it and sets the variable.

#![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use berth_core::port::model::{
    ChatMessage, FinishReason, Model, ModelError, ModelEvent, ModelOptions, ModelRequest, ToolDefinition,
};
use berth_llm::openai::{OpenAiConfig, RetryPolicy};
use berth_llm::{ApiKey, OpenAi};
use futures::StreamExt;
use serde_json::{Value, json};

const FIXTURES: &str = r#"{ "fixtures": [
    { "match": { "userMessage": "hello" }, "response": { "content": "Hello from the mock, in several pieces.", "reasoning": "The user greets me.", "usage": { "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18 } } },
    { "match": { "userMessage": "weather" }, "response": { "toolCalls": [ { "name": "get_weather", "arguments": { "city": "Bern" } } ] } }
] }"#;

struct Aimock {
    process: Child,
    url: String,
    _fixtures: tempfile::TempDir,
}

impl Aimock {
    fn start(extra: &[&str]) -> Self {
        let script = std::env::var("BERTH_AIMOCK")
            .expect("BERTH_AIMOCK names the script of the mock program: run the tests by `cargo xtask test`");
        let folder = tempfile::tempdir().unwrap();
        let fixtures = folder.path().join("fixtures.json");
        std::fs::write(&fixtures, FIXTURES).unwrap();
        // It takes a free port itself and says which: one that we had found could be gone when it starts.
        let mut process = Command::new("node")
            .arg(script)
            .args(["-p", "0", "-f"])
            .arg(&fixtures)
            .arg("--strict")
            .args(extra)
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is on the path");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("listening on ").map(|(_, url)| url.trim().to_owned()))
            .expect("the mock program listens, or said above why not");
        // The pipe must stay open and be read, else the program blocks on its own log.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url, _fixtures: folder }
    }

    fn model(&self) -> OpenAi {
        OpenAi::new(OpenAiConfig {
            base_url: format!("{}/v1", self.url),
            model: "o3-mini".to_owned(),
            key: ApiKey::new("canary-key-5a1f"),
            retry: RetryPolicy { retries: 2, base: Duration::from_millis(1), max: Duration::from_secs(5) },
        })
        .unwrap()
    }

    async fn journal(&self) -> Vec<Value> {
        let text =
            reqwest::get(format!("{}/__aimock/journal", self.url)).await.unwrap().text().await.unwrap();
        match serde_json::from_str(&text).unwrap() {
            Value::Array(entries) => entries,
            other => other["entries"].as_array().cloned().unwrap_or_default(),
        }
    }
}

impl Drop for Aimock {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn ask(text: &str) -> ModelRequest {
    ModelRequest {
        messages: vec![ChatMessage::System("Be brief.".to_owned()), ChatMessage::User(text.to_owned())],
        tools: vec![ToolDefinition {
            name: "get_weather".to_owned(),
            description: "The weather of a city".to_owned(),
            parameters: json!({ "type": "object", "properties": { "city": { "type": "string" } } }),
        }],
        options: ModelOptions::default(),
    }
}

async fn answer(model: &OpenAi, text: &str) -> Result<Vec<ModelEvent>, ModelError> {
    let events: Vec<_> = model.stream(ask(text)).await?.collect().await;
    events.into_iter().collect()
}

#[tokio::test]
async fn text_arrives_in_pieces_and_whole_with_the_reasoning_apart() {
    let mock = Aimock::start(&["--chunk-size", "8"]);

    let events = answer(&mock.model(), "hello").await.unwrap();

    let texts: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert!(texts.len() > 1, "{texts:?}");
    assert_eq!(texts.concat(), "Hello from the mock, in several pieces.");
    let reasoning: String = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::Reasoning(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(reasoning, "The user greets me.");
    assert_eq!(events.last(), Some(&ModelEvent::Finished(FinishReason::Stop)));
    assert!(events.iter().any(|event| matches!(event, ModelEvent::Usage(_))), "{events:?}");
}

#[tokio::test]
async fn a_tool_call_arrives_whole() {
    let mock = Aimock::start(&[]);

    let events = answer(&mock.model(), "weather").await.unwrap();

    let calls: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ModelEvent::ToolCall(call) => {
                Some((call.name.as_str(), call.arguments.as_str(), call.id.is_empty()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("get_weather", "{\"city\":\"Bern\"}", false)]);
    assert_eq!(events.last(), Some(&ModelEvent::Finished(FinishReason::ToolCalls)));
}

#[tokio::test]
async fn a_host_that_stays_too_busy_is_asked_again_as_often_as_the_policy_says() {
    let mock = Aimock::start(&["--chaos-ratelimit", "1"]);

    let error = answer(&mock.model(), "hello").await.unwrap_err();

    assert_eq!((error.code, error.retryable), ("provider_rate_limited", true));
    assert_eq!(mock.journal().await.len(), 3);
}

#[tokio::test]
async fn a_host_that_is_gone_says_which_host() {
    // Bound and kept, so that nobody else answers there; but it does not listen.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = silent.local_addr().unwrap().port();
    let model = OpenAi::new(OpenAiConfig {
        base_url: format!("http://127.0.0.1:{port}/v1"),
        model: "m".to_owned(),
        key: ApiKey::new("canary-key-5a1f"),
        retry: RetryPolicy { retries: 0, ..RetryPolicy::default() },
    })
    .unwrap();

    let error = answer(&model, "hello").await.unwrap_err();

    assert_eq!(error.code, "provider_upstream_unavailable");
    assert_eq!(error.message, "the model at 127.0.0.1 cannot be reached");
    assert!(!format!("{error:?} {model:?}").contains("canary-key"));
}
