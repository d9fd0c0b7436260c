//! One connection, from hello to its end.

use std::time::Duration;

use berth_proto::lifecycle::{Accepted, CapabilitiesSnapshot, Goodbye, Heartbeat, HelloAck};
use berth_proto::limits::{HEARTBEAT_SECONDS, MIN_HEARTBEAT_SECONDS, PING_EVERY, PONG_WITHIN, close};
use berth_proto::refusal::Refusal;
use berth_proto::{BadFrame, CoreFrame, Envelope, JsonMap, ProviderFrame, SCHEMA, VERSION};
use futures::StreamExt;
use futures::stream::SplitStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use crate::connect::Socket;
use crate::error::Stopped;
use crate::operations::Operations;
use crate::provider::{Shared, Status};
use crate::running::{Calls, Ended};
use crate::wire::{self, ReplyTo};
use crate::writer::{Behind, Outbox};

/// How long Core may take to answer hello.
const HELLO_WITHIN: Duration = Duration::from_secs(15);
/// How long Core may take to close after goodbye.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// A connection that lived this long was a good one: the next wait starts over.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Why a connection is over.
#[derive(Debug)]
pub(crate) enum Ending {
    /// We were told to stop, and did.
    Stopped,
    /// Core would say the same next time.
    GivenUp(Stopped),
    Lost {
        why: String,
        /// Core had taken the endpoint.
        served: bool,
        /// The connection lived long enough for the next wait to start over.
        good: bool,
    },
}

/// All that wakes a session.
enum Event {
    Stop,
    Ended(Ended),
    Message(Option<Result<Message, Error>>),
    Unsent(String),
    Heartbeat,
    Silence,
    /// The time for the answer to hello, or for the last calls, is over.
    Deadline,
}

/// What an event leads to.
enum Next {
    Stay,
    End(Ending),
}

enum Phase {
    /// Hello was said.
    Greeting,
    /// Core has taken the endpoint.
    Serving,
    /// The last calls end; no new ones.
    Draining,
    /// Their time is over, and they were told.
    CuttingOff,
}

pub(crate) async fn run(
    socket: Socket,
    shared: &Shared,
    operations: &mut Operations,
    stop: &CancellationToken,
) -> Ending {
    let (sink, mut messages) = socket.split();
    let (outbox, mut writer) = Outbox::spawn(sink);
    let calls = Calls::new(shared, operations, outbox.clone());
    let now = Instant::now();
    let mut session = Session {
        shared,
        outbox,
        calls,
        phase: Phase::Greeting,
        opened: now,
        heard: now,
        pinged: None,
        deadline: Some(now + HELLO_WITHIN),
        heartbeat_every: Duration::from_secs(HEARTBEAT_SECONDS),
        heartbeat: None,
    };
    let outbox = session.outbox.clone();
    let mut next = session.greet();
    let ending = loop {
        if let Next::End(ending) = next {
            break ending;
        }
        let untold = matches!(session.phase, Phase::Greeting | Phase::Serving);
        let (deadline, heartbeat, silence) = (session.deadline, session.heartbeat, session.silence());
        // Every arm is cancel-safe and awaits nothing in its body. Messages come last: a flood holds up nothing else,
        // and waits on the wire until there is room for its answers.
        let event = tokio::select! {
            biased;
            ended = async { outbox.room().await; session.calls.ended().await } => Event::Ended(ended),
            () = stop.cancelled(), if untold => Event::Stop,
            done = &mut writer => Event::Unsent(unsent(done)),
            () = at(deadline) => Event::Deadline,
            () = at(heartbeat) => Event::Heartbeat,
            () = sleep_until(silence) => Event::Silence,
            message = async { outbox.room().await; messages.next().await } => Event::Message(message),
        };
        next = session.handle(event).unwrap_or_else(|Behind| session.lost("core reads too slowly"));
    };
    session.calls.abandon().await;
    part(&ending, &outbox, &mut messages, writer).await;
    ending
}

