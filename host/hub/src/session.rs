//! One socket: its state, and what each frame does.
//!
//! Source: MeetYou V4, endpoint socket, state machine of one socket.

mod addresses;
mod capabilities;
mod hello;
mod reports;
mod subscriptions;

use std::ops::ControlFlow;
use std::time::Duration;

use berth_core::CoreError;
use berth_model::{ConnectionId, EndpointId};
use berth_proto::lifecycle::EndpointError;
use berth_proto::limits::close;
use berth_proto::{BadFrame, CoreFrame, Envelope, ProviderFrame};
use futures::{Sink, Stream, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout};

use self::subscriptions::Subscriptions;
pub(crate) use self::subscriptions::Wanted;
use crate::links::SocketId;
use crate::outbound::{self, NotSent, Outbound};
use crate::wire::{Incoming, Outgoing, SocketError};
use crate::{Hub, Peer, writer};

/// How long a peer may take to answer a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// Clients of one family come back at once after a close; this slows them down while the store is away.
const HOLD: Duration = Duration::from_secs(2);

/// The state of one socket.
struct Session {
    hub: Hub,
    peer: Peer,
    id: SocketId,
    outbound: Outbound,
    /// What the last accepted hello said.
    bound: Option<Bound>,
    subscriptions: Subscriptions,
}

struct Bound {
    connection: ConnectionId,
    primary: BoundEndpoint,
    /// The primary one too.
    endpoints: Vec<BoundEndpoint>,
}

#[derive(Clone)]
struct BoundEndpoint {
    id: EndpointId,
    provider_type: String,
}

/// Whether the socket goes on.
type Flow = ControlFlow<()>;
const GO_ON: Flow = ControlFlow::Continue(());
const END: Flow = ControlFlow::Break(());

/// All that can wake a session.
enum Event {
    /// The socket shall close, or is closed.
    Closed,
    /// The host stops, and no call is in flight here.
    Leave,
    /// Nothing useful was said in time.
    Idle,
    /// Time to look into the outbox.
    Drain,
    Heard(Option<Result<Incoming, SocketError>>),
}

/// Serves a socket to its end.
#[tracing::instrument(name = "hub.session.serve", skip_all, fields(peer.remote = peer.remote))]
pub(crate) async fn serve<R, W>(hub: Hub, peer: Peer, mut reader: R, sink: W)
where
    R: Stream<Item = Result<Incoming, SocketError>> + Send + Unpin,
    W: Sink<Outgoing> + Send + Unpin + 'static,
{
    let (outbound, lanes) = outbound::channel();
    let (alive, heard) = watch::channel(Instant::now());
    let writer = tokio::spawn(writer::run(sink, lanes, heard, hub.config().timing));
    let mut session = Session::new(hub, peer, outbound.clone());
    session.listen(&mut reader, &alive).await;
    session.leave().await;
    drop(session);

    // Ends the writer, if nothing else has.
    outbound.close(close::NORMAL, "");
    tokio::select! {
        // A peer that reads the close answers it, and may have more to say before.
        () = async { while let Some(Ok(_)) = reader.next().await {} } => {}
        () = async { outbound.gone().await; sleep(CLOSE_WITHIN).await } => {}
    }
    if let Err(error) = writer.await {
        tracing::error!(%error, "the writer of a socket broke off");
    }
}

impl Session {
    fn new(hub: Hub, peer: Peer, outbound: Outbound) -> Self {
        let id = hub.links().open(outbound.clone());
        Self { hub, peer, id, outbound, bound: None, subscriptions: Subscriptions::default() }
    }

