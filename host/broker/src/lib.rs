//! What leaves the machine over HTTP, and what may not: one broker for plugins and for the host's own clients.
//!
//! A request is normalised ([`Target`]), compared with what its caller may reach ([`Scope`]), resolved by our resolver,
//! and dialled at exactly the addresses that were vetted ([`address`]). The crate knows nothing of plugins: who asks is a
//! name, what it may do is an [`Authority`].

pub mod address;
pub mod bounds;
pub mod broker;
pub mod connect;
pub mod error;
pub mod net;
pub mod path;
pub mod policy;
pub mod scope;
pub mod target;
pub mod tls;

pub use address::Range;
pub use bounds::{Bounds, Timeouts};
pub use broker::{Broker, BrokerParts};
pub use connect::Connection;
pub use error::{BrokerError, Phase};
pub use net::{Dialer, Resolver, Stream, SystemResolver, TcpDialer};
pub use policy::{Authority, Denied, OutboundPolicy, Permit, Use};
pub use scope::{Asker, OriginPattern, Scope, ScopeError};
pub use target::{Host, Origin, Scheme, Target, TargetError};
pub use tls::Tls;
