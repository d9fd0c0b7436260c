//! What a channel hands over, and the sockets that are kept for it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use async_trait::async_trait;
use berth_model::channel::PartOutcome;
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::inbound::{InboundAddress, InboundMessage, Inbox, Taken};
use berth_wasm::capability::websocket::{ConnectRequest, Frame, Sockets};
use serde_json::{Value, json};

use super::lock;

/// Keeps what comes in.
#[derive(Default)]
pub struct Mail {
    told: Mutex<Vec<Value>>,
    seen: Mutex<HashSet<String>>,
    position: Mutex<Option<String>>,
}

impl Mail {
    /// What was handed over since the last time.
    pub fn take(&self) -> Vec<Value> {
        std::mem::take(&mut *lock(&self.told))
    }

    /// What was acknowledged last, if anything was since the last time.
    pub fn position(&self) -> Option<String> {
        lock(&self.position).take()
    }

    fn tell(&self, what: Value) {
        lock(&self.told).push(what);
    }
}

#[async_trait]
impl Inbox for Mail {
    async fn message(&self, message: InboundMessage) -> Result<Taken, CapabilityError> {
        let duplicate = !lock(&self.seen).insert(message.message_id.clone());
        self.tell(json!({
            "message": message.message_id,
            "address": message.address.external_ref,
            "from": message.sender_ref,
            "text": message.text,
            "conversation": message.conversation,
            "in_reply_to": message.in_reply_to,
            "attachments": message.attachments.iter().map(|one| &one.reference).collect::<Vec<_>>(),
            "wants_reply": message.wants_reply,
            "duplicate": duplicate,
        }));
        Ok(Taken {
            message_id: format!("msg_{}", message.message_id),
            thread_id: format!("thr_{}", message.address.external_ref),
            run_id: if message.wants_reply && !duplicate { "run_1".to_owned() } else { String::new() },
            duplicate,
        })
    }

    async fn address_seen(&self, address: InboundAddress) -> Result<String, CapabilityError> {
        let id = format!("adr_{}", address.external_ref);
        self.tell(json!({ "address_seen": address.external_ref, "kind": address.kind }));
        Ok(id)
    }

    async fn delivery_update(
        &self,
        delivery: &str,
        part: u32,
        outcome: PartOutcome,
    ) -> Result<(), CapabilityError> {
        self.tell(json!({ "delivery": delivery, "part": part, "outcome": shown(&outcome) }));
        Ok(())
    }

    async fn ack(&self, batch_token: &str) -> Result<(), CapabilityError> {
        self.tell(json!({ "ack": batch_token }));
        *lock(&self.position) = Some(batch_token.to_owned());
        Ok(())
    }
}

/// An outcome in the words of the WIT.
pub fn shown(outcome: &PartOutcome) -> Value {
    match outcome {
        PartOutcome::Sent(sent) => json!({ "tag": "sent", "val": {
            "ref": sent.reference,
            "remaining": sent.remaining,
            "until_ms": sent.until.map(|until| until.as_micros() / 1000),
        } }),
        PartOutcome::RetryAfter(span) => {
            json!({ "tag": "retry-after", "val": u64::try_from(span.as_millis()).unwrap_or(u64::MAX) })
        }
        PartOutcome::Permanent(code) => json!({ "tag": "permanent", "val": code }),
        PartOutcome::Unauthorized => json!({ "tag": "unauthorized" }),
        PartOutcome::WindowClosed => json!({ "tag": "window-closed" }),
        PartOutcome::Ambiguous => json!({ "tag": "ambiguous" }),
    }
}

/// Sockets that take every frame.
#[derive(Default)]
pub struct OpenSockets {
    open: Mutex<BTreeMap<u64, ConnectRequest>>,
    frames: Mutex<Vec<String>>,
    /// The number of the last one.
    last: Mutex<u64>,
}

impl OpenSockets {
    /// What was sent, as `NAME TEXT`.
    pub fn frames(&self) -> Vec<String> {
        lock(&self.frames).clone()
    }

    /// The socket of this name, opened when the channel did not do it itself.
    pub fn named(&self, name: &str, url: &str) -> u64 {
        let known = lock(&self.open).iter().find(|(_, request)| request.name == name).map(|(id, _)| *id);
        known.unwrap_or_else(|| {
            self.open(ConnectRequest {
                name: name.to_owned(),
                url: url.to_owned(),
                headers: Vec::new(),
                protocols: Vec::new(),
                reconnect: false,
            })
        })
    }

    /// Closes the socket of this name.
    pub fn forget(&self, name: &str) {
        lock(&self.open).retain(|_, request| request.name != name);
    }

    fn open(&self, request: ConnectRequest) -> u64 {
        self.forget(&request.name);
        let mut last = lock(&self.last);
        *last += 1;
        lock(&self.open).insert(*last, request);
        *last
    }
}

fn unknown(socket: u64) -> CapabilityError {
    CapabilityError::new("SOCKET_UNKNOWN", format!("there is no socket {socket}, or it has closed"))
}

#[async_trait]
impl Sockets for OpenSockets {
    fn covers(&self, scope: &Value, url: &str) -> bool {
        let hosts = scope["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
        hosts.into_iter().any(|host| {
            let behind = url.strip_prefix(host.trim_end_matches('/'));
            behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(['/', '?']))
        })
    }

    async fn connect(&self, request: ConnectRequest, most: usize) -> Result<u64, CapabilityError> {
        if lock(&self.open).len() >= most {
            return Err(CapabilityError::new("SOCKET_LIMIT", format!("{most} sockets are open")));
        }
        Ok(self.open(request))
    }

    fn address(&self, socket: u64) -> Result<String, CapabilityError> {
        lock(&self.open).get(&socket).map(|request| request.url.clone()).ok_or_else(|| unknown(socket))
    }

    async fn send(&self, socket: u64, frame: Frame) -> Result<(), CapabilityError> {
        let name = lock(&self.open).get(&socket).map(|request| request.name.clone());
        let name = name.ok_or_else(|| unknown(socket))?;
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(bytes) => format!("({} bytes)", bytes.len()),
        };
        lock(&self.frames).push(format!("{name} {text}"));
        Ok(())
    }

    async fn close(&self, socket: u64, code: u16, _: &str) {
        if let Some(request) = lock(&self.open).remove(&socket) {
            lock(&self.frames).push(format!("{} (close {code})", request.name));
        }
    }
}
