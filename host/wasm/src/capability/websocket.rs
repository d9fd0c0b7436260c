//! Sockets that the host keeps for a channel.

use async_trait::async_trait;
use serde_json::Value;

use super::CapabilityError;
use super::inbound::no_channel;
use super::limit::Limit;

/// The longest frame in either direction.
pub const FRAME_BYTES: usize = 1 << 20;
/// Headers and subprotocols of a request together.
const MAX_WORDS: usize = 64;
/// All texts of a request together.
const MAX_REQUEST_BYTES: usize = 32 << 10;

/// A frame with content; the others are the host's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
}

impl Frame {
    /// The number of bytes that it carries.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A socket that a channel wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Names it in events; a socket of the same name is closed first.
    pub name: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub protocols: Vec<String>,
    /// Whether the host opens it again when it breaks off.
    pub reconnect: bool,
}

/// The sockets of one channel.
#[async_trait]
pub trait Sockets: Send + Sync {
    /// Whether a scope of a manifest or grant covers the address.
    fn covers(&self, scope: &Value, url: &str) -> bool;

    /// Opens a socket in the background; answers with its id. Fails with `SOCKET_LIMIT` beyond `most` of them.
    async fn connect(&self, request: ConnectRequest, most: usize) -> Result<u64, CapabilityError>;

    /// Where the socket leads, for the check of the grant; fails with `SOCKET_UNKNOWN`.
    fn address(&self, socket: u64) -> Result<String, CapabilityError>;

    /// Queues a frame. Fails with `SOCKET_UNKNOWN` or `SOCKET_BUSY`.
    async fn send(&self, socket: u64, frame: Frame) -> Result<(), CapabilityError>;

    /// Closes a socket for good. Twice is as good as once.
    async fn close(&self, socket: u64, code: u16, reason: &str);
}

/// The plugin is no channel.
#[derive(Debug, Clone, Copy)]
pub struct NoSockets;

#[async_trait]
impl Sockets for NoSockets {
    fn covers(&self, _: &Value, _: &str) -> bool {
        true
    }

    async fn connect(&self, _: ConnectRequest, _: usize) -> Result<u64, CapabilityError> {
        Err(no_channel())
    }

    fn address(&self, socket: u64) -> Result<String, CapabilityError> {
        Err(unknown(socket))
    }

    async fn send(&self, socket: u64, _: Frame) -> Result<(), CapabilityError> {
        Err(unknown(socket))
    }

    async fn close(&self, _: u64, _: u16, _: &str) {}
}

/// The refusal of a socket that there is not.
pub fn unknown(socket: u64) -> CapabilityError {
    CapabilityError::new("SOCKET_UNKNOWN", format!("there is no socket {socket}, or it has closed"))
}

/// Checks the scope of a manifest or grant, such as `{"hosts": ["wss://open.example.com"]}`.
pub fn check_scope(scope: &Value) -> Result<(), String> {
    const KEYS: [&str; 3] = ["hosts", "paths", "addresses"];
    let Some(object) = scope.as_object() else { return Err("the scope must be a table".to_owned()) };
    for (key, value) in object {
        if !KEYS.contains(&key.as_str()) {
            return Err(format!("`{key}` is no key of the scope of `websocket`: it has {}", KEYS.join(", ")));
        }
        if !value.as_array().is_some_and(|items| items.iter().all(Value::is_string)) {
            return Err(format!("`{key}` must be a list of texts"));
        }
    }
    let hosts = object.get("hosts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut hosts = hosts.peekable();
    if hosts.peek().is_none() {
        return Err("the scope needs `hosts`, such as [\"wss://open.example.com\"]".to_owned());
    }
    match hosts.find(|host| !host.starts_with("wss://") && !host.starts_with("ws://")) {
        Some(host) => {
            Err(format!("`hosts`: `{host}` is no address of a socket: it begins with wss:// or ws://"))
        }
        None => Ok(()),
    }
}

/// Checks the form of a request, before anybody is asked.
pub fn check(request: &ConnectRequest) -> Result<(), CapabilityError> {
    let refuse = |message: String| Err(CapabilityError::new("INVALID_ARGUMENTS", message));
    let words = request.headers.len() + request.protocols.len();
    let bytes: usize = request
        .headers
        .iter()
        .flat_map(|(name, value)| [name, value])
        .chain(&request.protocols)
        .chain([&request.name, &request.url])
        .map(String::len)
        .sum();
    if words > MAX_WORDS || bytes > MAX_REQUEST_BYTES {
        return refuse(format!(
            "a request has at most {MAX_WORDS} headers and protocols and {MAX_REQUEST_BYTES} bytes"
        ));
    }
    if !crate::actor::wishes::is_name(&request.name) {
        return refuse(format!("`{}` is no name of a socket", request.name.escape_debug()));
    }
    Ok(())
}

/// The bound of frames, in bytes.
pub fn frame_bytes(limit: &Limit) -> usize {
    limit.get("max_frame_bytes").and_then(|most| usize::try_from(most).ok()).unwrap_or(FRAME_BYTES)
}

/// A frame of a guest of at most `most` bytes, when it may be sent.
pub fn frame(is_text: bool, data: Vec<u8>, most: usize) -> Result<Frame, CapabilityError> {
    let refuse = |message: String| CapabilityError::new("INVALID_ARGUMENTS", message);
    let most = most.min(FRAME_BYTES);
    if data.len() > most {
        return Err(refuse(format!("a frame has at most {most} bytes")));
    }
    if !is_text {
        return Ok(Frame::Binary(data));
    }
    String::from_utf8(data).map(Frame::Text).map_err(|_| refuse("a text frame is UTF-8".to_owned()))
}
