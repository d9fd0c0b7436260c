//! The task that owns the way out: it writes, pings, and closes.

use std::time::Duration;

use berth_proto::limits::close;
use futures::{Sink, SinkExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::config::Timing;
use crate::outbound::{Closing, Lanes, Queued};
use crate::wire::Outgoing;

/// How long the last frames and the close may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Writes until it is asked to close, the peer takes nothing, or a ping stays without an answer. `heard` is the time of
/// the last sign of life.
pub(crate) async fn run<W>(sink: W, lanes: Lanes, heard: watch::Receiver<Instant>, timing: Timing)
where
    W: Sink<Outgoing> + Unpin,
{
    let gone = lanes.gone.clone();
    let _end = gone.drop_guard();
    Writer { sink, lanes, heard, timing }.run().await;
}

struct Writer<W> {
    sink: W,
    lanes: Lanes,
    heard: watch::Receiver<Instant>,
    timing: Timing,
}

/// All that can wake the writer.
enum Event {
    Close(Closing),
    Timer,
    Frame(Queued),
}

impl<W: Sink<Outgoing> + Unpin> Writer<W> {
    async fn run(mut self) {
        let mut ping = Ping { due: Instant::now() + self.timing.ping_every, sent: None };
        loop {
            let event = tokio::select! {
                biased;
                closing = wanted(&mut self.lanes.closing) => Event::Close(closing),
                () = sleep_until(ping.due) => Event::Timer,
                Some(frame) = self.lanes.urgent.recv() => Event::Frame(frame),
                Some(frame) = self.lanes.told.recv() => Event::Frame(frame),
            };
            match event {
                Event::Close(closing) => return self.close(closing).await,
                Event::Timer => {
                    let heard = *self.heard.borrow();
                    match ping.turn(heard, &self.timing) {
                        Turn::Ping if self.write(Outgoing::Ping).await => {}
                        Turn::Ping => return,
                        Turn::Silent => {
                            let reason = "no answer to a ping".to_owned();
                            return self.close(Closing { code: close::INTERNAL, reason }).await;
                        }
                    }
                }
                Event::Frame(frame) => {
                    if !self.write(Outgoing::Text(frame.text)).await {
                        return;
                    }
                }
            }
        }
    }

    /// False when the peer is gone, or takes nothing any more. A frame that is half out is left there when the socket
    /// closes because its peer does not read.
    async fn write(&mut self, message: Outgoing) -> bool {
        let slow =
            |closing: &Option<Closing>| closing.as_ref().is_some_and(|wish| wish.code == close::TRY_AGAIN);
        let sent = tokio::select! {
            biased;
            sent = timeout(self.timing.write_within, self.sink.send(message)) => sent,
            // The loop sees the wish next.
            Ok(_) = self.lanes.closing.wait_for(slow) => return true,
        };
        match sent {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                tracing::info!("a peer takes no frames any more: its socket is dropped");
                false
            }
        }
    }

    async fn close(mut self, closing: Closing) {
        let farewell = async {
            // One that does not read shall not be waited for.
            if closing.code != close::TRY_AGAIN {
                while let Ok(frame) = self.lanes.urgent.try_recv() {
                    self.sink.send(Outgoing::Text(frame.text)).await?;
                }
            }
            self.sink.send(Outgoing::Close { code: closing.code, reason: closing.reason }).await
        };
        // A peer that is gone or takes nothing is not told.
        let _ = timeout(FAREWELL, farewell).await;
    }
}

async fn wanted(closing: &mut watch::Receiver<Option<Closing>>) -> Closing {
    match closing.wait_for(Option::is_some).await {
        Ok(wish) => wish.clone().unwrap_or_else(dropped),
        Err(_) => dropped(),
    }
}

/// Nobody is left who could send.
fn dropped() -> Closing {
    Closing { code: close::NORMAL, reason: String::new() }
}

struct Ping {
    due: Instant,
    /// Not answered yet.
    sent: Option<Instant>,
}

enum Turn {
    Ping,
    Silent,
}

impl Ping {
    /// What is due now. Any sign of life answers a ping.
    fn turn(&mut self, heard: Instant, timing: &Timing) -> Turn {
        let now = Instant::now();
        if self.sent.is_some_and(|sent| heard < sent) {
            return Turn::Silent;
        }
        self.sent = Some(now);
        self.due = now + timing.pong_within;
        Turn::Ping
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use futures::channel::mpsc;

    use super::*;
    use crate::outbound;

    struct Peer {
        outbound: outbound::Outbound,
        reads: mpsc::Receiver<Outgoing>,
        alive: watch::Sender<Instant>,
        writer: tokio::task::JoinHandle<()>,
    }

    impl Peer {
        fn connect() -> Self {
            let (outbound, lanes) = outbound::channel();
            let (sink, reads) = mpsc::channel(0);
            let (alive, heard) = watch::channel(Instant::now());
            let writer = tokio::spawn(run(sink, lanes, heard, Timing::default()));
            Self { outbound, reads, alive, writer }
        }
    }

    fn text(text: &str) -> Outgoing {
        Outgoing::Text(text.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_peer_is_pinged_after_20_s_and_closed_after_40() {
        let mut peer = Peer::connect();
        let begin = Instant::now();

        assert_eq!(peer.reads.next().await, Some(Outgoing::Ping));
        assert_eq!(begin.elapsed(), Duration::from_secs(20));
        let last = peer.reads.next().await;

        assert!(matches!(last, Some(Outgoing::Close { code: close::INTERNAL, .. })), "{last:?}");
        assert_eq!(begin.elapsed(), Duration::from_secs(40));
        peer.writer.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_answers_is_pinged_for_ever() {
        let mut peer = Peer::connect();

        for _ in 0..100 {
            assert_eq!(peer.reads.next().await, Some(Outgoing::Ping));
            peer.alive.send_replace(Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_dropped() {
        let peer = Peer::connect();
        for _ in 0..3 {
            peer.outbound.push("{}".to_owned()).unwrap();
        }

        peer.writer.await.unwrap();

        assert!(peer.outbound.is_closed());
    }

    #[tokio::test]
    async fn what_was_pushed_before_the_close_still_goes_out() {
        let peer = Peer::connect();
        peer.outbound.push("ack".to_owned()).unwrap();
        peer.outbound.close(close::NORMAL, "goodbye");

        let read: Vec<_> = peer.reads.collect().await;

        assert_eq!(
            read,
            [text("ack"), Outgoing::Close { code: close::NORMAL, reason: "goodbye".to_owned() }]
        );
    }

    #[tokio::test]
    async fn answers_overtake_events() {
        let mut peer = Peer::connect();
        for frame in ["e1", "e2", "e3"] {
            peer.outbound.tell(frame.to_owned()).await.unwrap();
        }
        peer.outbound.push("answer".to_owned()).unwrap();

        assert_eq!(peer.reads.next().await, Some(text("answer")));
        assert_eq!(peer.reads.next().await, Some(text("e1")));
    }
}
