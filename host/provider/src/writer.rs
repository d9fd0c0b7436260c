//! The sending half of a socket: a task that owns it, and handles that never wait.

use std::sync::Arc;
use std::time::Duration;

use futures::{Sink, SinkExt};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::wire::{self, ReplyTo};

/// Frames that wait for a slow connection.
const FRAMES: usize = 256;
/// Progress is dropped while fewer places than this are free, so that results still find one.
const KEPT_FREE: usize = 128;
/// Nothing new is begun while fewer places than this are free: what one event makes always fits.
const ROOM: usize = 64;
/// How long one frame may take to leave.
const SEND_WITHIN: Duration = Duration::from_secs(20);

/// Takes frames for the connection.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    frames: mpsc::Sender<Message>,
    /// Rung when a frame has left.
    left: Arc<Notify>,
}

/// The connection is gone, or Core reads so slowly that it may as well be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind;

impl Outbox {
    /// Starts the task that sends; it ends after a close frame, or with the reason why it cannot send.
    pub fn spawn<S>(sink: S) -> (Self, AbortOnDropHandle<Result<(), String>>)
    where
        S: Sink<Message, Error = Error> + Unpin + Send + 'static,
    {
        let (frames, inbox) = mpsc::channel(FRAMES);
        let left = Arc::new(Notify::new());
        let task = tokio::spawn(send_all(sink, inbox, left.clone()));
        (Self { frames, left }, AbortOnDropHandle::new(task))
    }

    /// Waits until there is room for what one event makes. Cancel-safe; for ever once nothing leaves any more.
    pub async fn room(&self) {
        loop {
            let left = self.left.notified();
            if self.frames.capacity() >= ROOM {
                return;
            }
            left.await;
        }
    }

    /// Queues a text. Fails at once when the peer reads so slowly that the queue is full.
    pub fn text(&self, text: String) -> Result<(), Behind> {
        self.message(Message::text(text))
    }

    /// The same for any message.
    pub fn message(&self, message: Message) -> Result<(), Behind> {
        self.frames.try_send(message).map_err(|_| Behind)
    }
}

async fn send_all<S>(mut sink: S, mut inbox: mpsc::Receiver<Message>, left: Arc<Notify>) -> Result<(), String>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    while let Some(message) = inbox.recv().await {
        let last = message.is_close();
        match timeout(SEND_WITHIN, sink.send(message)).await {
            Ok(Ok(())) if last => return Ok(()),
            Ok(Ok(())) => left.notify_waiters(),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("core took no frame for {} s", SEND_WITHIN.as_secs())),
        }
    }
    Ok(())
}

/// Tells Core how far one call is.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    to: Option<(Outbox, ReplyTo)>,
    ended: CancellationToken,
}

impl Progress {
    /// Nothing is reported after `ended`.
    pub fn new(outbox: Outbox, to: ReplyTo, ended: CancellationToken) -> Self {
        Self { to: Some((outbox, to)), ended }
    }

    pub fn silent() -> Self {
        Self { to: None, ended: CancellationToken::new() }
    }

    pub fn report(&self, phase: &str, detail: &str) {
        let Some((outbox, to)) = &self.to else { return };
        if self.ended.is_cancelled() || outbox.frames.capacity() < KEPT_FREE {
            return;
        }
        if outbox.text(wire::progress(to, phase, detail)).is_err() {
            tracing::debug!(call.id = %to.call_id, "progress dropped: the connection is behind");
        }
    }
}