/// The time `when`, or never.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}

fn unsent(done: Result<Result<(), String>, tokio::task::JoinError>) -> String {
    match done {
        Ok(Ok(())) => "the connection was closed".to_owned(),
        Ok(Err(why)) => why,
        Err(error) => error.to_string(),
    }
}

/// Closes the socket, and gives the close frame a moment to leave and to be answered.
async fn part(
    ending: &Ending,
    outbox: &Outbox,
    messages: &mut SplitStream<Socket>,
    writer: tokio_util::task::AbortOnDropHandle<Result<(), String>>,
) {
    let code = match ending {
        Ending::Stopped | Ending::GivenUp(_) => close::NORMAL,
        Ending::Lost { .. } => close::GOING_AWAY,
    };
    let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
    if outbox.message(Message::Close(Some(frame))).is_err() {
        return;
    }
    // Only a goodbye is worth waiting for: whatever else ended the connection, the next one shall not wait for it.
    let patience = if matches!(ending, Ending::Stopped) { CLOSE_WITHIN } else { CLOSE_WITHIN / 4 };
    let closed = timeout(patience, async {
        if matches!(writer.await, Ok(Ok(()))) {
            while let Some(Ok(_)) = messages.next().await {}
        }
    });
    if closed.await.is_err() {
        tracing::debug!("core did not close the connection in time");
    }
}

struct Session<'a> {
    shared: &'a Shared,
    outbox: Outbox,
    calls: Calls<'a>,
    phase: Phase,
    opened: Instant,
    /// When Core last gave a sign of life.
    heard: Instant,
    pinged: Option<Instant>,
    deadline: Option<Instant>,
    heartbeat_every: Duration,
    heartbeat: Option<Instant>,
}

