//! What a channel is told, and the form in which it is laid aside.

use berth_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wit::v0_1::channel as wit;

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Happening {
    Timer {
        name: String,
    },
    SocketFrame {
        socket: u64,
        name: String,
        is_text: bool,
        #[serde(with = "base64_bytes")]
        data: Vec<u8>,
    },
    SocketOpened(SocketState),
    SocketClosed(SocketState),
    SocketWanted {
        name: String,
    },
    PollAnswered(PollAnswer),
    ApprovalAnswered {
        pending_id: String,
        approved: bool,
        reason: String,
    },
    /// A request that was laid aside; nobody waits for its answer any more.
    Webhook(HookCall),
}

/// A socket that is open or has closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketState {
    pub socket: u64,
    pub name: String,
    pub code: u16,
    pub reason: String,
    pub reconnects: bool,
}

/// What a poll was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollAnswer {
    pub name: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    #[serde(with = "base64_bytes")]
    pub body: Vec<u8>,
    /// The cursor that it was asked with.
    pub cursor: String,
}

/// A request to a web address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCall {
    pub hook: String,
    pub method: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    #[serde(with = "base64_bytes")]
    pub body: Vec<u8>,
}

impl Happening {
    /// The word that lists show.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Timer { .. } => "timer",
            Self::SocketFrame { .. } => "socket_frame",
            Self::SocketOpened(_) => "socket_opened",
            Self::SocketClosed(_) => "socket_closed",
            Self::SocketWanted { .. } => "socket_wanted",
            Self::PollAnswered(_) => "poll_answered",
            Self::ApprovalAnswered { .. } => "approval_answered",
            Self::Webhook(_) => "webhook",
        }
    }

    /// As the guest gets it; a request goes another way.
    pub(crate) fn event(&self, id: &str, attempt: u32, at: Timestamp) -> Result<wit::Event, HookCall> {
        let what = match self.clone() {
            Self::Timer { name } => wit::Occurrence::Timer(name),
            Self::SocketFrame { socket, name, is_text, data } => {
                wit::Occurrence::SocketFrame(wit::Frame { socket, name, is_text, data })
            }
            Self::SocketOpened(state) => wit::Occurrence::SocketOpened(state.into()),
            Self::SocketClosed(state) => wit::Occurrence::SocketClosed(state.into()),
            Self::SocketWanted { name } => wit::Occurrence::SocketWanted(name),
            Self::PollAnswered(answer) => wit::Occurrence::PollAnswered(answer.into()),
            Self::ApprovalAnswered { pending_id, approved, reason } => {
                wit::Occurrence::ApprovalAnswered(wit::ApprovalAnswer { pending_id, approved, reason })
            }
            Self::Webhook(call) => return Err(call),
        };
        Ok(wit::Event { id: id.to_owned(), attempt, at_ms: millis(at), what, meta: Vec::new() })
    }
}

impl HookCall {
    pub(super) fn request(self, id: &str) -> wit::WebhookRequest {
        wit::WebhookRequest {
            id: id.to_owned(),
            hook: self.hook,
            method: self.method,
            query: self.query,
            headers: self.headers,
            body: self.body,
            meta: Vec::new(),
        }
    }
}

impl From<SocketState> for wit::SocketState {
    fn from(state: SocketState) -> Self {
        Self {
            socket: state.socket,
            name: state.name,
            code: state.code,
            reason: state.reason,
            reconnects: state.reconnects,
        }
    }
}

impl From<PollAnswer> for wit::PollAnswer {
    fn from(answer: PollAnswer) -> Self {
        let PollAnswer { name, status, headers, body, cursor } = answer;
        Self { name, status, headers, body, cursor, meta: Vec::new() }
    }
}

/// Milliseconds of the Unix epoch.
pub(crate) fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_micros() / 1000).unwrap_or(0)
}

pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_laid_aside_comes_back_as_it_was() {
        let state = SocketState {
            socket: 1,
            name: "s".to_owned(),
            code: 1006,
            reason: "x".to_owned(),
            reconnects: true,
        };
        let call = HookCall {
            hook: "h".to_owned(),
            method: "POST".to_owned(),
            query: "a=1".to_owned(),
            headers: vec![("x-a".to_owned(), "1".to_owned())],
            body: vec![0, 255],
        };
        let answer = PollAnswer {
            name: "p".to_owned(),
            status: 200,
            headers: Vec::new(),
            body: vec![0, 255],
            cursor: "7".to_owned(),
        };
        let (name, reason) = ("n".to_owned(), String::new());
        for happening in [
            Happening::Timer { name: name.clone() },
            Happening::SocketFrame { socket: 2, name: name.clone(), is_text: false, data: vec![0, 159] },
            Happening::SocketOpened(state.clone()),
            Happening::SocketClosed(state),
            Happening::SocketWanted { name: name.clone() },
            Happening::PollAnswered(answer),
            Happening::ApprovalAnswered { pending_id: name, approved: true, reason },
            Happening::Webhook(call),
        ] {
            let stored = serde_json::to_value(&happening).unwrap();

            assert_eq!(stored["kind"], happening.kind());
            assert_eq!(serde_json::from_value::<Happening>(stored).unwrap(), happening);
        }
    }
}
