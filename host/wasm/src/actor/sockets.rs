//! The sockets of a channel: kept by the host, at no cost of an instance.
//!
//! Each socket is a task. It reads only while the mailbox of the channel has room, so that a channel that is behind slows
//! its provider down and nothing is dropped; it pings, and opens the socket again when it broke off and may.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::ids::Ids;
use serde_json::Value;
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::alarm::Alarm;
use super::happening::{Happening, SocketState};
use super::mail::Mail;
use super::wire::{Heard, SocketDialer, Wire};
use super::wishes::{self, Socket};
use crate::capability::CapabilityError;
use crate::capability::websocket::{self, ConnectRequest, Frame, Sockets};

/// Frames of a guest that wait to be sent.
const QUEUE: usize = 64;
/// Silence after which the peer is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(30);
/// Silence after which it is gone.
const GONE_AFTER: Duration = Duration::from_secs(75);
/// How long a peer may take to open, and to take a frame.
const PATIENCE: Duration = Duration::from_secs(20);
/// The wait before the first new attempt; it doubles up to [`LONGEST`].
const BACK_OFF: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// The code of a connection that broke off without a close.
const ABNORMAL: u16 = 1006;
/// The code of a frame that is too long.
const TOO_BIG: u16 = 1009;
/// The code of a policy that is not met.
const POLICY: u16 = 1008;

/// Tells what the grants say of an address.
pub(super) trait Allowed: Send + Sync {
    /// The scopes of the grants that cover it; none when nobody may open it.
    fn scopes(&self, url: &str) -> Vec<Value>;

    /// The longest frame that may come from it, in bytes.
    fn frame_bytes(&self, url: &str) -> usize;

    /// How many sockets there may be for one to it.
    fn most(&self, url: &str) -> usize;
}

/// The sockets of one channel.
pub(super) struct SocketTable {
    parts: Parts,
    open: Mutex<HashMap<u64, Entry>>,
    /// Wished sockets whose address the channel is asked for.
    asked: Mutex<HashSet<String>>,
    /// Wished sockets that are one too many; the channel was told.
    refused: Mutex<HashSet<String>>,
    last: AtomicU64,
}

/// What the tasks of sockets need.
#[derive(Clone)]
pub(super) struct Parts {
    pub mailbox: mpsc::Sender<Mail>,
    pub dialer: Arc<dyn SocketDialer>,
    pub alarm: Arc<dyn Alarm>,
    pub ids: Arc<dyn Ids>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    pub allowed: Arc<dyn Allowed>,
}

struct Entry {
    request: ConnectRequest,
    out: mpsc::Sender<Frame>,
    end: Arc<End>,
}

/// How a socket is ended from here.
struct End {
    token: CancellationToken,
    close: Mutex<(u16, String)>,
}

