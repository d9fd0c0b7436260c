//! The port to the network for the sockets of channels.

use async_trait::async_trait;
use serde_json::Value;

use crate::capability::websocket::{ConnectRequest, Frame};

/// Opens sockets. The host wires one that dials vetted addresses only.
#[async_trait]
pub trait SocketDialer: Send + Sync {
    /// Whether a scope of a manifest or grant covers the address.
    fn covers(&self, scope: &Value, url: &str) -> bool;

    /// Connects, with TLS where the address says so, and upgrades. `scopes` are those of the grants that cover the address:
    /// they say which ranges of addresses may be dialled. Cancel-safe.
    async fn dial(&self, request: &ConnectRequest, scopes: &[Value]) -> Result<Wire, DialError>;
}

/// Why a socket did not open; a sentence for the log and for the channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DialError(pub String);

/// An open socket.
pub struct Wire {
    pub reader: Box<dyn WireReader>,
    pub writer: Box<dyn WireWriter>,
}

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Frame(Frame),
    /// A ping or its answer: the peer is there.
    Alive,
    /// The peer closes, with its code and reason.
    Closed(u16, String),
}

/// Reads. A frame above the cap is an error.
#[async_trait]
pub trait WireReader: Send {
    /// The next thing heard; `None` when the connection is gone. Cancel-safe.
    async fn next(&mut self) -> Option<Result<Heard, DialError>>;
}

/// Writes.
#[async_trait]
pub trait WireWriter: Send {
    async fn frame(&mut self, frame: Frame) -> Result<(), DialError>;

    async fn ping(&mut self) -> Result<(), DialError>;

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), DialError>;
}

/// No network.
#[derive(Debug, Clone, Copy)]
pub struct NoDialer;

#[async_trait]
impl SocketDialer for NoDialer {
    fn covers(&self, _: &Value, _: &str) -> bool {
        false
    }

    async fn dial(&self, _: &ConnectRequest, _: &[Value]) -> Result<Wire, DialError> {
        Err(DialError("this host opens no sockets".to_owned()))
    }
}
