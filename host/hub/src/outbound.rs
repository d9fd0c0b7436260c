//! The way out of a socket: two bounded lanes and a wish to close.
//!
//! Answers, calls and deliveries go by the urgent lane and never wait: when it is full, the peer does not read, and the
//! socket is closed. Events go by the other lane, where the feed waits; it reads them from the store again when it has
//! fallen behind. So a slow reader costs a bounded amount of memory, and loses nothing that is stored.

use std::sync::Arc;

use berth_proto::limits::{MAX_OUT_BYTES, close};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Frames of the urgent lane.
const URGENT_FRAMES: usize = 1024;
/// Bytes of the urgent lane.
const URGENT_BYTES: usize = 16 * 1024 * 1024;
/// Frames of the lane of events.
const TOLD_FRAMES: usize = 64;
/// Bytes of the lane of events.
const TOLD_BYTES: usize = 8 * 1024 * 1024;

/// Why a frame does not go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSent {
    #[error("the frame is larger than {MAX_OUT_BYTES} bytes")]
    TooBig,
    #[error("the socket is closed, or closes because its peer does not read")]
    Closed,
}

/// The sender's side; cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbound {
    urgent: Lane,
    told: Lane,
    closing: Arc<watch::Sender<Option<Closing>>>,
    gone: CancellationToken,
}

#[derive(Clone)]
struct Lane {
    frames: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
}

/// A frame that waits; its place is free again when it is dropped.
pub(crate) struct Queued {
    pub(crate) text: String,
    _room: OwnedSemaphorePermit,
}

/// How the socket shall end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// The writer's side.
pub(crate) struct Lanes {
    pub(crate) urgent: mpsc::Receiver<Queued>,
    pub(crate) told: mpsc::Receiver<Queued>,
    pub(crate) closing: watch::Receiver<Option<Closing>>,
    /// Cancelled when the writer ends.
    pub(crate) gone: CancellationToken,
}

pub(crate) fn channel() -> (Outbound, Lanes) {
    let (urgent, urgent_out) = mpsc::channel(URGENT_FRAMES);
    let (told, told_out) = mpsc::channel(TOLD_FRAMES);
    let (closing, closing_out) = watch::channel(None);
    let gone = CancellationToken::new();
    let lane = |frames, bytes| Lane { frames, room: Arc::new(Semaphore::new(bytes)) };
    let outbound = Outbound {
        urgent: lane(urgent, URGENT_BYTES),
        told: lane(told, TOLD_BYTES),
        closing: Arc::new(closing),
        gone: gone.clone(),
    };
    (outbound, Lanes { urgent: urgent_out, told: told_out, closing: closing_out, gone })
}

impl Outbound {
    /// Sends an answer, a call or a delivery. Closes the socket when its peer has left too much unread.
    pub(crate) fn push(&self, text: String) -> Result<(), NotSent> {
        let bytes = size(&text)?;
        if self.is_closed() {
            return Err(NotSent::Closed);
        }
        let room = self.urgent.room.clone().try_acquire_many_owned(bytes);
        let sent = room.is_ok_and(|room| self.urgent.frames.try_send(Queued { text, _room: room }).is_ok());
        if !sent {
            self.close(close::TRY_AGAIN, "the peer reads too slowly");
            return Err(NotSent::Closed);
        }
        Ok(())
    }

    /// Sends an event; waits while the peer is behind. Cancel-safe: a dropped call has sent nothing.
    pub(crate) async fn tell(&self, text: String) -> Result<(), NotSent> {
        let bytes = size(&text)?;
        let send = async {
            let room = self.told.room.clone().acquire_many_owned(bytes).await.map_err(|_| NotSent::Closed)?;
            self.told.frames.send(Queued { text, _room: room }).await.map_err(|_| NotSent::Closed)
        };
        tokio::select! {
            biased;
            () = self.gone.cancelled() => Err(NotSent::Closed),
            sent = send => sent,
        }
    }

    /// Asks the writer to close; the first wish counts.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        self.closing.send_if_modified(|closing| {
            let first = closing.is_none();
            if first {
                *closing = Some(Closing { code, reason: reason.to_owned() });
            }
            first
        });
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gone.is_cancelled() || self.closing.borrow().is_some()
    }

    /// Ends with the writer.
    pub(crate) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Ends when the socket closes or is closed.
    pub(crate) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            () = self.gone.cancelled() => {}
            _ = closing.wait_for(Option::is_some) => {}
        }
    }
}

fn size(text: &str) -> Result<u32, NotSent> {
    if text.len() > MAX_OUT_BYTES {
        return Err(NotSent::TooBig);
    }
    u32::try_from(text.len()).map_err(|_| NotSent::TooBig)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_closed_before_it_costs_more_than_the_lane() {
        let (outbound, lanes) = channel();
        let frame = "x".repeat(MAX_OUT_BYTES);

        let sent = (0..10).take_while(|_| outbound.push(frame.clone()).is_ok()).count();

        assert_eq!(sent, URGENT_BYTES / MAX_OUT_BYTES);
        assert_eq!(lanes.closing.borrow().as_ref().unwrap().code, close::TRY_AGAIN);
        assert_eq!(outbound.push("{}".to_owned()), Err(NotSent::Closed));
    }

    #[tokio::test]
    async fn many_small_frames_fill_the_lane_too() {
        let (outbound, _lanes) = channel();

        let sent = (0..).take_while(|_| outbound.push("{}".to_owned()).is_ok()).count();

        assert_eq!(sent, URGENT_FRAMES);
    }

    #[tokio::test]
    async fn an_event_waits_for_room_and_goes_when_there_is_some() {
        let (outbound, mut lanes) = channel();
        for _ in 0..TOLD_FRAMES {
            outbound.tell("{}".to_owned()).await.unwrap();
        }

        let mut waiting = Box::pin(outbound.tell("last".to_owned()));
        assert!(waiting.as_mut().now_or_never().is_none());
        lanes.told.recv().await.unwrap();

        waiting.await.unwrap();
        assert!(!outbound.is_closed());
    }

    #[tokio::test]
    async fn an_event_for_a_socket_that_is_gone_does_not_wait() {
        let (outbound, lanes) = channel();
        for _ in 0..TOLD_FRAMES {
            outbound.tell("{}".to_owned()).await.unwrap();
        }

        lanes.gone.cancel();

        assert_eq!(outbound.tell("{}".to_owned()).await, Err(NotSent::Closed));
    }

    #[test]
    fn a_frame_that_providers_would_drop_the_socket_over_is_refused() {
        let (outbound, _lanes) = channel();

        assert_eq!(outbound.push("x".repeat(MAX_OUT_BYTES + 1)), Err(NotSent::TooBig));
        assert!(!outbound.is_closed());
    }

    #[test]
    fn the_first_wish_to_close_counts() {
        let (outbound, lanes) = channel();

        outbound.close(close::NORMAL, "goodbye");
        outbound.close(close::POLICY, "late");

        assert_eq!(lanes.closing.borrow().as_ref().unwrap().code, close::NORMAL);
    }
}
