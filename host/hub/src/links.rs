//! The live sockets, and Core's way to them.

mod call;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use berth_core::port::endpoint_link::{EndpointCall, EndpointLink, OutboundDelivery};
use berth_model::tool::{Blame, ToolFailure};
use berth_model::{CallId, EndpointId, ThreadId};
use berth_proto::{CoreFrame, JsonMap};
use serde_json::Value;
use tokio::sync::Notify;

use call::Pending;
pub(crate) use call::Step;

use crate::outbound::Outbound;

/// Names a socket; a newer one has a higher number.
pub(crate) type SocketId = u64;

/// Every bound socket and every call in flight. Made before Core, which gets it as its `EndpointLink`.
#[derive(Default)]
pub struct Links {
    state: Mutex<State>,
    /// Rung when a call ends.
    ended: Notify,
    /// What sensitive arguments are encrypted with; empty for none.
    secret: OnceLock<String>,
}

#[derive(Default)]
struct State {
    last: SocketId,
    sockets: BTreeMap<SocketId, Socket>,
    calls: HashMap<CallId, Pending>,
}

struct Socket {
    outbound: Outbound,
    endpoints: Vec<EndpointId>,
    /// Those of `endpoints` whose capabilities this socket has told.
    providing: HashSet<EndpointId>,
    /// Threads whose events this socket hears: it is the socket of one chat, not of the whole channel.
    threads: HashSet<ThreadId>,
}

impl Socket {
    fn serves(&self, endpoint: &EndpointId) -> bool {
        self.endpoints.contains(endpoint)
    }
}

impl Links {
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn share_secret(&self, secret: String) {
        // A second hub on the same links has the same configuration.
        let _ = self.secret.set(secret);
    }

    /// A short-lived lock: every change under it is one step, so one whose holder panicked is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(&self, outbound: Outbound) -> SocketId {
        let mut state = self.state();
        state.last += 1;
        let id = state.last;
        let socket =
            Socket { outbound, endpoints: Vec::new(), providing: HashSet::new(), threads: HashSet::new() };
        state.sockets.insert(id, socket);
        id
    }

    /// Binds a socket to `endpoints` and to no others; tells which of those it had before have no socket left.
    pub(crate) fn bind(&self, id: SocketId, endpoints: Vec<EndpointId>) -> Vec<EndpointId> {
        let mut state = self.state();
        let Some(socket) = state.sockets.get_mut(&id) else { return Vec::new() };
        socket.providing.retain(|endpoint| endpoints.contains(endpoint));
        let before = std::mem::replace(&mut socket.endpoints, endpoints);
        state.without_socket(before)
    }

    /// Notes that a socket has told what `endpoint` can do, so that calls may go to it.
    pub(crate) fn provides(&self, id: SocketId, endpoint: &EndpointId) {
        if let Some(socket) = self.state().sockets.get_mut(&id) {
            socket.providing.insert(endpoint.clone());
        }
    }

    /// Notes which threads a socket follows.
    pub(crate) fn follows(&self, id: SocketId, threads: HashSet<ThreadId>) {
        if let Some(socket) = self.state().sockets.get_mut(&id) {
            socket.threads = threads;
        }
    }

    /// Forgets a socket and fails its calls; tells which endpoints have no socket left.
    pub(crate) fn close(&self, id: SocketId) -> Vec<EndpointId> {
        let (lost, gone) = {
            let mut state = self.state();
            let Some(socket) = state.sockets.remove(&id) else { return Vec::new() };
            let lost: Vec<Pending> =
                state.calls.extract_if(|_, call| call.socket == id).map(|(_, call)| call).collect();
            (lost, state.without_socket(socket.endpoints))
        };
        for call in lost {
            call.disconnected();
        }
        self.ended.notify_waiters();
        gone
    }

    /// Ends when a socket has no call in flight.
    pub(crate) async fn idle(&self, id: SocketId) {
        loop {
            let ended = self.ended.notified();
            if !self.state().calls.values().any(|call| call.socket == id) {
                return;
            }
            ended.await;
        }
    }

    /// The socket for a delivery: never the one of another chat, which would drop it without a word.
    fn outbound_for(&self, delivery: &OutboundDelivery) -> Option<Outbound> {
        let state = self.state();
        let bound = || state.sockets.values().rev().filter(|socket| socket.serves(&delivery.endpoint));
        let of_channel = bound().find(|socket| socket.threads.is_empty());
        let of_chat = || {
            bound().find(|socket| {
                delivery.address.is_none()
                    || delivery.threads.iter().any(|thread| socket.threads.contains(thread))
            })
        };
        of_channel.or_else(of_chat).map(|socket| socket.outbound.clone())
    }
}

impl State {
    fn without_socket(&self, mut endpoints: Vec<EndpointId>) -> Vec<EndpointId> {
        endpoints.retain(|endpoint| !self.sockets.values().any(|socket| socket.serves(endpoint)));
        endpoints
    }
}

#[async_trait]
impl EndpointLink for Links {
    fn connected(&self) -> HashSet<EndpointId> {
        self.state().sockets.values().flat_map(|socket| socket.endpoints.iter().cloned()).collect()
    }

    fn is_connected(&self, endpoint: &EndpointId) -> bool {
        self.state().sockets.values().any(|socket| socket.serves(endpoint))
    }

    async fn call(&self, call: EndpointCall) -> Result<Value, ToolFailure> {
        call::run(self, call).await
    }

    async fn deliver(&self, delivery: OutboundDelivery) -> bool {
        let Some(outbound) = self.outbound_for(&delivery) else { return false };
        let mut payload = match delivery.payload {
            Value::Object(payload) => payload,
            other => JsonMap::from_iter([("content".to_owned(), other)]),
        };
        let id = delivery.id.to_string();
        payload.insert("delivery_id".to_owned(), id.clone().into());
        let mut frame = CoreFrame::Delivery { kind: delivery.kind, payload }.envelope();
        frame.target_endpoint_id = Some(delivery.endpoint.to_string());
        frame.delivery_id = Some(id);
        let sent = outbound.push(frame.write());
        if let Err(error) = sent {
            tracing::warn!(%error, delivery.id = %delivery.id, endpoint.id = %delivery.endpoint, "a delivery was not sent");
        }
        sent.is_ok()
    }
}

fn failure(code: &str, message: String, blame: Blame) -> ToolFailure {
    ToolFailure::new(code, message, blame)
}

#[cfg(test)]
mod tests;
