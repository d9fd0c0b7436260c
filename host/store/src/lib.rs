//! Core's store port in SQL, for SQLite and PostgreSQL.
//!
//! Every statement is written once: both dialects take the same text, `$1` parameters included, through
//! `sqlx::Any`. One file per aggregate; a new one is a repository trait in core, a file here, a migration, and its
//! stories in the contract suite, which runs on both databases.
//!
//! **Invariant:** one writer at a time, on both databases and in all hosts of one. A use case looks, decides and writes
//! without another in between.

mod approval;
mod audit;
mod channel;
mod delivery;
mod endpoint;
mod error;
mod event;
mod file;
mod generation;
mod grant;
mod keyvalue;
mod message;
mod operation;
mod plugin;
mod row;
mod run;
mod secret;
mod session;
mod sql;
mod thread;
mod url;
mod waiting;
mod workspace;

pub use sql::SqlStore;
pub use url::{BadDatabaseUrl, DatabaseUrl};