impl SocketTable {
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            open: Mutex::default(),
            asked: Mutex::default(),
            refused: Mutex::default(),
            last: AtomicU64::new(0),
        })
    }

    /// Brings the sockets in line with the wishes: opens what is new and asks for addresses that are not known.
    pub fn wish(self: &Arc<Self>, wished: &[Socket]) {
        let asked = wished.iter().filter(|wish| wish.url.is_none()).map(|wish| wish.name.clone()).collect();
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        for wish in wished {
            let known = self.open().values().find(|entry| entry.request.name == wish.name).map(|entry| {
                let same = wish.url.as_ref().is_none_or(|url| *url == entry.request.url);
                same && (wish.url.is_none() || wish.headers == entry.request.headers)
            });
            match (&wish.url, known) {
                (_, Some(true)) => {}
                (Some(url), _) => {
                    let request = ConnectRequest {
                        name: wish.name.clone(),
                        url: url.clone(),
                        headers: wish.headers.clone(),
                        protocols: Vec::new(),
                        reconnect: true,
                    };
                    if let Err(refused) = websocket::check(&request) {
                        tracing::warn!(socket = wish.name, %refused, "a wished socket cannot be opened");
                        continue;
                    }
                    if known.is_none() && self.is_one_too_many(&request) {
                        continue;
                    }
                    self.spawn(request);
                }
                (None, _) => self.want(&wish.name, Duration::ZERO),
            }
        }
    }

    /// Whether the limit of the grant keeps a wished socket closed; then the channel is told, once.
    fn is_one_too_many(&self, request: &ConnectRequest) -> bool {
        let most = self.parts.allowed.most(&request.url).min(wishes::MAX_SOCKETS);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if self.open().len() < most {
            refused.remove(&request.name);
            return false;
        }
        if refused.insert(request.name.clone()) {
            tracing::warn!(socket = request.name, most, "a wished socket is one too many");
            let (parts, name) = (self.parts.clone(), request.name.clone());
            let reason = format!("the channel has at most {most} sockets");
            let state = SocketState { socket: 0, name, code: POLICY, reason, reconnects: false };
            self.parts.tasks.spawn(async move {
                let mail = Mail::happened(&*parts.ids, parts.alarm.now(), Happening::SocketClosed(state));
                tokio::select! {
                    biased;
                    () = parts.stop.cancelled() => {}
                    _ = parts.mailbox.send(mail) => {}
                }
            });
        }
        true
    }

    /// Closes what the wishes and grants cover no longer.
    pub fn recheck(&self) {
        let gone: Vec<u64> = self
            .open()
            .iter()
            .filter(|(_, entry)| self.parts.allowed.scopes(&entry.request.url).is_empty())
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.end(id, POLICY, "the grant is gone");
        }
    }

    /// Closes every socket for good.
    pub fn close_all(&self) {
        let ids: Vec<u64> = self.open().keys().copied().collect();
        for id in ids {
            self.end(id, 1001, "the channel is switched off");
        }
    }

    fn end(&self, id: u64, code: u16, reason: &str) {
        let Some(entry) = self.open().remove(&id) else { return };
        *entry.end.close.lock().unwrap_or_else(PoisonError::into_inner) = (code, reason.to_owned());
        entry.end.token.cancel();
    }

    /// Asks the channel for the address of a socket that it wished without one, after a while.
    fn want(&self, name: &str, wait: Duration) {
        if !self.asked.lock().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return;
        }
        let (parts, name) = (self.parts.clone(), name.to_owned());
        self.parts.tasks.spawn(async move {
            let asked = async {
                if !wait.is_zero() {
                    parts.alarm.until(parts.alarm.now().plus(wait)).await;
                }
                let mail = Mail::happened(&*parts.ids, parts.alarm.now(), Happening::SocketWanted { name });
                parts.mailbox.send(mail).await.is_ok()
            };
            tokio::select! {
                () = parts.stop.cancelled() => {}
                _ = asked => {}
            }
        });
    }

    fn spawn(self: &Arc<Self>, request: ConnectRequest) -> u64 {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let (out, frames) = mpsc::channel(QUEUE);
        let end = Arc::new(End {
            token: self.parts.stop.child_token(),
            close: Mutex::new((1001, "the host stops".to_owned())),
        });
        let same: Vec<u64> = self
            .open()
            .iter()
            .filter(|(_, entry)| entry.request.name == request.name)
            .map(|(id, _)| *id)
            .collect();
        for other in same {
            self.end(other, 1000, "another one takes its place");
        }
        self.open().insert(id, Entry { request: request.clone(), out, end: end.clone() });
        let task = SocketTask { id, request, parts: self.parts.clone(), table: self.clone(), end };
        self.parts.tasks.spawn(task.run(frames));
        id
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Sockets for Arc<SocketTable> {
    fn covers(&self, scope: &Value, url: &str) -> bool {
        self.parts.dialer.covers(scope, url)
    }

    async fn connect(&self, request: ConnectRequest, most: usize) -> Result<u64, CapabilityError> {
        let most = most.min(wishes::MAX_SOCKETS);
        let is_new = !self.open().values().any(|entry| entry.request.name == request.name);
        if is_new && self.open().len() >= most {
            let message = format!("the channel has at most {most} sockets");
            return Err(CapabilityError::new("SOCKET_LIMIT", message));
        }
        Ok(self.spawn(request))
    }

    fn address(&self, socket: u64) -> Result<String, CapabilityError> {
        let open = self.open();
        open.get(&socket).map(|entry| entry.request.url.clone()).ok_or_else(|| websocket::unknown(socket))
    }

    async fn send(&self, socket: u64, frame: Frame) -> Result<(), CapabilityError> {
        let out = self.open().get(&socket).map(|entry| entry.out.clone());
        let out = out.ok_or_else(|| websocket::unknown(socket))?;
        out.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Closed(_) => websocket::unknown(socket),
            mpsc::error::TrySendError::Full(_) => {
                let message = format!("{QUEUE} frames wait to be sent: the peer does not take them");
                let mut busy = CapabilityError::new("SOCKET_BUSY", message);
                busy.retryable = true;
                busy.retry_after_ms = Some(1000);
                busy
            }
        })
    }

    async fn close(&self, socket: u64, code: u16, reason: &str) {
        let code = if matches!(code, 1000 | 1001 | 3000..=4999) { code } else { 1000 };
        self.end(socket, code, &reason.chars().take(100).collect::<String>());
    }
}

