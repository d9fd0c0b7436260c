//! What the stories of several crates are told on: databases, a clock and ids that tests own, a form of answers
//! that snapshots can hold, and the error codes of sources and pages. Only tests depend on this crate, and a failed
//! set-up is a failed test: it panics.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a failed set-up is a failed test")]

pub mod codes;
mod database;
mod quiet;
mod time;
mod tool;
mod wire;

pub use database::on_each_database;
pub use quiet::{NoEndpoints, NoPlugins};
pub use time::{CountedIds, SteppedClock};
pub use tool::plugin_tool;
pub use wire::tidy;
