//! The use cases of berth: everything that happens to threads, runs, tools and deliveries.
//!
//! Core knows no transport and no database: what it needs it says as a port ([`port`]), and `berth` plugs the real
//! ones in. One use case is one transaction; the change of state and its run event share it.

pub mod bus;
pub mod error;
pub mod port;

pub use error::CoreError;