struct SocketTask {
    id: u64,
    request: ConnectRequest,
    parts: Parts,
    table: Arc<SocketTable>,
    end: Arc<End>,
}

/// How a connection has ended.
struct Ended {
    code: u16,
    reason: String,
    /// Whether it had been open.
    was_open: bool,
    /// Whether it may be opened again.
    for_good: bool,
}

impl SocketTask {
    async fn run(self, mut frames: mpsc::Receiver<Frame>) {
        let mut failures = 0_u32;
        loop {
            let ended = self.connection(&mut frames).await;
            failures = if ended.was_open { 0 } else { failures.saturating_add(1) };
            let here = self.end.token.is_cancelled();
            let reconnects = self.request.reconnect && !ended.for_good && !here;
            // Nobody hears of the end of a channel that is switched off.
            if self.parts.stop.is_cancelled() {
                break;
            }
            self.tell(Happening::SocketClosed(SocketState {
                socket: self.id,
                name: self.request.name.clone(),
                code: ended.code,
                reason: ended.reason,
                reconnects,
            }))
            .await;
            let wait = back_off(failures, &*self.parts.ids);
            if !reconnects {
                // A wished socket without an address of its own is asked for again.
                if !here && !ended.for_good {
                    self.table.want(&self.request.name, wait);
                }
                break;
            }
            let at = self.parts.alarm.now().plus(wait);
            tokio::select! {
                () = self.end.token.cancelled() => break,
                () = self.parts.alarm.until(at) => {}
            }
        }
        self.table.open().remove(&self.id);
    }

    /// One connection from its dial to its end.
    async fn connection(&self, frames: &mut mpsc::Receiver<Frame>) -> Ended {
        let mut ended = Ended { code: ABNORMAL, reason: String::new(), was_open: false, for_good: false };
        let scopes = self.parts.allowed.scopes(&self.request.url);
        if scopes.is_empty() {
            "no grant covers the address".clone_into(&mut ended.reason);
            return Ended { code: POLICY, for_good: true, ..ended };
        }
        let patience = self.parts.alarm.now().plus(PATIENCE);
        let dialled = tokio::select! {
            biased;
            () = self.end.token.cancelled() => return ended,
            dialled = self.parts.dialer.dial(&self.request, &scopes) => dialled,
            () = self.parts.alarm.until(patience) => {
                "nobody answered in time".clone_into(&mut ended.reason);
                return ended;
            }
        };
        let mut wire = match dialled {
            Ok(wire) => wire,
            Err(error) => {
                ended.reason = shown(&error.0);
                return ended;
            }
        };
        ended.was_open = true;
        self.tell(Happening::SocketOpened(SocketState {
            socket: self.id,
            name: self.request.name.clone(),
            code: 0,
            reason: String::new(),
            reconnects: self.request.reconnect,
        }))
        .await;
        (ended.code, ended.reason, ended.for_good) = self.pump(&mut wire, frames).await;
        ended
    }

