//! What may be reached: `{"hosts": […], "paths": […], "methods": […]}`.

mod read;

use std::net::IpAddr;

use ipnet::IpNet;

pub use read::{Asker, ScopeError};

use crate::address::{self, Range};
use crate::path;
use crate::target::{Host, Origin, Scheme, Target, is_below};

/// The methods that a scope may name; no other is ever sent.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// Origins, path prefixes and methods that may be used together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    hosts: Vec<OriginPattern>,
    /// None for every path.
    paths: Option<Vec<String>>,
    /// None for every method.
    methods: Option<Vec<&'static str>>,
    /// Addresses off the public internet to which the hosts may lead; only an operator names them.
    addresses: Vec<IpNet>,
}

/// An origin, or every subdomain of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exactly(Host),
    /// `*.example.com`: names below it at any depth, not the domain itself.
    Below(String),
}

impl OriginPattern {
    /// Whether the origin is the named one, or below it.
    pub fn covers(&self, origin: &Origin) -> bool {
        let host = match (&self.host, &origin.host) {
            (HostPattern::Exactly(named), host) => named == host,
            (HostPattern::Below(domain), Host::Name(name)) => is_below(name, domain),
            (HostPattern::Below(_), Host::Ip(_)) => false,
        };
        host && self.scheme == origin.scheme && self.port == origin.port
    }

    /// Whether everything that this covers is covered by `wider` as well.
    fn is_within(&self, wider: &Self) -> bool {
        let host = match (&self.host, &wider.host) {
            (HostPattern::Below(narrow), HostPattern::Below(wide)) => {
                narrow == wide || is_below(narrow, wide)
            }
            (HostPattern::Below(_), HostPattern::Exactly(_)) => false,
            (HostPattern::Exactly(host), _) => {
                let origin = Origin { scheme: wider.scheme, host: host.clone(), port: wider.port };
                wider.covers(&origin)
            }
        };
        host && self.scheme == wider.scheme && self.port == wider.port
    }

    /// The private name or address that is named, if it is one.
    fn private(&self) -> Option<&Host> {
        match &self.host {
            HostPattern::Exactly(host @ Host::Ip(_)) => Some(host),
            HostPattern::Exactly(host) if host.is_private_name() => Some(host),
            _ => None,
        }
    }
}

impl std::fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = match &self.host {
            HostPattern::Exactly(host) => host.to_string(),
            HostPattern::Below(domain) => format!("*.{domain}"),
        };
        write!(f, "{}://{host}", self.scheme.as_str())?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

impl Scope {
    /// Whether a request of `method` to `target` is inside.
    pub fn covers(&self, method: &str, target: &Target) -> bool {
        self.covers_origin(target.origin())
            && self.methods.as_ref().is_none_or(|methods| methods.contains(&method))
            && self
                .paths
                .as_ref()
                .is_none_or(|paths| paths.iter().any(|prefix| path::is_below(target.path(), prefix)))
    }

    /// Whether some request to the origin is inside.
    pub fn covers_origin(&self, origin: &Origin) -> bool {
        self.hosts.iter().any(|host| host.covers(origin))
    }

    /// Whether everything that this covers is covered by `wider` as well.
    ///
    /// Sound, not complete: two narrow host patterns together may cover more than either.
    pub fn is_within(&self, wider: &Self) -> bool {
        let hosts = self.hosts.iter().all(|host| wider.hosts.iter().any(|wide| host.is_within(wide)));
        let methods = match (&self.methods, &wider.methods) {
            (_, None) => true,
            (None, Some(wide)) => METHODS.iter().all(|method| wide.contains(method)),
            (Some(narrow), Some(wide)) => narrow.iter().all(|method| wide.contains(method)),
        };
        let paths = match (&self.paths, &wider.paths) {
            (_, None) => true,
            (None, Some(wide)) => wide.iter().any(|prefix| prefix == "/"),
            (Some(narrow), Some(wide)) => {
                narrow.iter().all(|path| wide.iter().any(|prefix| path::is_below(path, prefix)))
            }
        };
        let addresses =
            self.addresses.iter().all(|net| wider.addresses.iter().any(|wide| wide.contains(net)));
        hosts && methods && paths && addresses
    }

    /// The private names and the addresses among the hosts, as they are written.
    pub fn private(&self) -> Vec<String> {
        self.hosts.iter().filter(|host| host.private().is_some()).map(ToString::to_string).collect()
    }

    /// Whether the scope lets `host` lead to `ip`, which is of the range `range`.
    ///
    /// It does when it names the address itself, or a network around it; metadata addresses are opened by their exact
    /// address alone. A private name opens what it is for: `localhost` the loopback addresses, others those of the house.
    pub fn opens(&self, origin: &Origin, ip: IpAddr, range: Range) -> bool {
        if range.is_never_opened() || !self.covers_origin(origin) {
            return false;
        }
        let exact = origin.host == Host::Ip(ip);
        let listed = self.addresses.iter().any(|net| {
            let single = net.prefix_len() == net.max_prefix_len();
            net.contains(&ip) && (single || range != Range::Metadata)
        });
        let named = self.hosts.iter().any(|host| host.covers(origin) && host.private().is_some());
        let by_name = named
            && if origin.host.is_localhost() {
                range == Range::Loopback
            } else {
                origin.host.is_private_name() && matches!(range, Range::Private | Range::UniqueLocal)
            };
        exact || listed || by_name
    }
}

/// The range that keeps `ip` from being dialled for `origin`, unless one of `scopes` opens it.
pub fn closed(scopes: &[Scope], origin: &Origin, ip: IpAddr) -> Option<Range> {
    address::forbidden(ip).filter(|range| !scopes.iter().any(|scope| scope.opens(origin, ip, *range)))
}

#[cfg(test)]
mod tests;
