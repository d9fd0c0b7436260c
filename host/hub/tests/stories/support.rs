//! A whole hub on a loopback socket, and clients to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use berth_core::messages::NewMessage;
use berth_core::operations::{Ask, Finished};
use berth_core::port::target::PluginTarget;
use berth_core::threads::NewThread;
use berth_core::{Core, CoreConfig, CoreError, Ports};
use berth_hub::{Hub, HubConfig, Links};
use berth_llm::Scripted;
use berth_model::{EndpointId, RunId, ThreadId, WorkspaceId};
use berth_proto::SCHEMA;
use berth_store::SqlStore;
use berth_testkit::{CountedIds, NoPlugins, SteppedClock};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub const TOKEN: &str = "correct-horse";
/// A test that waits this long for a frame will never get it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a host is made of, before it is one.
pub struct Parts {
    pub store: Arc<SqlStore>,
    pub links: Arc<Links>,
    pub clock: Arc<SteppedClock>,
    pub ids: Arc<CountedIds>,
}

impl Parts {
    pub async fn new() -> Self {
        let store = Arc::new(SqlStore::open_in_memory().await.unwrap());
        Self { store, links: Arc::default(), clock: Arc::default(), ids: Arc::default() }
    }
}

pub struct Berth {
    pub core: Core,
    pub hub: Hub,
    pub links: Arc<Links>,
    pub clock: Arc<SteppedClock>,
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Berth {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Berth {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut HubConfig)) -> Self {
        Self::start_at("127.0.0.1:0", change).await
    }

    pub async fn start_at(address: &str, change: impl FnOnce(&mut HubConfig)) -> Self {
        Self::assemble(address, change, Parts::new().await, Arc::new(NoPlugins)).await
    }

    pub async fn assemble(
        address: &str,
        change: impl FnOnce(&mut HubConfig),
        parts: Parts,
        plugins: Arc<dyn PluginTarget>,
    ) -> Self {
        let Parts { store, links, clock, ids } = parts;
        let ports = Ports {
            store,
            clock: clock.clone(),
            ids,
            model: Arc::new(Scripted),
            plugins,
            endpoints: links.clone(),
        };
        let core = Core::start(ports, CoreConfig::default()).await.unwrap();
        let mut config = HubConfig::new(|token| token == TOKEN);
        config.origins = vec!["https://home.example".to_owned()];
        change(&mut config);
        let hub = Hub::new(core.clone(), links.clone(), config);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = berth_hub::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { core, hub, links, clock, address, server }
    }

    /// Ends as a process does that was told to: whoever is connected is sent away, and the address is free again.
    #[allow(dead_code, reason = "the stories of host/provider, which share this file, start a host again")]
    pub async fn stop(mut self) {
        self.core.shutdown().await;
        self.hub.drained().await;
        self.server.abort();
        let _ = (&mut self.server).await;
    }

    pub fn request(&self, query: &str) -> Request<()> {
        format!("ws://{}/endpoint/ws{query}", self.address).into_client_request().unwrap()
    }

    /// A socket with the right token that has said nothing yet.
    pub async fn connect(&self) -> Client {
        let mut request = self.request("");
        request.headers_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        Client::open(request).await.unwrap()
    }

    /// A socket that serves `endpoint` and has told no tools.
    pub async fn surface(&self, endpoint: &str) -> Client {
        let mut client = self.connect().await;
        client.say("endpoint.hello", hello(endpoint)).await;
        let ack = client.hears("endpoint.hello.ack").await;
        assert_eq!(ack["payload"]["accepted"], true, "{ack}");
        client
    }

    /// A socket that serves `endpoint` with these tools.
    pub async fn provider(&self, endpoint: &str, tools: Value) -> Client {
        let mut client = self.surface(endpoint).await;
        client
            .say("endpoint.capabilities.snapshot", json!({ "endpoint_id": endpoint, "capabilities": tools }))
            .await;
        client.hears("endpoint.ready").await;
        client
    }

    pub async fn thread(&self) -> ThreadId {
        let new = NewThread {
            workspace: WorkspaceId::fixed("home-lab"),
            title: "Lab".to_owned(),
            mode: "general".to_owned(),
        };
        self.core.create_thread(new).await.unwrap().id
    }

    /// A person says something; the run that answers.
    pub async fn message(&self, thread: ThreadId, content: &str) -> RunId {
        let new = NewMessage::of_user(thread, content);
        self.core.post_message(new).await.unwrap().run.unwrap()
    }

