//! Provider sessions on `/endpoint/ws`: handshake, calls, subscriptions, deliveries.
//!
//! [`Links`] is made first and given to Core as its `EndpointLink`; the [`Hub`] is made from Core and the same links,
//! and serves sockets. A session is one task per socket: it handles frames strictly in the order they come. Beside it
//! runs a writer, which owns the way out, its limits and the pings; each subscription is a task that feeds the writer.
//!
//! **Invariant:** a frame for an endpoint goes to exactly one socket, and only that socket's answer counts.
//!
//! A new frame is a variant in `berth-proto` and an arm in `session.rs`.

pub mod auth;
mod config;
mod feed;
mod hub;
mod links;
mod outbound;
mod session;
mod upgrade;
mod wire;
mod writer;

pub use config::{HubConfig, Timing};
pub use hub::{Hub, Peer};
pub use links::Links;
pub use upgrade::router;
pub use wire::{Incoming, Outgoing, SocketError};
