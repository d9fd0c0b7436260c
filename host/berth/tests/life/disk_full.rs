//! A database that cannot grow.

use serde_json::{Value, json};

use super::api::{Api, run_of};
use crate::support::{Host, Options};

#[tokio::test]
async fn a_full_database_refuses_clearly_and_loses_nothing_that_it_took() {
    let config = "[database]\nmax_bytes = 2000000\n".to_owned();
    let mut host = Host::start(Options { config, ..Options::default() });
    let api = Api::of(&host);
    let thread = api.new_thread().await;
    let text = format!("/say ok {}", "x".repeat(60_000));
    let mut accepted = Vec::new();
    let refused = loop {
        let body = json!({
            "thread_id": thread, "content": text, "endpoint_message_id": accepted.len().to_string(),
        });
        match api.try_post("/runtime/messages", &body).await.unwrap() {
            (200, message) => accepted.push(run_of(&message)),
            refused => break refused,
        }
    };

    let (status, body) = refused;
    assert_eq!((status, &body["error"]["code"]), (507, &json!("disk_full")), "{body}");
    assert_eq!(body["error"]["retryable"], true);
    assert!(!accepted.is_empty());
    // It goes on telling what it knows.
    assert_eq!(users(&api.get(&format!("/runtime/threads/{thread}/messages")).await), accepted);
    assert_eq!(host.request("GET", "/health", None).0, 200);

    host.stop();
    std::fs::write(host.data().join("berth.toml"), "").unwrap();
    host.restart();

    let api = Api::of(&host);
    api.history(&thread, &accepted).await;
    let messages = api.get(&format!("/runtime/threads/{thread}/messages")).await;
    assert_eq!(users(&messages), accepted);
    for run in &accepted {
        let replies = messages.as_array().unwrap().iter();
        let replies =
            replies.filter(|message| message["role"] == "assistant" && message["run_id"] == run.as_str());
        assert_eq!(replies.count(), 1, "{run}");
    }
    let again = api.message(&thread, &accepted.len().to_string(), &text).await;
    assert_eq!(again["idempotent_replay"], false, "what was refused had left no trace");
}

/// The runs of the user's messages.
fn users(messages: &Value) -> Vec<String> {
    messages.as_array().unwrap().iter().filter(|message| message["role"] == "user").map(run_of).collect()
}