    /// A call of the owner that goes on beside the test.
    pub fn call(
        &self,
        tool: &str,
        target: Option<&str>,
        arguments: Value,
    ) -> JoinHandle<Result<Finished, CoreError>> {
        let mut ask = Ask::of_owner(tool, arguments, WorkspaceId::fixed("home-lab"));
        ask.target = target.map(str::to_owned);
        let core = self.core.clone();
        tokio::spawn(async move { core.operate(ask).await })
    }

    pub fn is_connected(&self, endpoint: &str) -> bool {
        use berth_core::port::endpoint_link::EndpointLink;
        self.links.is_connected(&EndpointId::new(endpoint).unwrap())
    }

    pub async fn status_of(&self, endpoint: &str) -> String {
        self.core.endpoint(&EndpointId::new(endpoint).unwrap()).await.unwrap().status
    }
}

/// A hello that is as good as any.
pub fn hello(endpoint: &str) -> Value {
    json!({
        "provider": { "provider_type": "edge", "provider_id": "lab1", "display_name": "Lab" },
        "endpoints": [{ "endpoint_id": endpoint, "endpoint_type": "edge_executor", "workspace_ids": ["home-lab"] }],
        "protocol": protocol(),
    })
}

pub fn protocol() -> Value {
    json!({ "supported_schemas": [SCHEMA], "supported_versions": [4], "features": [], "required_features": [] })
}

/// How a socket ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    Closed(u16),
    Broken,
}

pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    said: usize,
}

impl Client {
    pub async fn open(request: Request<()>) -> Result<Self, Error> {
        let (socket, _) = connect_async(request).await?;
        Ok(Self { socket, said: 0 })
    }

    /// Says a frame with the next message id: `m1`, `m2` …
    pub async fn say(&mut self, kind: &str, payload: Value) {
        self.said += 1;
        let id = format!("m{}", self.said);
        self.send(
            json!({ "schema": SCHEMA, "type": kind, "message_id": id, "payload": payload }).to_string(),
        )
        .await;
    }

    pub async fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    /// What comes next: a frame, or the end.
    pub async fn next(&mut self) -> Result<Value, End> {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(frame))) => {
                        return Err(End::Closed(frame.map_or(1005, |frame| frame.code.into())));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Err(End::Broken),
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("nothing came")
    }

    pub async fn hears_any(&mut self) -> Value {
        self.next().await.unwrap()
    }

    /// The next frame, which must be of this type.
    pub async fn hears(&mut self, kind: &str) -> Value {
        let frame = self.hears_any().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// The next frame, which must be this error.
    pub async fn hears_error(&mut self, code: &str) -> Value {
        let frame = self.hears("endpoint.error").await;
        assert_eq!(frame["payload"]["code"], code, "{frame}");
        frame
    }

    /// Skips frames up to the next one that fits.
    pub async fn hears_until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.hears_any().await;
            if fits(&frame) {
                return frame;
            }
        }
    }

    /// Nothing more was sent to this socket than was heard.
    pub async fn hears_nothing_more(&mut self) {
        self.say("probe", json!({})).await;
        self.hears_error("unsupported_frame").await;
    }

    pub async fn hears_the_end(&mut self) -> End {
        loop {
            if let Err(end) = self.next().await {
                // Answers the close, so that the other side need not wait.
                while let Some(Ok(_)) = self.socket.next().await {}
                return end;
            }
        }
    }

    /// Takes the next call: its id.
    pub async fn takes_call(&mut self) -> String {
        let request = self.hears("tool.call.request").await;
        request["payload"]["call_id"].as_str().unwrap().to_owned()
    }

    pub async fn answers(&mut self, call: &str, result: Value) {
        self.say("tool.call.result", json!({ "call_id": call, "status": "succeeded", "result": result }))
            .await;
    }

    pub async fn follows(&mut self, target_type: &str, target: &str, after: Option<i64>) {
        let payload = json!({
            "target_type": target_type, "target_id": target, "last_seen_event_seq": after, "replay": after.is_some(),
        });
        self.say("subscription.start", payload).await;
        self.hears("subscription.ack").await;
    }
}

impl Client {
    /// The same while other frames come in, which are skipped.
    pub async fn follows_beside(&mut self, target_type: &str, target: &str) {
        let payload = json!({ "target_type": target_type, "target_id": target, "replay": false });
        self.say("subscription.start", payload).await;
        self.hears_until(|frame| frame["type"] == "subscription.ack").await;
    }
}
