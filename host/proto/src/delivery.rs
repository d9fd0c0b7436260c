//! What Core tells: events of runs, messages, notices, operations; and what a provider reports back.

use serde::Serialize;
use serde_json::Value;

use crate::JsonMap;
use crate::fields::Fields;

/// The part behind `delivery.` of the frames that Core sends by itself.
pub mod kind {
    pub const RUN_EVENT: &str = "run_event";
    pub const MESSAGE: &str = "message";
    pub const NOTICE: &str = "notice";
    pub const OPERATION_UPDATE: &str = "operation_update";
}

/// The payload of `delivery.run_event`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunEvent {
    pub event_id: String,
    pub run_id: String,
    pub thread_id: String,
    pub session_id: String,
    /// Grows over all events of the host; a subscription that starts behind it misses nothing and repeats nothing.
    /// An event that is not durable carries the seq of the last durable one that was told before it.
    pub seq: i64,
    #[serde(rename = "type")]
    pub kind: String,
    pub payload: JsonMap,
    /// Whether the event is stored, and thus replayed.
    pub durable: bool,
    pub turn_id: String,
    pub stream_id: String,
    /// RFC 3339.
    pub created_at: String,
}

impl RunEvent {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            event_id: fields.text(&["event_id"]),
            run_id: fields.text(&["run_id"]),
            thread_id: fields.text(&["thread_id"]),
            session_id: fields.text(&["session_id"]),
            seq: fields.int(&["seq"]).unwrap_or(0),
            kind: fields.text(&["type"]),
            payload: fields.object(&["payload"]),
            durable: fields.flag(&["durable"]).unwrap_or(false),
            turn_id: fields.text(&["turn_id"]),
            stream_id: fields.text(&["stream_id"]),
            created_at: fields.text(&["created_at"]),
        }
    }
}

/// The payload of `delivery.operation_update`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct OperationUpdate {
    pub thread_id: String,
    pub workspace_id: String,
    pub operation_id: String,
    pub title: String,
    pub operation_type: String,
    /// `core`, `plugin` or `endpoint`.
    pub execution_target: String,
    pub execution_target_id: String,
    pub target_endpoint_id: String,
    pub tool_key: String,
    pub tool_id: String,
    pub call_id: String,
    pub status: String,
    /// `dispatched`, `accepted`, `running`, `completed`, `failed`, `cancelled`.
    pub phase: String,
    pub detail: String,
    pub routing_reason: String,
    pub routing_decision: Value,
    pub approval_id: String,
    pub approval_status: String,
    pub approval_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// `delivery.result` and `delivery.error`: what became of a delivery at its provider.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DeliveryResult {
    pub delivery_id: String,
    pub status: String,
    pub error: JsonMap,
    pub metadata: JsonMap,
}

impl DeliveryResult {
    /// `default_status` stands for a status that is not there.
    pub fn read(fields: Fields<'_>, envelope_id: Option<&str>, default_status: &str) -> Self {
        let id = fields.maybe_text(&["delivery_id"]).or_else(|| envelope_id.map(str::to_owned));
        Self {
            delivery_id: id.unwrap_or_default(),
            status: fields.maybe_text(&["status"]).unwrap_or_else(|| default_status.to_owned()),
            error: fields.object(&["error"]),
            metadata: fields.object(&["metadata"]),
        }
    }

    /// Whether the status is one of the words for success.
    pub fn is_success(&self) -> bool {
        ["ok", "sent", "delivered", "succeeded", "success"]
            .iter()
            .any(|word| self.status.eq_ignore_ascii_case(word))
    }
}

/// `delivery.result.ack`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeliveryResultAck {
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub delivery_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt_status: Option<String>,
}

impl DeliveryResultAck {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            ok: fields.flag(&["ok"]).unwrap_or(false),
            status: fields.maybe_text(&["status"]),
            reason: fields.maybe_text(&["reason"]),
            delivery_id: fields.text(&["delivery_id"]),
            queued: fields.flag(&["queued"]),
            attempt_status: fields.maybe_text(&["attempt_status"]),
        }
    }
}
