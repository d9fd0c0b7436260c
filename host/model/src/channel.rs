//! Channels: plugins that are surfaces where people are, and what the host keeps for them.

use std::time::Duration;

use serde_json::Value;

use crate::{DeliveryId, EndpointId, PluginId, Timestamp, WorkspaceId, word_enum};

/// A channel plugin's binding to this host.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    pub plugin: PluginId,
    /// Under which Core knows it.
    pub endpoint: EndpointId,
    /// Its conversations belong to it.
    pub workspace: WorkspaceId,
    /// The component that described itself and wished; another one is asked anew.
    pub digest: String,
    /// What the paths of its web addresses end with.
    pub hook_token: String,
    /// What the component says of itself.
    pub description: Value,
    /// What its last start wished.
    pub wishes: Value,
    /// What its last start left for the next one.
    pub state: Vec<u8>,
    /// The provider's position behind the last batch that was taken.
    pub position: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A timer that a channel wished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelTimer {
    pub plugin: PluginId,
    pub name: String,
    pub every: Option<Duration>,
    /// The wish for a first time, to see whether a wish is the one that is known.
    pub first_at: Option<Timestamp>,
    /// `None` once it has fired for the last time.
    pub next_at: Option<Timestamp>,
}

/// How far a request has come that the host makes again and again for a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollState {
    /// Stands for the request; what is known of the answers to another one does not count.
    pub request: String,
    /// The cursor of the next request; `None` before there was an answer that named one.
    pub cursor: Option<String>,
    /// What the server calls the last answer; empty when it does not.
    pub etag: String,
    /// When the server says that the last answer was new; empty when it does not.
    pub modified: String,
    /// Stands for the answer that was told last.
    pub seen: String,
    /// Answers that were told.
    pub told: u64,
}

word_enum!(
    /// Where an event stands.
    pub enum ChannelEventStatus {
        /// To be handed over.
        Pending = "pending",
        /// Laid aside: the guest broke off over it, or refused it.
        Parked = "parked",
    }
);

/// An event that a channel has not dealt with.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelEvent {
    /// The same when it is handed over again.
    pub id: String,
    pub plugin: PluginId,
    /// `timer`, `socket_frame`, `webhook` …
    pub kind: String,
    pub payload: Value,
    pub status: ChannelEventStatus,
    pub attempts: u32,
    /// What went wrong last.
    pub error: String,
    /// Not before this time.
    pub available_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What became of a part of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartOutcome {
    Sent(SentPart),
    RetryAfter(Duration),
    /// Nobody knows; it is not sent again.
    Ambiguous,
    /// A word for programs says why.
    Permanent(String),
    Unauthorized,
    WindowClosed,
}

/// A part that the provider has taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentPart {
    /// The provider's id of the message.
    pub reference: String,
    /// Sends that the provider still allows to the address.
    pub remaining: Option<u32>,
    pub until: Option<Timestamp>,
}

word_enum!(
    /// Where a part of a delivery stands.
    pub enum PartStatus {
        /// Not sent, as far as is known for sure.
        Open = "open",
        /// On its way: who finds this after a crash does not know.
        Begun = "begun",
        Sent = "sent",
        Ambiguous = "ambiguous",
        Failed = "failed",
    }
);

/// A part of a delivery to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPart {
    pub delivery: DeliveryId,
    /// Counts from 0.
    pub index: u32,
    /// What is sent; cut once, so that every attempt sends the same.
    pub text: String,
    pub status: PartStatus,
    /// The provider's id, once it is sent.
    pub reference: String,
    pub error: String,
    pub updated_at: Timestamp,
}
