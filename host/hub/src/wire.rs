//! A socket as the hub sees it, and axum's as such a one.

use std::error::Error as _;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use berth_proto::limits::MAX_IN_BYTES;
use futures::{Sink, SinkExt, Stream, StreamExt};

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    Text(String),
    Binary,
    /// A ping or a pong: the peer lives.
    Alive,
    Close,
}

/// What goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    Text(String),
    Ping,
    Close { code: u16, reason: String },
}

/// Why nothing more comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    #[error("a message is larger than {MAX_IN_BYTES} bytes")]
    TooBig,
    #[error("a text message is no UTF-8")]
    NotText,
    #[error("the connection broke")]
    Broken,
}

/// Splits axum's socket into the two halves that the hub wants.
pub(crate) fn split(
    socket: WebSocket,
) -> (impl Stream<Item = Result<Incoming, SocketError>> + Send + Unpin, impl Sink<Outgoing> + Send + Unpin) {
    let (sink, stream) = socket.split();
    let sink = sink.with(|message: Outgoing| {
        std::future::ready(Ok::<_, axum::Error>(match message {
            Outgoing::Text(text) => Message::Text(text.into()),
            Outgoing::Ping => Message::Ping(Default::default()),
            Outgoing::Close { code, reason } => {
                Message::Close(Some(CloseFrame { code, reason: reason.into() }))
            }
        }))
    });
    let stream = stream.map(|message| match message {
        Ok(Message::Text(text)) if text.len() > MAX_IN_BYTES => Err(SocketError::TooBig),
        Ok(Message::Text(text)) => Ok(Incoming::Text(text.as_str().to_owned())),
        Ok(Message::Binary(_)) => Ok(Incoming::Binary),
        Ok(Message::Ping(_) | Message::Pong(_)) => Ok(Incoming::Alive),
        Ok(Message::Close(_)) => Ok(Incoming::Close),
        Err(error) => Err(cause(&error)),
    });
    (stream, sink)
}

fn cause(error: &axum::Error) -> SocketError {
    use tokio_tungstenite::tungstenite::Error;
    match error.source().and_then(|source| source.downcast_ref::<Error>()) {
        Some(Error::Capacity(_)) => SocketError::TooBig,
        Some(Error::Utf8(_)) => SocketError::NotText,
        _ => SocketError::Broken,
    }
}
