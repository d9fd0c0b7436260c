//! The use cases of berth: everything that happens to threads, runs, tools and deliveries.
//!
//! Core knows no transport and no database: what it needs it says as a port ([`port`]), and `berth` plugs the real
//! ones in. One use case is one transaction; the change of state and its run event share it.
//!
//! A use case is a method of [`Core`], in the file of its subject.

mod boot;
mod builtin;
pub mod bus;
pub mod catalogue;
pub mod channels;
mod core;
pub mod deliveries;
pub mod endpoints;
pub mod error;
pub mod gate;
pub mod inbound;
pub mod locale;
pub mod message_view;
pub mod messages;
pub mod operation_updates;
pub mod operations;
mod plain_text;
pub mod port;
mod recovery;
pub mod redact;
pub mod router;
mod run;
pub mod runs;
pub mod sessions;
pub mod threads;

pub use crate::core::{Core, CoreConfig, Ports, Status};
pub use bus::EventStream;
pub use error::CoreError;
