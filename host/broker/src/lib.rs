//! What leaves the machine over HTTP, and what may not: one broker for plugins and for the host's own clients.
//!
//! A request is normalised ([`Target`]), compared with what its caller may reach ([`Scope`]), resolved by our resolver,
//! and dialled at exactly the addresses that were vetted ([`address`]); secrets are put in on the way out, and looked for on
//! the way back. The crate knows nothing of plugins: who asks is a
//! name, what it may do is an [`Authority`].

pub mod address;
mod answer;
pub mod bounds;
pub mod broker;
pub mod connect;
pub mod error;
mod fill;
pub mod limits;
pub mod net;
pub mod path;
mod placed;
pub mod policy;
pub mod receipt;
pub mod redirect;
pub mod request;
mod scan;
pub mod scope;
pub mod secret;
mod send;
pub mod target;
pub mod tls;

pub use address::Range;
pub use answer::ResponseBody;
pub use bounds::{Bounds, Pace, Timeouts};
pub use broker::{Broker, BrokerParts};
pub use connect::Connection;
pub use error::{BrokerError, Phase};
pub use limits::Limits;
pub use net::{Dialer, Resolver, Stream, SystemResolver, TcpDialer};
pub use policy::{Authority, Denied, OutboundPolicy, Permit, Use};
pub use receipt::{NoReceipts, Receipt, Receipts};
pub use request::{BodyError, RequestBody, is_forbidden_header, no_body, whole_body};
pub use scan::{Finder, Unsearchable};
pub use scope::{Asker, OriginPattern, Scope, ScopeError};
pub use secret::{NoSecrets, Place, Secret, SecretRefused, SecretSource, SecretValue};
pub use send::Caller;
pub use target::{Host, Origin, Scheme, Target, TargetError};
pub use tls::Tls;
