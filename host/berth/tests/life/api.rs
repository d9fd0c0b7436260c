//! A client of the facade, as a program of somebody else would have it.

use std::pin::Pin;
use std::time::Duration;

use eventsource_stream::{Event, Eventsource};
use futures::{Stream, StreamExt};
use serde_json::{Value, json};

use crate::support::Host;

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Speaks to one host, with its token.
#[derive(Clone)]
pub struct Api {
    client: reqwest::Client,
    url: String,
    token: String,
}

/// A stored event, as it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub cursor: i64,
    pub run: String,
    pub seq: i64,
    pub kind: String,
    pub payload: Value,
}

impl Told {
    pub fn ends_run(&self) -> bool {
        matches!(self.kind.as_str(), "run.completed" | "run.failed" | "run.cancelled")
    }
}

impl Api {
    pub fn of(host: &Host) -> Self {
        let client = reqwest::Client::builder().connect_timeout(PATIENCE).build().unwrap();
        Self { client, url: host.url().to_owned(), token: host.token() }
    }

    /// `None` when the host did not answer.
    pub async fn try_post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.token).json(body);
        let response = request.timeout(PATIENCE).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> impl Future<Output = Value> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        async move {
            let response = request.timeout(PATIENCE).send().await.unwrap();
            assert_eq!(response.status(), 200);
            response.json().await.unwrap()
        }
    }

    pub async fn new_thread(&self) -> String {
        let (status, thread) = self.try_post("/runtime/threads", &json!({ "title": "t" })).await.unwrap();
        assert_eq!(status, 200, "{thread}");
        thread["thread_id"].as_str().unwrap().to_owned()
    }

    /// The stored message, unless the host died before it said so.
    pub async fn try_message(&self, thread: &str, key: &str, text: &str) -> Option<Value> {
        let body = json!({ "thread_id": thread, "content": text, "endpoint_message_id": key });
        let (status, message) = self.try_post("/runtime/messages", &body).await?;
        assert_eq!(status, 200, "{message}");
        Some(message)
    }

    pub async fn message(&self, thread: &str, key: &str, text: &str) -> Value {
        self.try_message(thread, key, text).await.expect("the host answers")
    }

    /// Everything that the thread tells behind `after`, stored and live.
    pub async fn listen(&self, thread: &str, after: i64) -> Listener {
        let request = self.client.get(format!("{}/runtime/threads/{thread}/events", self.url));
        let request = request.bearer_auth(&self.token).header("last-event-id", after.to_string());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let events = response.bytes_stream().eventsource().filter_map(|event| async { event.ok() });
        Listener { events: Box::pin(events) }
    }

    /// What the thread has told from its beginning until each of `runs` has ended.
    pub async fn history(&self, thread: &str, runs: &[String]) -> Vec<Told> {
        let mut listener = self.listen(thread, 0).await;
        let mut told = Vec::new();
        let mut open: Vec<_> = runs.to_vec();
        while !open.is_empty() {
            let event = listener.stored().await.expect("the stream goes on while runs are open");
            if event.ends_run() {
                open.retain(|run| *run != event.run);
            }
            told.push(event);
        }
        told
    }
}

/// An open event stream.
pub struct Listener {
    events: Pin<Box<dyn Stream<Item = Event>>>,
}

impl Listener {
    /// The next event, stored or not; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.events.next()).await.expect("the host says nothing any more")
    }

    /// The next stored event.
    pub async fn stored(&mut self) -> Option<Told> {
        loop {
            let event: Value = serde_json::from_str(&self.next().await?.data).unwrap();
            if event["durable"] == true {
                return Some(Told {
                    cursor: event["cursor"].as_i64().unwrap(),
                    run: event["run_id"].as_str().unwrap().to_owned(),
                    seq: event["seq"].as_i64().unwrap(),
                    kind: event["type"].as_str().unwrap().to_owned(),
                    payload: event["payload"].clone(),
                });
            }
        }
    }

    /// The stored events up to the end of `run`, inclusive.
    pub async fn until_end(&mut self, run: &str) -> Vec<Told> {
        let mut told = Vec::new();
        loop {
            let event = self.stored().await.expect("the run ends");
            let is_last = event.run == run && event.ends_run();
            told.push(event);
            if is_last {
                return told;
            }
        }
    }
}

/// The run that answers a message.
pub fn run_of(message: &Value) -> String {
    message["run_id"].as_str().unwrap().to_owned()
}
