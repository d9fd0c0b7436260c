//! Saying something in a thread and hearing the answer; `send` and `chat` share it.

use clap::Args;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::client::{Client, segment};
use crate::failure::Failure;

/// The endpoint as which the command line speaks.
const ENDPOINT: &str = "cli.local.ui";

/// Where to speak.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The thread; the command line's own one when absent.
    #[arg(long, value_name = "ID")]
    thread: Option<String>,
    /// The workspace.
    #[arg(long, value_name = "ID", default_value = "personal")]
    workspace: String,
}

/// A thread that is being spoken in.
pub struct Conversation {
    client: Client,
    thread: String,
    workspace: String,
}

/// What came of one message.
#[derive(Debug)]
pub struct Answer {
    pub run: String,
    /// The final message, as the host stored it.
    pub message: Value,
    /// `run.completed`, `run.failed` or `run.cancelled`.
    pub end: String,
    /// The payload of that event.
    pub payload: Value,
}

/// What is heard on the way.
pub enum Heard<'a> {
    Delta(&'a str),
    Tool { kind: &'a str, payload: &'a Value },
    Approval(&'a Value),
}

impl Conversation {
    pub async fn open(client: Client, place: &Place) -> Result<Self, Failure> {
        let thread = match &place.thread {
            Some(id) => client.get(&format!("/runtime/threads/{}", segment(id))).await?,
            None => {
                let body =
                    json!({ "workspace_id": place.workspace, "default_key": "cli", "title": "Command line" });
                client.post("/runtime/threads/default", &body).await?
            }
        };
        let thread = crate::output::text(&thread, "thread_id");
        Ok(Self { client, thread, workspace: place.workspace.clone() })
    }

    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// Says `text` and listens until its run has ended.
    pub async fn say(&self, text: &str, mut hear: impl FnMut(Heard<'_>)) -> Result<Answer, Failure> {
        // Listening begins before speaking: no event of the run can be missed.
        let mut events =
            self.client.events(&format!("/runtime/threads/{}/events", segment(&self.thread))).await?;
        let message = self.post(text).await?;
        let run = crate::output::text(&message, "run_id");
        let mut last = Value::Null;
        while let Some(event) = events.next().await {
            let event = event?;
            if event.data["run_id"].as_str() != Some(run.as_str()) {
                continue;
            }
            let payload = &event.data["payload"];
            match event.kind.as_str() {
                "message.delta" => hear(Heard::Delta(payload["delta"].as_str().unwrap_or_default())),
                "message.completed" => last = payload["message"].clone(),
                kind @ ("tool.call.created" | "tool.call.completed" | "tool.call.failed") => {
                    hear(Heard::Tool { kind, payload });
                }
                "approval.required" => hear(Heard::Approval(payload)),
                end @ ("run.completed" | "run.failed" | "run.cancelled") => {
                    return Ok(Answer { run, message: last, end: end.to_owned(), payload: payload.clone() });
                }
                _ => {}
            }
        }
        Err(Failure::NotConnected(format!(
            "the host stopped telling before {run} ended: see `berth runs show {run}` once it is back"
        )))
    }

    async fn post(&self, text: &str) -> Result<Value, Failure> {
        self.client
            .post(
                "/runtime/messages",
                &json!({
                    "thread_id": self.thread,
                    "workspace_id": self.workspace,
                    "endpoint_id": ENDPOINT,
                    "endpoint_type": "cli_ui",
                    "display_name": "Command line",
                    "role": "user",
                    "content": text,
                    "endpoint_message_id": hex::encode(rand::random::<[u8; 16]>()),
                    "metadata": { "source": "cli" },
                }),
            )
            .await
    }
}

impl Answer {
    /// The text of the final message.
    pub fn text(&self) -> &str {
        self.message["content"].as_str().unwrap_or_default()
    }

    /// The failure that this answer is, if it is one.
    pub fn failure(&self) -> Option<Failure> {
        (self.end != "run.completed").then(|| Failure::Failed {
            code: self.payload["code"].as_str().unwrap_or("run_not_completed").to_owned(),
            message: format!(
                "{} {}: {}",
                self.run,
                self.end.trim_start_matches("run."),
                self.payload["message"].as_str().unwrap_or("no reason given")
            ),
        })
    }
}
