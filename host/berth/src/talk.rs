//! Saying something in a thread and hearing the answer; `send` and `chat` share it.

use std::io::Read;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::client::{Client, segment};
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output::{items, text};

/// The endpoint as which the command line speaks.
const ENDPOINT: &str = "cli.local.ui";
/// The text that means "read it from standard input".
const FROM_INPUT: &str = "-";

/// Where to speak.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The thread; the command line's own one when absent.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    thread: Option<String>,
    /// The workspace.
    #[arg(long, value_name = "ID", default_value = "personal", value_parser = NonEmptyStringValueParser::new())]
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

/// Whether an event ends its run.
pub fn is_end(kind: &str) -> bool {
    matches!(kind, "run.completed" | "run.failed" | "run.cancelled")
}

/// What the user said: the text itself, or standard input for `-`.
pub fn said(text: &str) -> Result<String, Failure> {
    if text != FROM_INPUT {
        return Ok(text.to_owned());
    }
    let mut said = String::new();
    std::io::stdin()
        .read_to_string(&mut said)
        .map_err(|error| Failure::Usage(format!("standard input cannot be read as text: {error}")))?;
    Ok(said.trim_end_matches(['\n', '\r']).to_owned())
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
        let thread = text(&thread, "thread_id");
        Ok(Self { client, thread, workspace: place.workspace.clone() })
    }

    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// Says `said` and listens until its run has ended; `hear` gets every event of the run.
    ///
    /// A `key` that was used before in this thread is answered with what came of it then. The first interrupt stops the
    /// run, the second one leaves it to itself.
    pub async fn say(
        &self,
        said: &str,
        key: Option<&str>,
        interrupts: &mut Interrupts,
        mut hear: impl FnMut(&Value),
    ) -> Result<Answer, Failure> {
        // Listening begins before speaking: no event of the run can be missed.
        let mut events =
            self.client.events(&format!("/runtime/threads/{}/events", segment(&self.thread))).await?;
        let message = self.post(said, key).await?;
        let run = text(&message, "run_id");
        let mut answer =
            Answer { run: run.clone(), message: Value::Null, end: String::new(), payload: Value::Null };
        if message["idempotent_replay"] == json!(true) {
            // It may have ended long ago; what is told from here on comes behind this.
            for event in stored_events(&self.client, &run).await? {
                hear(&event);
                if answer.take(&event) {
                    return Ok(answer);
                }
            }
        }
        let mut stopping = false;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = interrupts.next() => {
                    if stopping {
                        return Err(Failure::failed("left", format!("{run} goes on: see `berth runs show {run}`")));
                    }
                    stopping = true;
                    self.stop(&run).await?;
                    continue;
                }
            };
            let Some(event) = event.transpose()? else {
                return Err(Failure::NotConnected(format!(
                    "the host stopped telling before {run} ended: see `berth runs show {run}` once it is back"
                )));
            };
            if event.data["run_id"].as_str() != Some(run.as_str()) {
                continue;
            }
            hear(&event.data);
            if answer.take(&event.data) {
                return Ok(answer);
            }
            // A run in the queue cannot be stopped, so the wish is repeated when it begins.
            if stopping && event.kind == "run.started" {
                self.stop(&run).await?;
            }
        }
    }

    async fn stop(&self, run: &str) -> Result<(), Failure> {
        self.client.post(&format!("/runtime/runs/{}/stop", segment(run)), &json!({})).await.map(drop)
    }

    /// Stores the message without waiting for what comes of it.
    pub async fn post(&self, said: &str, key: Option<&str>) -> Result<Value, Failure> {
        let random = || hex::encode(rand::random::<[u8; 16]>());
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
                    "content": said,
                    "endpoint_message_id": key.map_or_else(random, str::to_owned),
                    "metadata": { "source": "cli" },
                }),
            )
            .await
    }
}

/// Every stored event of a run, page by page.
pub async fn stored_events(client: &Client, run: &str) -> Result<Vec<Value>, Failure> {
    let mut events: Vec<Value> = Vec::new();
    loop {
        let after = events.last().map_or(0, |event| event["seq"].as_i64().unwrap_or(i64::MAX));
        let page = client.get(&format!("/runtime/runs/{}/events?after_seq={after}", segment(run))).await?;
        if items(&page).is_empty() {
            return Ok(events);
        }
        events.extend(items(&page).iter().cloned());
    }
}

impl Answer {
    /// Takes what an event says of the answer. True when it was the last one.
    fn take(&mut self, event: &Value) -> bool {
        let payload = &event["payload"];
        let kind = text(event, "type");
        if kind == "message.completed" {
            self.message = payload["message"].clone();
        }
        if is_end(&kind) {
            self.end = kind;
            self.payload = payload.clone();
        }
        !self.end.is_empty()
    }

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
            details: Value::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer { run: "run_1".to_owned(), message: Value::Null, end: String::new(), payload: Value::Null }
    }

    #[test]
    fn an_answer_is_complete_with_the_end_of_its_run() {
        let mut answer = answer();

        let message = json!({ "type": "message.completed", "payload": { "message": { "content": "yes" } } });
        assert!(!answer.take(&message));
        assert!(answer.take(&json!({ "type": "run.completed", "payload": {} })));

        assert_eq!(answer.text(), "yes");
        assert!(answer.failure().is_none());
    }

    #[test]
    fn a_run_that_failed_says_why() {
        let mut answer = answer();

        answer.take(&json!({ "type": "run.failed", "payload": { "code": "no_model", "message": "no key" } }));

        let failure = answer.failure().unwrap().json();
        assert_eq!(failure["error"]["code"], "no_model");
        assert_eq!(failure["error"]["message"], "run_1 failed: no key");
    }
}
