//! Ids, states and decisions of berth, as plain values: no IO, no async, no wire format.
//!
//! A new aggregate is one more file here; its wire form belongs to `berth-proto` or `berth-http`, its rows to
//! `berth-store`.

pub mod approval;
pub mod audit;
pub mod channel;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod generation;
pub mod grant;
pub mod id;
pub mod message;
pub mod operation;
pub mod origin;
pub mod plugin;
pub mod run;
pub mod secret;
pub mod session;
pub mod thread;
pub mod time;
pub mod tool;
pub mod word;
pub mod workspace;

pub use id::*;
pub use origin::Origin;
pub use time::Timestamp;

/// A JSON object; every `metadata` column holds one.
pub type JsonMap = serde_json::Map<String, serde_json::Value>;
