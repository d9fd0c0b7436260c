//! Who wants to hear of what.

use serde::Serialize;

use crate::fields::Fields;

/// `subscription.start` and `subscription.update`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Subscription {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_id: String,
    /// `thread`, `run`, `operation`; any other word is taken and hears nothing.
    pub target_type: String,
    pub target_id: String,
    /// Replay begins behind this event.
    pub last_seen_event_seq: i64,
    /// Whether stored events are told first.
    pub replay: bool,
}

impl Subscription {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            subscription_id: fields.text(&["subscription_id"]),
            target_type: fields.text(&["target_type"]).to_lowercase(),
            target_id: fields.text(&["target_id"]),
            last_seen_event_seq: fields.int(&["last_seen_event_seq"]).unwrap_or(0).max(0),
            replay: fields.flag(&["replay"]).unwrap_or(true),
        }
    }
}

/// `subscription.stop`, by id or by target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SubscriptionStop {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subscription_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target_id: String,
}

impl SubscriptionStop {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            subscription_id: fields.text(&["subscription_id"]),
            target_type: fields.text(&["target_type"]).to_lowercase(),
            target_id: fields.text(&["target_id"]),
        }
    }
}

/// `subscription.ack`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SubscriptionAck {
    /// `start`, `update` or `stop`.
    pub action: String,
    pub subscription_id: String,
    pub target_type: String,
    pub target_id: String,
    pub active: bool,
    /// How many entries a stop removed; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
}

impl SubscriptionAck {
    pub fn read(fields: Fields<'_>) -> Self {
        Self {
            action: fields.text(&["action"]),
            subscription_id: fields.text(&["subscription_id"]),
            target_type: fields.text(&["target_type"]),
            target_id: fields.text(&["target_id"]),
            active: fields.flag(&["active"]).unwrap_or(false),
            removed: fields.int(&["removed"]).and_then(|removed| removed.try_into().ok()),
        }
    }
}
