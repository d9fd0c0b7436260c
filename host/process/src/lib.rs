//! The command broker: programs of the host that plugins may run, by id and by rule, and what is around each of them.
//!
//! [`Policy`] is what the operator wrote, [`Policy::check`] decides about arguments without running anything, [`Broker`]
//! runs what it allows, [`launch`] is what stands between the host and a program.

pub mod broker;
pub mod error;
pub mod launch;
pub mod layers;
pub mod policy;
pub mod rule;

pub use broker::{Broker, Folder, Hear, Output, Request};
pub use error::ProcessError;
pub use layers::{Layer, Layers};
pub use policy::{Policy, PolicyError};
pub use rule::{Allowed, Refused};
