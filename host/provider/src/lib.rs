//! The client side of the endpoint socket: what a native provider is built from.
//!
//! A provider is a set of [`Tools`] with an [`Identity`], run by [`Provider::run`]: it connects, says hello, lists its
//! capabilities, answers calls and comes back after every loss of the connection until it is told to stop.
//! A new capability is one [`Capability`] and one [`Handler`], a plain function in most cases:
//!
//! ```
//! use berth_provider::{Answer, CallContext, Capability, Identity, Provider, Token};
//! use serde_json::json;
//!
//! async fn double(call: CallContext) -> Answer {
//!     #[derive(serde::Deserialize)]
//!     #[serde(deny_unknown_fields)]
//!     struct Arguments {
//!         number: i32,
//!     }
//!     let Arguments { number } = call.parse()?;
//!     Ok(json!({ "number": i64::from(number) * 2 }))
//! }
//!
//! let provider = Provider::builder("http://127.0.0.1:8787", Token::new("secret"), Identity::executor("edge", "lab1"))
//!     .capability(Capability::new("math.double", "Double", "Doubles a number"), double)
//!     .build()?;
//! # Ok::<(), berth_provider::BuildError>(())
//! ```
//!
//! **Invariant:** a call gets at most one last frame, on the connection that brought it.

mod backoff;
mod call;
mod capability;
mod connect;
mod credentials;
mod error;
mod identity;
mod log;
mod operations;
mod provider;
mod report;
mod running;
mod session;
mod shutdown;
mod tools;
mod wire;
mod writer;

pub use backoff::Backoff;
pub use call::{Answer, CallContext, CallError, Handler};
pub use capability::{Capability, Concurrency, RiskLevel};
pub use connect::{Dial, DialError, Socket, Stream};
pub use credentials::{NoToken, Token};
pub use error::{BuildError, Stopped};
pub use identity::{Identity, host_facts};
pub use log::{LogError, log_to_stderr};
pub use provider::{Builder, Limits, Provider, Status};
pub use report::{Finding, Report};
pub use shutdown::on_signals;
pub use tools::Tools;
