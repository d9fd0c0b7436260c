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
    #[error("{limit} requests are in flight, which is all that may be at once")]
    Busy { limit: u32 },
    #[error("more than {limit} requests in a minute: come back in {} ms", after.as_millis())]
    RateLimited { limit: u32, after: Duration },
    #[error("no request is made with the method `{method}`")]
    Method { method: String },
    #[error("the header `{name}` is set by the host alone")]
    Header { name: String },
    #[error("the request is larger than {limit} bytes")]
    RequestTooLarge { limit: u64 },
    #[error("the body of the request broke off: {message}")]
    RequestBody { message: String },
    #[error("the answer is larger than {limit} bytes")]
    ResponseTooLarge { limit: u64 },
    #[error("the body of the answer cannot be decoded: {message}")]
    Encoding { message: String },
    #[error("{origin} answers what is no HTTP: {message}")]
    Protocol { origin: Origin, message: String },
    #[error("more than {} redirects", crate::redirect::REDIRECTS)]
    TooManyRedirects,
    #[error("a redirect is not followed: {message}")]
    Redirect { message: &'static str },
    #[error("the secret `{name}` is not placed: {message}")]
    SecretRefused { name: String, message: String },
    #[error("a secret cannot stand there: {message}")]
    SecretPlace { message: String },
    #[error("the answer holds a secret, so it was cut off")]
    SecretEcho,
    #[error("what allowed the request was taken back")]
    Revoked,
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
            Self::Busy { .. } => "HTTP_BUSY",
            Self::RateLimited { .. } => "HTTP_RATE_LIMITED",
            Self::Method { .. } => "HTTP_METHOD_FORBIDDEN",
            Self::Header { .. } => "HTTP_HEADER_FORBIDDEN",
            Self::RequestTooLarge { .. } => "HTTP_REQUEST_TOO_LARGE",
            Self::RequestBody { .. } => "HTTP_REQUEST_BODY",
            Self::ResponseTooLarge { .. } => "HTTP_RESPONSE_TOO_LARGE",
            Self::Encoding { .. } => "HTTP_ENCODING",
            Self::Protocol { .. } => "HTTP_PROTOCOL",
            Self::TooManyRedirects => "HTTP_TOO_MANY_REDIRECTS",
            Self::Redirect { .. } => "HTTP_REDIRECT_REFUSED",
            Self::SecretRefused { .. } => "HTTP_SECRET_REFUSED",
            Self::SecretPlace { .. } => "HTTP_SECRET_PLACE",
            Self::SecretEcho => "HTTP_SECRET_ECHO",
            Self::Revoked => "HTTP_REVOKED",
            Self::Cancelled => "HTTP_CANCELLED",
        }
    }

    /// Whether trying again may help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Denied(denied) => denied.retryable,
            Self::Unresolved { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Deadline
            | Self::Busy { .. }
            | Self::RateLimited { .. }
            | Self::Protocol { .. } => true,
            _ => false,
        }
    }

    /// How long to wait before that, where it is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. } => Some(*after),
            _ => None,
        }
    }

    /// Whether the request was kept from leaving, or its answer from arriving, by what its caller may do.
    pub fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::Url(_)
                | Self::Denied(_)
                | Self::AddressClosed { .. }
                | Self::Busy { .. }
                | Self::RateLimited { .. }
                | Self::Method { .. }
                | Self::Header { .. }
                | Self::SecretRefused { .. }
                | Self::SecretPlace { .. }
                | Self::SecretEcho
                | Self::Revoked
        )
    }
}
