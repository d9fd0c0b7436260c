//! The wire `meetyou.endpoint.ws.v4`: every frame between Core and a provider, for both sides.
//!
//! Reading is tolerant, writing is strict. A frame is read in two steps: text to [`Envelope`], which can fail, and
//! envelope to [`ProviderFrame`] or [`CoreFrame`], which cannot: a field of the wrong type counts as absent, an absent
//! one has its default, an unknown one is ignored. Written frames always carry the fields that the other side needs.
//!
//! A new frame is one more payload struct in the file of its group, and one more variant in [`frame`].
//! Source: MeetYou V4, endpoint socket.

pub mod address;
pub mod delivery;
pub mod envelope;
pub mod fields;
pub mod frame;
pub mod lifecycle;
pub mod limits;
pub mod refusal;
pub mod sealed;
pub mod subscription;
pub mod tool;

pub use envelope::{BadFrame, Envelope};
pub use frame::{CoreFrame, ProviderFrame};

/// The schema of every frame.
pub const SCHEMA: &str = "meetyou.endpoint.ws.v4";
/// The version that both sides offer.
pub const VERSION: u64 = 4;
/// Where the socket is served.
pub const PATH: &str = "/endpoint/ws";

/// A JSON object.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;
