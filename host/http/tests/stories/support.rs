//! A whole facade over a real database, with the scripted model, and a client to talk to it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, header};
use berth_core::endpoints::{Offer, Registration};
use berth_core::port::endpoint_link::{EndpointCall, EndpointLink, OutboundDelivery};
use berth_core::port::store::Store;
use berth_core::{Core, CoreConfig, Ports};
use berth_http::{AccessToken, HttpConfig, HttpState};
use berth_llm::Scripted;
use berth_model::endpoint::Capability;
use berth_model::event::{EventType, NewEvent};
use berth_model::tool::{Blame, ToolFailure};
use berth_model::{EndpointId, EventId, JsonMap, WorkspaceId};
use berth_store::{DatabaseUrl, SqlStore};
use berth_testkit::{CountedIds, SteppedClock};
pub use berth_testkit::{on_each_database, tidy};
use eventsource_stream::Eventsource;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use crate::contract::Contract;
use crate::safe::Safe;
use crate::shelf::Shelf;

pub const TOKEN: &str = "correct-horse";

pub struct Berth {
    pub core: Core,
    pub store: Arc<SqlStore>,
    pub shelf: Arc<Shelf>,
    pub safe: Arc<Safe>,
    pub links: Arc<Links>,
    pub app: Router,
    contract: Contract,
}

impl Berth {
    pub async fn start() -> Self {
        Self::start_with(|_, _| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut HttpConfig, &mut CoreConfig)) -> Self {
        Self::over(SqlStore::open_in_memory().await.unwrap(), change).await
    }

    pub async fn on(url: &DatabaseUrl) -> Self {
        Self::over(SqlStore::open(url).await.unwrap(), |_, _| {}).await
    }

    async fn over(store: SqlStore, change: impl FnOnce(&mut HttpConfig, &mut CoreConfig)) -> Self {
        let mut http = HttpConfig::new(AccessToken::new(TOKEN).unwrap());
        let mut config = CoreConfig::default();
        change(&mut http, &mut config);
        let (store, clock, ids) =
            (Arc::new(store), Arc::<SteppedClock>::default(), Arc::<CountedIds>::default());
        let (shelf, links) = (Arc::new(Shelf::new(clock.clone())), Arc::<Links>::default());
        let safe = Arc::new(Safe::new(clock.clone()));
        let ports = Ports {
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            model: Arc::new(Scripted),
            plugins: shelf.clone(),
            endpoints: links.clone(),
        };
        let core = Core::start(ports, config).await.unwrap();
        let app = {
            let state = HttpState::new(core.clone(), shelf.clone(), safe.clone(), ids, http);
            berth_http::router(state, Router::new())
        };
        let mut berth = Self { core, store, shelf, safe, links, app, contract: Contract::new(Value::Null) };
        let ask = request(Method::GET, "/openapi.json").body(Body::empty()).unwrap();
        berth.contract = Contract::new(berth.send_unchecked(ask).await.ok());
        berth
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::PATCH, path, body).await
    }

    async fn send_json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = request(method, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Sends `request`; the answer must be as `/openapi.json` says.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.send_unchecked(request).await;
        self.contract.check(&answer);
        answer
    }

    async fn send_unchecked(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            method,
            path,
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    /// The id of a new thread.
    pub async fn thread(&self) -> String {
        self.post("/runtime/threads", json!({})).await.ok()["thread_id"].as_str().unwrap().to_owned()
    }

    /// The id of a new session of a desktop on a thread.
    pub async fn session(&self, thread: &str) -> String {
        let body = json!({ "thread_id": thread, "endpoint_id": "desktop.ui" });
        self.post("/runtime/sessions", body).await.ok()["session_id"].as_str().unwrap().to_owned()
    }

    /// A message of the owner, as it was stored.
    pub async fn say(&self, thread: &str, content: &str) -> Value {
        let body = json!({ "thread_id": thread, "endpoint_id": "desktop.ui", "content": content });
        self.post("/runtime/messages", body).await.ok()
    }

    /// Says something and waits for the end of its run: the events that were stored, and told live.
    pub async fn turn(&self, thread: &str, content: &str) -> Vec<Told> {
        let mut events = self.events(thread, None).await;
        let run = self.say(thread, content).await["run_id"].clone();
        let mut told = Vec::new();
        loop {
            let event = events.next().await;
            if event.data["run_id"] == run {
                told.push(event);
                if told.last().is_some_and(Told::ends_a_run) {
                    return told;
                }
            }
        }
    }

    /// Listens to a thread, behind `after` when it is given.
    pub async fn events(&self, thread: &str, after: Option<i64>) -> Events {
        let after = after.map(|cursor| format!("?after_cursor={cursor}")).unwrap_or_default();
        let path = format!("/runtime/threads/{thread}/events{after}");
        self.listen(request(Method::GET, &path).body(Body::empty()).unwrap()).await
    }

    pub async fn listen(&self, request: Request<Body>) -> Events {
        let response = self.app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        Events::read(response.into_body().into_data_stream())
    }

    /// Stores `count` events of a run behind everybody's back, each with a text; the next commit of Core rings for them
    /// too.
    pub async fn flood(&self, run: &str, count: usize, text: &str) {
        let run = self.core.run(run.parse().unwrap()).await.unwrap();
        let event = |at: usize| NewEvent {
            id: EventId::from_uuid(Uuid::from_u64_pair(9, at as u64)),
            run: run.id,
            thread: run.thread,
            session: None,
            workspace: run.workspace.clone(),
            kind: EventType::ModelStarted,
            payload: JsonMap::from_iter([("text".to_owned(), json!(text))]),
            created_at: self.core.now(),
        };
        let events: Vec<_> = (0..count).map(event).collect();
        for batch in events.chunks(500) {
            let mut tx = self.store.write().await.unwrap();
            tx.append_events(batch).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    /// An endpoint of a provider; connected or not.
    pub async fn endpoint(&self, id: &str, workspace: &'static str, connected: bool) {
        let offer = Offer {
            id: EndpointId::new(id).unwrap(),
            kind: "desktop_executor".to_owned(),
            provider_type: "desktop".to_owned(),
            transport: "websocket".to_owned(),
            display_name: "Desk".to_owned(),
            roles: Vec::new(),
            workspaces: vec![WorkspaceId::fixed(workspace)],
            supports_markdown: true,
            metadata: JsonMap::new(),
        };
        let registration = Registration { connection: None, remote: String::new(), offers: vec![offer] };
        self.core.register_endpoints(registration).await.unwrap();
        if connected {
            self.links.0.lock().unwrap().insert(EndpointId::new(id).unwrap());
        }
    }

    /// The snapshot of what an endpoint can do.
    pub async fn offers(&self, endpoint: &str, tools: &[&str]) {
        let endpoint = EndpointId::new(endpoint).unwrap();
        let capability = |key: &&str| Capability {
            endpoint: endpoint.clone(),
            tool_key: key.parse().unwrap(),
            capability_id: format!("endpoint.{endpoint}.{key}"),
            title: "Tool".to_owned(),
            description: String::new(),
            input_schema: json!({ "type": "object" }),
            output_schema: Value::Null,
            risk_word: "read".to_owned(),
            requires_confirmation: false,
            enabled: true,
            constraints: JsonMap::new(),
            metadata: JsonMap::new(),
        };
        let offered: Vec<_> = tools.iter().map(capability).collect();
        self.core.replace_capabilities(&endpoint, &offered).await.unwrap();
    }
}

/// A request that carries the right token.
pub fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub method: Method,
    pub path: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{} {}: {error}: {}", self.method, self.path, self.text))
    }

    /// The body of an answer that must be 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{} {}: {}", self.method, self.path, self.text);
        self.json()
    }

    /// The error of an answer that must be this refusal; its envelope is whole.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{} {}: {}", self.method, self.path, self.text);
        let body = self.json();
        assert_eq!((&body["schema"], &body["kind"]), (&json!("meetyou.http.v1"), &json!("error")), "{body}");
        let error = body["error"].clone();
        assert_eq!(error["code"], code, "{} {}: {error}", self.method, self.path);
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
        assert!(error["retryable"].is_boolean() && error["details"].is_object(), "{error}");
        assert!(
            ["runtime", "validation", "dependency"].contains(&error["category"].as_str().unwrap()),
            "{error}"
        );
        assert!(error["occurred_at"].as_str().unwrap().starts_with("2026-"), "{error}");
        error
    }
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub id: String,
    pub kind: String,
    pub data: Value,
}