    /// Carries frames both ways until the connection ends; its code, its reason, and whether that was for good.
    async fn pump(&self, wire: &mut Wire, frames: &mut mpsc::Receiver<Frame>) -> (u16, String, bool) {
        let alarm = &self.parts.alarm;
        let mut room: Option<OwnedPermit<Mail>> = None;
        let mut heard_at = alarm.now();
        let mut pinged = false;
        loop {
            let has_room = room.is_some();
            let look = heard_at.plus(if pinged { GONE_AFTER } else { PING_AFTER });
            // Every arm is cancel-safe.
            let turn = tokio::select! {
                biased;
                () = self.end.token.cancelled() => Turn::End,
                frame = frames.recv() => frame.map_or(Turn::End, Turn::Send),
                permit = self.parts.mailbox.clone().reserve_owned(), if !has_room => Turn::Room(permit.ok()),
                heard = wire.reader.next(), if has_room => Turn::Heard(heard),
                // Who is not read is not asked whether he is there.
                () = alarm.until(look), if has_room => Turn::Silence,
            };
            let sent = match turn {
                Turn::End => {
                    let (code, reason) =
                        self.end.close.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let closing = wire.writer.close(code, &reason);
                    // A peer that does not read is cut.
                    let _closed = tokio::time::timeout(Duration::from_secs(1), closing).await;
                    return (code, reason, true);
                }
                Turn::Room(None) => return (ABNORMAL, "the channel is gone".to_owned(), true),
                Turn::Room(permit) => {
                    room = permit;
                    heard_at = alarm.now();
                    pinged = false;
                    continue;
                }
                Turn::Heard(None) => return (ABNORMAL, "the connection broke off".to_owned(), false),
                Turn::Heard(Some(Err(error))) => return (ABNORMAL, shown(&error.0), false),
                Turn::Heard(Some(Ok(Heard::Closed(code, reason)))) => return (code, shown(&reason), false),
                Turn::Heard(Some(Ok(heard))) => {
                    heard_at = alarm.now();
                    pinged = false;
                    if self.parts.allowed.scopes(&self.request.url).is_empty() {
                        let _closed = wire.writer.close(POLICY, "").await;
                        return (POLICY, "the grant is gone".to_owned(), true);
                    }
                    if let Heard::Frame(frame) = heard {
                        if frame.len() > self.parts.allowed.frame_bytes(&self.request.url) {
                            let _closed = wire.writer.close(TOO_BIG, "").await;
                            return (TOO_BIG, "a frame was longer than its limit".to_owned(), false);
                        }
                        if let Some(permit) = room.take() {
                            permit.send(self.mail(frame));
                        }
                    }
                    continue;
                }
                Turn::Silence if pinged => return (ABNORMAL, "the peer is silent".to_owned(), false),
                Turn::Silence => {
                    pinged = true;
                    tokio::time::timeout(PATIENCE, wire.writer.ping()).await
                }
                Turn::Send(frame) => tokio::time::timeout(PATIENCE, wire.writer.frame(frame)).await,
            };
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return (ABNORMAL, shown(&error.0), false),
                Err(_) => return (ABNORMAL, "the peer does not read".to_owned(), false),
            }
        }
    }

    fn mail(&self, frame: Frame) -> Mail {
        let (is_text, data) = match frame {
            Frame::Text(text) => (true, text.into_bytes()),
            Frame::Binary(bytes) => (false, bytes),
        };
        let happening =
            Happening::SocketFrame { socket: self.id, name: self.request.name.clone(), is_text, data };
        Mail::happened(&*self.parts.ids, self.parts.alarm.now(), happening)
    }

    async fn tell(&self, happening: Happening) {
        let mail = Mail::happened(&*self.parts.ids, self.parts.alarm.now(), happening);
        tokio::select! {
            biased;
            () = self.parts.stop.cancelled() => {}
            _ = self.parts.mailbox.send(mail) => {}
        }
    }
}

enum Turn {
    End,
    Send(Frame),
    Room(Option<OwnedPermit<Mail>>),
    Heard(Option<Result<Heard, super::wire::DialError>>),
    Silence,
}

/// The wait before another attempt: doubled with each failure, and up to a quarter longer, so that many do not come back
/// at once.
pub(super) fn back_off(failures: u32, ids: &dyn Ids) -> Duration {
    let wait = BACK_OFF.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LONGEST);
    let (_, low) = ids.uuid().as_u64_pair();
    let share = u32::try_from(low % 250).unwrap_or(0);
    wait + wait * share / 1000
}

/// A reason of somebody else, without what a terminal would take for more.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Zero;

    impl Ids for Zero {
        fn uuid(&self) -> uuid::Uuid {
            uuid::Uuid::from_u128(249)
        }
    }

    #[test]
    fn the_wait_doubles_has_an_end_and_is_never_the_same_for_all() {
        let seconds = |failures| back_off(failures, &Zero).as_secs_f64();

        assert!((seconds(0) - 1.249).abs() < 1e-9);
        assert!((seconds(3) - 8.0 * 1.249).abs() < 1e-6);
        assert!((seconds(40) - 300.0 * 1.249).abs() < 1e-6);
    }
}
