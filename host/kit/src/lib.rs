//! Tests plugins without a host: stories in files, told to the real engine.
//!
//! [`Subject`] is a built plugin, [`Story`] a file of cases, [`run()`] tells the cases of one to the other. A case says what
//! lies outside of the sandbox: answers of servers, programs, endpoints and people, pairs, secrets, files, time and chance.
//! Everything in between is what a host runs: limits, linker, grants, the broker with its TLS, secrets and scans. A fault
//! is therefore played at the far end of what the guest uses, never in its place.
//!
//! To add a fake: a table of [`story`], a port of the engine below [`fake`], its line in `world.rs`.

mod channel;
pub mod error;
pub mod fake;
pub mod http;
pub mod matching;
pub mod outcome;
pub mod report;
pub mod run;
pub mod story;
pub mod subject;
pub mod suite;
pub mod time;
pub mod world;

pub use error::KitError;
pub use report::{CaseReport, Detail, Failure, Report};
pub use run::{Recording, run};
pub use story::Story;
pub use subject::Subject;
pub use suite::{Options, test};