impl Session<'_> {
    fn greet(&mut self) -> Next {
        let hello = ProviderFrame::Hello(self.shared.identity.hello());
        match self.send(&hello) {
            Ok(()) => Next::Stay,
            Err(Behind) => self.lost("core reads too slowly"),
        }
    }

    fn handle(&mut self, event: Event) -> Result<Next, Behind> {
        let next = match event {
            Event::Stop => self.stop(),
            Event::Ended(ended) => {
                self.calls.finish(ended)?;
                Next::Stay
            }
            Event::Message(message) => {
                self.heard = Instant::now();
                self.pinged = None;
                self.message(message)?
            }
            Event::Unsent(why) => self.lost(&why),
            Event::Heartbeat => {
                self.heartbeat = Some(Instant::now() + self.heartbeat_every);
                self.send(&self.heartbeat_frame())?;
                Next::Stay
            }
            Event::Silence if self.pinged.is_some() => {
                self.lost(&format!("core is silent for {} s", (PING_EVERY + PONG_WITHIN).as_secs()))
            }
            Event::Silence => {
                self.pinged = Some(Instant::now());
                self.outbox.message(Message::Ping(Vec::new().into()))?;
                Next::Stay
            }
            Event::Deadline => match self.phase {
                Phase::Greeting => {
                    self.lost(&format!("core did not answer hello within {} s", HELLO_WITHIN.as_secs()))
                }
                Phase::Serving | Phase::Draining => {
                    self.phase = Phase::CuttingOff;
                    self.deadline = Some(Instant::now() + CLOSE_WITHIN);
                    self.calls.cancel_all();
                    Next::Stay
                }
                Phase::CuttingOff => return self.goodbye(),
            },
        };
        let over = self.leaving() && self.calls.active() == 0;
        if over && matches!(next, Next::Stay) { self.goodbye() } else { Ok(next) }
    }

    fn stop(&mut self) -> Next {
        if matches!(self.phase, Phase::Greeting) {
            return Next::End(Ending::Stopped);
        }
        self.phase = Phase::Draining;
        self.deadline = Some(Instant::now() + self.shared.limits.drain);
        self.calls.close();
        tracing::info!(calls = self.calls.active(), "stopping once the last calls have ended");
        Next::Stay
    }

    fn goodbye(&mut self) -> Result<Next, Behind> {
        let endpoint_id = self.shared.identity.endpoint_id.clone();
        self.send(&ProviderFrame::Goodbye(Goodbye { endpoint_id, reason: "shutdown".to_owned() }))?;
        Ok(Next::End(Ending::Stopped))
    }

    fn message(&mut self, message: Option<Result<Message, Error>>) -> Result<Next, Behind> {
        Ok(match message {
            Some(Ok(Message::Text(text))) => self.text(&text)?,
            Some(Ok(Message::Close(frame))) => self.closed(frame.as_ref()),
            // Pings are answered by the WebSocket itself; binary messages are not part of the protocol.
            Some(Ok(_)) => Next::Stay,
            Some(Err(Error::Capacity(CapacityError::MessageTooLong { size, max_size }))) => {
                self.refuse(close::TOO_BIG)?;
                self.lost(&format!("core sent {size} bytes at once, {max_size} is the limit"))
            }
            Some(Err(error)) => self.lost(&error.to_string()),
            None => self.lost("core ended the connection"),
        })
    }

    fn text(&mut self, text: &str) -> Result<Next, Behind> {
        let envelope = match Envelope::read(text) {
            Ok(envelope) => envelope,
            Err(BadFrame::WrongSchema) => {
                return Ok(Refusal::read(text).map_or(Next::Stay, |refusal| self.refused(refusal)));
            }
            Err(bad) => {
                self.refuse(close::INVALID_DATA)?;
                return Ok(self.lost(&bad.to_string()));
            }
        };
        match CoreFrame::read(&envelope) {
            Some(CoreFrame::HelloAck(HelloAck::Accepted(accepted))) => return self.accepted(&accepted),
            Some(CoreFrame::HelloAck(HelloAck::Rejected(reason))) => {
                let (code, message) = (reason.code, reason.message);
                return Ok(Next::End(Ending::GivenUp(Stopped::Rejected { code, message })));
            }
            Some(CoreFrame::Ready(ready)) => self.ready(ready.registered_capability_count),
            Some(CoreFrame::Error(error)) => return Ok(self.complaint(&error.code, &error.message)),
            Some(CoreFrame::ToolRequest(request)) => {
                let to = ReplyTo {
                    call_id: request.call_id.clone(),
                    message_id: envelope.reply_id(),
                    endpoint_id: self.shared.identity.endpoint_id.clone(),
                };
                self.calls.request(*request, to)?;
            }
            Some(CoreFrame::ToolCancel(cancel)) => self.calls.cancel(&cancel.call_id)?,
            Some(other) => tracing::debug!(kind = other.kind(), "a frame that is not for a tool provider"),
            None => tracing::debug!(kind = envelope.kind, "an unknown frame"),
        }
        Ok(Next::Stay)
    }

    /// Core may say this again at any time, to change the heartbeat.
    fn accepted(&mut self, accepted: &Accepted) -> Result<Next, Behind> {
        let agreed = &accepted.protocol;
        if agreed.selected_version != VERSION || agreed.selected_schema != SCHEMA {
            let (schema, version) = (agreed.selected_schema.clone(), agreed.selected_version);
            return Ok(Next::End(Ending::GivenUp(Stopped::Protocol { schema, version })));
        }
        let seconds = accepted.heartbeat_interval_seconds.unwrap_or(HEARTBEAT_SECONDS);
        self.heartbeat_every = Duration::from_secs(seconds.clamp(MIN_HEARTBEAT_SECONDS, 3600));
        self.heartbeat = Some(Instant::now() + self.heartbeat_every);
        if !matches!(self.phase, Phase::Greeting) {
            return Ok(Next::Stay);
        }
        self.phase = Phase::Serving;
        self.deadline = None;
        let endpoint = &self.shared.identity.endpoint_id;
        tracing::info!(endpoint.id = %endpoint, connection.id = %accepted.connection_id, "connected");
        if accepted.requires_capabilities_snapshot {
            self.send(&ProviderFrame::Capabilities(self.shared.snapshot()))?;
        } else {
            self.shared.tell(Status::Ready);
        }
        Ok(Next::Stay)
    }

    fn ready(&self, registered: u64) {
        let offered = self.shared.tools.iter().len() as u64;
        if registered < offered {
            tracing::warn!(registered, offered, "core did not take every tool");
        } else {
            tracing::info!(tools = offered, "core has the tools");
        }
        self.shared.tell(Status::Ready);
    }

    fn complaint(&self, code: &str, message: &str) -> Next {
        tracing::warn!(code, "core complains: {message}");
        match self.phase {
            // Nothing else would come: Core has read hello and will not ack it.
            Phase::Greeting => self.lost(&format!("core answers hello with {code}: {message}")),
            Phase::Serving | Phase::Draining | Phase::CuttingOff => Next::Stay,
        }
    }

    fn refused(&self, refusal: Refusal) -> Next {
        let Refusal { code, message, retryable, .. } = refusal;
        if retryable {
            return self.lost(&format!("core refuses for now: {code}: {message}"));
        }
        Next::End(Ending::GivenUp(match code.as_str() {
            "unauthorized" => Stopped::Unauthorized { told: message },
            _ => Stopped::Refused { code, message },
        }))
    }

    fn closed(&self, frame: Option<&CloseFrame>) -> Next {
        let Some(frame) = frame else { return self.lost("core closed the connection") };
        if u16::from(frame.code) == close::UNAUTHORIZED {
            let told = format!("close code {}", close::UNAUTHORIZED);
            return Next::End(Ending::GivenUp(Stopped::Unauthorized { told }));
        }
        self.lost(&format!("core closed the connection ({} {})", u16::from(frame.code), frame.reason))
    }

    fn lost(&self, why: &str) -> Next {
        if self.leaving() {
            return Next::End(Ending::Stopped);
        }
        let served = matches!(self.phase, Phase::Serving);
        let good = served && self.opened.elapsed() >= GOOD_AFTER;
        Next::End(Ending::Lost { why: why.to_owned(), served, good })
    }

    fn leaving(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::CuttingOff)
    }

    /// Says by its close code what was wrong with the last message.
    fn refuse(&self, code: u16) -> Result<(), Behind> {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        self.outbox.message(Message::Close(Some(frame)))
    }

    fn silence(&self) -> Instant {
        match self.pinged {
            Some(pinged) => pinged + PONG_WITHIN,
            None => self.heard + PING_EVERY,
        }
    }

    fn send(&self, frame: &ProviderFrame) -> Result<(), Behind> {
        self.outbox.text(wire::write(frame, &self.shared.identity.endpoint_id))
    }

    fn heartbeat_frame(&self) -> ProviderFrame {
        let mut metrics = JsonMap::new();
        metrics.insert("active_calls".to_owned(), self.calls.active().into());
        metrics.insert("capability_count".to_owned(), self.shared.tools.iter().len().into());
        ProviderFrame::Heartbeat(Heartbeat {
            endpoint_id: self.shared.identity.endpoint_id.clone(),
            status: "ready".to_owned(),
            metrics,
            connection_id: None,
        })
    }
}

impl Shared {
    pub(crate) fn snapshot(&self) -> CapabilitiesSnapshot {
        let slots = self.limits.max_running;
        let endpoint_id = self.identity.endpoint_id.clone();
        let items = self.tools.iter().map(|tool| tool.capability.item(&endpoint_id, slots));
        CapabilitiesSnapshot { capabilities: items.collect(), endpoint_id, revision: 1 }
    }
}
