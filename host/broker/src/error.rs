//! Why a request did not leave, or its answer did not arrive.

use std::net::IpAddr;
use std::time::Duration;

use crate::address::Range;
use crate::policy::Denied;
use crate::target::{Host, Origin, TargetError};

/// A part of a request that has a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Resolve,
    Connect,
    Tls,
    /// From the request to the head of its answer.
    FirstByte,
    /// From one piece of a body to the next.
    BetweenBytes,
}

impl Phase {
    /// The phase in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "looking up the name",
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::FirstByte => "waiting for the answer",
            Self::BetweenBytes => "waiting for more of the body",
        }
    }
}

/// A request that failed. No variant holds a secret, a body or a query.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error(transparent)]
    Url(#[from] TargetError),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(
        "{host} leads to {ip}, which is {}: a grant of the operator has to name it{}",
        range.as_str(),
        if matches!(host, Host::Name(_)) { format!(" (\"addresses\": [\"{ip}\"])") } else { String::new() }
    )]
    AddressClosed { host: Host, ip: IpAddr, range: Range },
    #[error("{host} has no address: {message}")]
    Unresolved { host: Host, message: String },
    #[error("{origin} cannot be reached: {source}")]
    Connect { origin: Origin, source: std::io::Error },
    #[error("{origin} does not prove its name: {message}")]
    Tls { origin: Origin, message: String },
    #[error("{} took longer than {} ms", phase.as_str(), after.as_millis())]
    Timeout { phase: Phase, after: Duration },
    #[error("the time of the call is over")]
    Deadline,
    #[error("the call was cancelled")]
    Cancelled,
}

impl BrokerError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "HTTP_URL_INVALID",
            Self::Denied(_) => "HTTP_DENIED",
            Self::AddressClosed { .. } => "HTTP_ADDRESS_CLOSED",
            Self::Unresolved { .. } => "HTTP_NAME_UNRESOLVED",
            Self::Connect { .. } => "HTTP_CONNECT_FAILED",
            Self::Tls { .. } => "HTTP_TLS_FAILED",
            Self::Timeout { .. } => "HTTP_TIMEOUT",
            Self::Deadline => "HTTP_DEADLINE",
            Self::Cancelled => "HTTP_CANCELLED",
        }
    }

    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Denied(denied) => denied.retryable,
            Self::Unresolved { .. } | Self::Connect { .. } | Self::Timeout { .. } | Self::Deadline => true,
            Self::Url(_) | Self::AddressClosed { .. } | Self::Tls { .. } | Self::Cancelled => false,
        }
    }

    /// Whether the request was kept from leaving by what its caller may do.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Url(_) | Self::Denied(_) | Self::AddressClosed { .. })
    }
}