    async fn listen<R>(&mut self, reader: &mut R, alive: &watch::Sender<Instant>)
    where
        R: Stream<Item = Result<Incoming, SocketError>> + Send + Unpin,
    {
        let timing = self.hub.config().timing;
        let outbound = self.outbound.clone();
        let mut closed = Box::pin(async move { outbound.closed().await });
        let mut leave = Box::pin(stopped(self.hub.clone(), self.id));
        let idle = Instant::now() + timing.hello_within;
        let mut drain = interval_at(Instant::now() + timing.drain_every, timing.drain_every);
        drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let silent = self.bound.is_none() && self.subscriptions.is_empty();
            // Every arm is cancel-safe: streams, ticks, sleeps, and two futures that live as long as the loop.
            let event = tokio::select! {
                biased;
                () = &mut closed => Event::Closed,
                () = &mut leave => Event::Leave,
                message = reader.next() => Event::Heard(message),
                () = sleep_until(idle), if silent => Event::Idle,
                _ = drain.tick() => Event::Drain,
            };
            if matches!(event, Event::Heard(Some(Ok(_)))) {
                alive.send_replace(Instant::now());
            }
            if self.handle(event).await.is_break() {
                return;
            }
        }
    }

    async fn handle(&mut self, event: Event) -> Flow {
        match event {
            Event::Closed | Event::Heard(None | Some(Ok(Incoming::Close))) => END,
            Event::Leave => self.close(close::GOING_AWAY, "the host stops"),
            Event::Idle => self.close(close::POLICY, "no endpoint.hello came"),
            Event::Drain => {
                for endpoint in self.endpoints() {
                    self.hub.drain(&endpoint).await;
                }
                GO_ON
            }
            Event::Heard(Some(Ok(Incoming::Alive))) => GO_ON,
            Event::Heard(Some(Ok(Incoming::Text(text)))) => self.read(&text).await,
            Event::Heard(Some(Ok(Incoming::Binary))) => {
                self.refuse("", "", BadFrame::NotJson.code(), "binary frames carry nothing here");
                self.close(close::UNSUPPORTED_DATA, "binary frame")
            }
            Event::Heard(Some(Err(error))) => match error {
                SocketError::TooBig => self.close(close::TOO_BIG, "frame too large"),
                SocketError::NotText => self.close(close::INVALID_DATA, "text is no UTF-8"),
                SocketError::Broken => END,
            },
        }
    }

    async fn read(&mut self, text: &str) -> Flow {
        let envelope = match Envelope::read(text) {
            Ok(envelope) => envelope,
            Err(bad) => {
                self.refuse("", "", bad.code(), bad.to_string());
                return if bad == BadFrame::NotJson {
                    self.close(close::INVALID_DATA, "no JSON")
                } else {
                    GO_ON
                };
            }
        };
        let Some(frame) = ProviderFrame::read(&envelope) else {
            let kind: String = envelope.kind.chars().take(80).collect();
            self.deny(&envelope, "unsupported_frame", format!("there is no frame `{kind}` to Core"));
            return GO_ON;
        };
        tracing::trace!(frame.kind = frame.kind(), "frame");
        self.carry_out(&envelope, frame).await
    }

    async fn carry_out(&mut self, asked: &Envelope, frame: ProviderFrame) -> Flow {
        match frame {
            ProviderFrame::Hello(hello) => return self.hello(asked, hello).await,
            ProviderFrame::Goodbye(goodbye) => {
                tracing::debug!(reason = goodbye.reason, "a provider says goodbye");
                return self.close(close::NORMAL, "goodbye");
            }
            ProviderFrame::Capabilities(snapshot) => self.capabilities(asked, snapshot).await,
            ProviderFrame::Ready(ready) => self.ready(asked, &ready.endpoint_id).await,
            ProviderFrame::Heartbeat(heartbeat) => self.heartbeat(asked, heartbeat).await,
            ProviderFrame::Addresses(snapshot) | ProviderFrame::AddressUpsert(snapshot) => {
                self.addresses(asked, snapshot).await;
            }
            ProviderFrame::AddressDelete(delete) => self.delete_address(asked, &delete.address_id).await,
            ProviderFrame::Subscribe(wish) => self.subscribe(asked, wish, "start").await,
            ProviderFrame::Resubscribe(wish) => self.subscribe(asked, wish, "update").await,
            ProviderFrame::Unsubscribe(stop) => self.unsubscribe(asked, stop),
            ProviderFrame::DeliveryResult(result) | ProviderFrame::DeliveryError(result) => {
                self.delivery_result(asked, result).await;
            }
            ProviderFrame::ToolAccepted(_)
            | ProviderFrame::ToolProgress(_)
            | ProviderFrame::ToolResult(_)
            | ProviderFrame::ToolError(_)
            | ProviderFrame::ToolCancel(_) => self.tool_step(frame),
        }
        GO_ON
    }

    /// The socket is over: its calls fail now, its endpoints are offline unless another socket serves them.
    async fn leave(&mut self) {
        self.subscriptions.clear();
        let registry = self.hub.registry().lock().await;
        let gone = self.hub.links().close(self.id);
        if let Some(bound) = self.bound.take() {
            let left = self.hub.core().disconnected(bound.connection, &bound.primary.id, &gone).await;
            if let Err(error) = left {
                tracing::warn!(%error, "the end of a connection could not be stored");
            }
        }
        drop(registry);
    }

    /// The endpoint that a frame is about: by its payload, its envelope, or as the primary one. `None` when this socket
    /// does not serve it.
    fn endpoint(&self, asked: &Envelope, named: &str) -> Option<BoundEndpoint> {
        let bound = self.bound.as_ref()?;
        let named = Some(named).filter(|id| !id.is_empty()).or(asked.endpoint_id.as_deref());
        match named {
            Some(id) => bound.endpoints.iter().find(|endpoint| endpoint.id.as_str() == id).cloned(),
            None => Some(bound.primary.clone()),
        }
    }

    /// The same, with the refusal that a frame gets otherwise.
    fn endpoint_or_deny(&self, asked: &Envelope, named: &str) -> Option<BoundEndpoint> {
        let endpoint = self.endpoint(asked, named);
        if endpoint.is_none() {
            match self.bound {
                Some(_) => self.deny(asked, "endpoint_not_found", "this socket serves no such endpoint"),
                None => self.deny(asked, "hello_required", "say endpoint.hello first"),
            }
        }
        endpoint
    }

    fn endpoints(&self) -> Vec<EndpointId> {
        self.bound
            .iter()
            .flat_map(|bound| bound.endpoints.iter().map(|endpoint| endpoint.id.clone()))
            .collect()
    }

    fn reply(&self, asked: &Envelope, endpoint: &str, frame: &CoreFrame) {
        let text = frame.envelope().answering(asked.reply_id(), endpoint).write();
        if self.outbound.push(text) == Err(NotSent::TooBig) {
            self.deny(asked, "answer_too_large", "it was done, but the answer is larger than a frame may be");
        }
    }

    fn deny(&self, asked: &Envelope, code: &str, message: impl Into<String>) {
        let primary = self.bound.as_ref().map(|bound| bound.primary.id.as_str());
        let endpoint = asked.endpoint_id.as_deref().or(primary).unwrap_or_default();
        self.refuse(&asked.reply_id(), endpoint, code, message);
    }

    fn refuse(&self, correlation: &str, endpoint: &str, code: &str, message: impl Into<String>) {
        tracing::debug!(code, "a frame is refused");
        let frame = CoreFrame::Error(EndpointError::new(code, message));
        // A socket that is closed needs no refusal.
        let _ = self.outbound.push(frame.envelope().answering(correlation, endpoint).write());
    }

    /// Tells why a frame could not be carried out.
    fn failed(&self, asked: &Envelope, error: &CoreError) {
        if matches!(error, CoreError::Store(_)) {
            tracing::warn!(%error, frame.kind = asked.kind, "a frame could not be carried out");
            return self.deny(asked, &error.code(), "the host cannot store it now: try again");
        }
        self.deny(asked, &error.code(), error.to_string());
    }

    fn close(&self, code: u16, reason: &str) -> Flow {
        self.outbound.close(code, reason);
        END
    }

    /// Waits a while before the socket ends, so that its client does not come back at once.
    async fn hold(&self) {
        let _ = timeout(HOLD, self.hub.core().stopping().cancelled_owned()).await;
    }
}

impl Drop for Session {
    /// However the session ended, nothing is sent to its socket any more.
    fn drop(&mut self) {
        self.hub.links().close(self.id);
    }
}

/// Ends when the host stops and the calls of a socket are over, or do not end in time.
async fn stopped(hub: Hub, id: SocketId) {
    hub.core().stopping().cancelled().await;
    let _ = timeout(hub.config().timing.leave_within, hub.links().idle(id)).await;
}
