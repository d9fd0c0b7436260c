//! A Core that says whatever a story wants, over a loopback socket or in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use berth_provider::{Dial, DialError, Socket};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

pub const SCHEMA: &str = "meetyou.endpoint.ws.v4";
/// Longer than any wait of a provider, also on a clock that jumps.
const PATIENCE: Duration = Duration::from_secs(120);

/// Listens on a loopback socket.
pub struct Puppet {
    listener: TcpListener,
}

impl Puppet {
    pub async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.listener.local_addr().unwrap())
    }

    pub async fn accepts(&self) -> Core {
        let (tcp, _) = self.listener.accept().await.unwrap();
        let socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
        Core { socket: Box::new(socket) }
    }

    /// Takes a connection up to where calls may go out.
    pub async fn serves(&self) -> Core {
        let mut core = self.accepts().await;
        core.welcomes().await;
        core
    }
}

/// Sockets that need no network, so that the clock may jump.
pub struct InMemory {
    opened: mpsc::Sender<Core>,
}

impl InMemory {
    pub fn new() -> (Self, mpsc::Receiver<Core>) {
        let (opened, cores) = mpsc::channel(16);
        (Self { opened }, cores)
    }
}

#[async_trait]
impl Dial for InMemory {
    async fn dial(&self) -> Result<Socket, DialError> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let socket = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let core = Core { socket: Box::new(socket) };
        self.opened.send(core).await.map_err(|_| DialError::Failed("nobody listens".to_owned()))?;
        Ok(Box::new(WebSocketStream::from_raw_socket(ours, Role::Client, None).await))
    }
}

/// Calls of all connections, so that none has the id of another.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// One connection.
pub struct Core {
    socket: Socket,
}

impl Core {
    pub async fn tries(&mut self, message: Message) -> Result<(), Error> {
        self.socket.send(message).await
    }

    pub async fn sends(&mut self, message: Message) {
        self.tries(message).await.unwrap();
    }

    pub async fn says(&mut self, kind: &str, payload: Value) {
        let frame = json!({ "schema": SCHEMA, "type": kind, "payload": payload });
        self.sends(Message::text(frame.to_string())).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("nothing came")
    }

    /// The code that the connection is closed with; 1006 when it just ends.
    pub async fn is_closed_with(&mut self) -> u16 {
        let end = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Close(frame))) => return frame.map_or(1005, |frame| frame.code.into()),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return 1006,
                }
            }
        };
        tokio::time::timeout(PATIENCE, end).await.expect("it stays open")
    }

    /// The payload of the next frame, which must be of this type.
    pub async fn hears(&mut self, kind: &str) -> Value {
        let frame = self.next().await.unwrap_or_else(|| panic!("the end instead of {kind}"));
        assert_eq!(frame["type"], kind, "{frame}");
        frame["payload"].clone()
    }

    /// Skips frames up to the last one of a call.
    pub async fn hears_the_end_of(&mut self, call: &str) -> Value {
        loop {
            let frame = self.next().await.expect("the end of the connection instead of the call's");
            let kind = frame["type"].as_str().unwrap();
            let last = ["tool.call.result", "tool.call.error"].contains(&kind);
            if last && frame["payload"]["call_id"] == call {
                return frame["payload"].clone();
            }
        }
    }

    pub async fn welcomes(&mut self) {
        self.hears("endpoint.hello").await;
        self.accepts_hello(20).await;
        self.hears("endpoint.capabilities.snapshot").await;
        self.says("endpoint.ready", json!({ "registered_capability_count": 99 })).await;
    }

    pub async fn accepts_hello(&mut self, heartbeat_seconds: u64) {
        let ack = json!({
            "accepted": true,
            "protocol": { "selected_schema": SCHEMA, "selected_version": 4 },
            "connection_id": "conn_1",
            "requires_capabilities_snapshot": true,
            "heartbeat_interval_seconds": heartbeat_seconds,
        });
        self.says("endpoint.hello.ack", ack).await;
    }

    /// Asks for a call under an operation of its own: its id.
    pub async fn calls(&mut self, tool: &str, arguments: Value) -> String {
        let operation = format!("op_{}", CALLS.fetch_add(1, Ordering::Relaxed));
        self.calls_for(&operation, tool, arguments).await
    }

    pub async fn calls_for(&mut self, operation: &str, tool: &str, arguments: Value) -> String {
        let call = format!("call_{}", CALLS.fetch_add(1, Ordering::Relaxed));
        self.requests(json!({
            "operation_id": operation, "call_id": call, "tool_key": tool, "arguments": arguments, "timeout_seconds": 60,
        }))
        .await;
        call
    }

    pub async fn requests(&mut self, payload: Value) {
        self.says("tool.call.request", payload).await;
    }

    /// A call from its request to its result.
    pub async fn result_of(&mut self, tool: &str, arguments: Value) -> Value {
        let call = self.calls(tool, arguments).await;
        let end = self.hears_the_end_of(&call).await;
        assert_eq!(end["status"], "succeeded", "{end}");
        end["result"].clone()
    }

    /// A call from its request to the code of its failure.
    pub async fn failure_of(&mut self, tool: &str, arguments: Value) -> String {
        let call = self.calls(tool, arguments).await;
        code(&self.hears_the_end_of(&call).await)
    }
}

/// The code of a call that failed.
pub fn code(end: &Value) -> String {
    end["error"]["code"].as_str().unwrap_or_else(|| panic!("no failure: {end}")).to_owned()
}
