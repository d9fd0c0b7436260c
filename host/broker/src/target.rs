//! A URL in the one form that everything else looks at.

use std::fmt;
use std::net::IpAddr;

use url::Url;

use crate::path::{self, PathError};

/// The longest URL.
pub const URL_BYTES: usize = 16 << 10;

/// Whether the connection is TLS. `ws` is `http` and `wss` is `https` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A name in lower case and punycode without a trailing dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    Name(String),
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl Host {
    /// Whether the name can only mean something on this machine or in this house.
    ///
    /// These are names without a dot and those below the domains that nobody can register.
    pub fn is_private_name(&self) -> bool {
        const PRIVATE: [&str; 8] =
            ["localhost", "local", "internal", "lan", "home.arpa", "intranet", "corp", "private"];
        match self {
            Self::Ip(_) => false,
            Self::Name(name) if !name.contains('.') => true,
            Self::Name(name) => PRIVATE.iter().any(|domain| is_below(name, domain)),
        }
    }

    /// Whether the name means this machine by definition; it is never looked up.
    pub fn is_localhost(&self) -> bool {
        matches!(self, Self::Name(name) if name == "localhost" || is_below(name, "localhost"))
    }
}

/// Whether `name` is a subdomain of `domain`, at any depth.
pub(crate) fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub scheme: Scheme,
    pub host: Host,
    pub port: u16,
}

impl Origin {
    /// The value of a `Host` header: the port only where it is not the usual one.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// Where a request goes, in normal form: what is checked is what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    origin: Origin,
    path: String,
    query: Option<String>,
}

/// Why a URL is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the URL is longer than {URL_BYTES} bytes")]
    TooLong,
    #[error("the URL has white space, a control character or a backslash in it")]
    Character,
    #[error("the URL does not begin with https:// or http://")]
    Scheme,
    #[error("the URL carries a user or a password")]
    Userinfo,
    #[error("the host of the URL is not valid: {0}")]
    Host(&'static str),
    #[error("the URL is not valid: {0}")]
    Syntax(#[from] url::ParseError),
    #[error("the path of the URL {0}")]
    Path(#[from] PathError),
}

impl Target {
    /// Reads an absolute URL of the schemes `http`, `https`, `ws` or `wss`.
    ///
    /// Names become lower-case punycode without a trailing dot, every way to write an IPv4 address becomes that address,
    /// default ports and fragments go, dot segments are resolved. Refused are users and passwords, percent-encoded hosts,
    /// zone ids, port 0, and paths of which two servers could think differently.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > URL_BYTES {
            return Err(TargetError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => Scheme::Http,
            "https" | "wss" => Scheme::Https,
            _ => return Err(TargetError::Scheme),
        };
        // A parser of browsers drops these or reads them as something else.
        if rest.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(TargetError::Character);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(TargetError::Userinfo);
        }
        if authority.is_empty() {
            return Err(TargetError::Host("it is empty"));
        }
        if authority.contains('%') {
            return Err(TargetError::Host("it is percent-encoded or has a zone id"));
        }
        Self::from_url(scheme, &Url::parse(&format!("{}://{rest}", scheme.as_str()))?)
    }

    fn from_url(scheme: Scheme, url: &Url) -> Result<Self, TargetError> {
        let host = match url.host() {
            None => return Err(TargetError::Host("it is empty")),
            Some(url::Host::Ipv4(ip)) => Host::Ip(ip.into()),
            Some(url::Host::Ipv6(ip)) => Host::Ip(ip.into()),
            Some(url::Host::Domain(name)) => Host::Name(domain(name)?),
        };
        let port = url.port().unwrap_or_else(|| scheme.default_port());
        if port == 0 {
            return Err(TargetError::Host("port 0 is none"));
        }
        let path = path::normal(url.path())?;
        let query = url.query().map(str::to_owned);
        Ok(Self { origin: Origin { scheme, host, port }, path, query })
    }

    /// Reads the `Location` of an answer to a request to this target.
    pub fn join(&self, location: &str) -> Result<Self, TargetError> {
        if location.len() > URL_BYTES {
            return Err(TargetError::TooLong);
        }
        if location.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(TargetError::Character);
        }
        if location.contains("://") && !location.starts_with(['/', '?', '#']) {
            return Self::parse(location);
        }
        let joined = Url::parse(&self.to_string())?.join(location)?;
        // `//user@host` and the like are looked at like every other URL.
        Self::parse(joined.as_str())
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// What stands in the request line.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path_and_query())
    }
}

/// A domain without its trailing dot, when it is one that can be looked up.
pub(crate) fn domain(name: &str) -> Result<String, TargetError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = |label: &str| {
        let plain = label
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_');
        plain && (1..=63).contains(&label.len())
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(TargetError::Host("it is no domain name"));
    }
    Ok(name.to_owned())
}

// Beside this file: a folder called `target` is what builds write to.
#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