impl Told {
    pub fn ends_a_run(&self) -> bool {
        ["run.completed", "run.failed", "run.cancelled"].contains(&self.kind.as_str())
    }

    pub fn cursor(&self) -> Option<i64> {
        self.data["cursor"].as_i64()
    }
}

/// A stream of events that is being read.
pub struct Events(BoxStream<'static, Told>);

impl Events {
    pub fn read(bytes: impl Stream<Item = Result<axum::body::Bytes, axum::Error>> + Send + 'static) -> Self {
        let events = bytes.eventsource().filter_map(async |event| {
            let event = event.ok()?;
            let data = serde_json::from_str(&event.data).ok()?;
            Some(Told { id: event.id, kind: event.event, data })
        });
        Self(events.boxed())
    }

    /// The next event; the stream must not end before.
    pub async fn next(&mut self) -> Told {
        self.0.next().await.expect("the stream ended")
    }

    pub async fn maybe_next(&mut self) -> Option<Told> {
        self.0.next().await
    }

    /// The events up to the first one of this kind.
    pub async fn until(&mut self, kind: &str) -> Vec<Told> {
        let mut told = Vec::new();
        loop {
            told.push(self.next().await);
            if told.last().is_some_and(|last| last.kind == kind) {
                return told;
            }
        }
    }
}

/// Endpoints that are connected, and answer no call.
#[derive(Default)]
pub struct Links(Mutex<HashSet<EndpointId>>);

#[async_trait]
impl EndpointLink for Links {
    fn connected(&self) -> HashSet<EndpointId> {
        self.0.lock().unwrap().clone()
    }

    fn is_connected(&self, id: &EndpointId) -> bool {
        self.0.lock().unwrap().contains(id)
    }

    async fn call(&self, call: EndpointCall) -> Result<Value, ToolFailure> {
        let message = format!("{} did not answer", call.endpoint);
        Err(ToolFailure::new("endpoint_tool_timeout", message, Blame::Provider).retryable())
    }

    async fn deliver(&self, _: OutboundDelivery) -> bool {
        false
    }
}
