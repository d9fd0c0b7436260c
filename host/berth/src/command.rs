//! One file per subcommand.

pub mod approvals;
pub mod chat;
pub mod compile;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod endpoints;
pub mod launch;
pub mod man;
pub mod migrate;
pub mod plugin;
pub mod policy;
pub mod runs;
pub mod secret;
pub mod send;
pub mod serve;
pub mod threads;
pub mod token;
