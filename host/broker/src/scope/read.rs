//! From JSON to a scope.

use ipnet::IpNet;
use serde_json::Value;

use super::{HostPattern, METHODS, OriginPattern, Scope};
use crate::address;
use crate::path;
use crate::target::{Host, Origin, Target, TargetError};

/// The most entries of one list.
const ENTRIES: usize = 64;

/// Who wrote the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The author of a plugin, who may not name what is private.
    Manifest,
    /// The operator, who may.
    Operator,
}

/// A scope that is not right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("{0}")]
    Form(String),
    #[error("`hosts`: `{host}` {problem}")]
    Host { host: String, problem: String },
    /// A private target in a manifest.
    #[error(
        "`hosts`: `{host}` is private: name a public host; what is private is opened by a grant of the operator that \
         names it, which must be there before the install"
    )]
    Private { host: String },
    #[error("`paths`: `{path}` {problem}")]
    Path { path: String, problem: String },
    #[error("`methods`: `{method}` is none of {}", METHODS.join(", "))]
    Method { method: String },
    #[error("`addresses`: `{address}` {problem}")]
    Address { address: String, problem: String },
}

impl Scope {
    /// Reads `{"hosts": ["https://api.example.com", "https://*.example.org"], "paths": ["/v1/"], "methods": ["GET"]}`.
    ///
    /// `hosts` is wanted; `paths` and `methods` narrow, and cover everything when they are left out. An operator may add
    /// `addresses`: addresses or networks off the public internet to which the hosts may lead.
    pub fn read(scope: &Value, asker: Asker) -> Result<Self, ScopeError> {
        let form = |message: &str| ScopeError::Form(message.to_owned());
        let object = scope.as_object().ok_or_else(|| form("the scope must be an object"))?;
        if let Some(key) =
            object.keys().find(|key| !["hosts", "paths", "methods", "addresses"].contains(&key.as_str()))
        {
            return Err(ScopeError::Form(format!(
                "`{key}` is no key of the scope: it has `hosts`, `paths`, `methods`, and in a grant `addresses`"
            )));
        }
        let hosts = texts(scope, "hosts")?
            .ok_or_else(|| form("the scope needs `hosts`, such as [\"https://api.example.com\"]"))?
            .into_iter()
            .map(OriginPattern::parse)
            .collect::<Result<Vec<_>, _>>()?;
        if asker == Asker::Manifest
            && let Some(host) = hosts.iter().find(|host| host.private().is_some())
        {
            return Err(ScopeError::Private { host: host.to_string() });
        }
        let paths = texts(scope, "paths")?
            .map(|paths| paths.into_iter().map(prefix).collect::<Result<Vec<_>, _>>())
            .transpose()?;
        let methods = texts(scope, "methods")?
            .map(|methods| methods.into_iter().map(method).collect::<Result<Vec<_>, _>>())
            .transpose()?;
        let addresses = texts(scope, "addresses")?.unwrap_or_default();
        if asker == Asker::Manifest && !addresses.is_empty() {
            return Err(form("`addresses` stands in a grant of the operator only"));
        }
        let addresses = addresses.into_iter().map(network).collect::<Result<_, _>>()?;
        Ok(Self { hosts, paths, methods, addresses })
    }
}

impl OriginPattern {
    /// Reads `https://api.example.com`, `https://*.example.com` or `http://nas.lan:8080`.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let wrong = |problem: &str| ScopeError::Host { host: text.to_owned(), problem: problem.to_owned() };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(if text == "*" {
                wrong("is everything: name each host, or the subdomains of one as https://*.example.com")
            } else {
                ScopeError::Host {
                    host: text.to_owned(),
                    problem: format!("is no origin: write https://{}", text.trim_start_matches('/')),
                }
            });
        };
        let (below, rest) = match rest.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, rest),
        };
        if rest.contains('*') {
            return Err(wrong("has a `*` that is not the whole leading label, as in https://*.example.com"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if !matches!(&rest[end..], "" | "/") {
            return Err(wrong("is more than an origin: paths stand in `paths`"));
        }
        let target = Target::parse(&format!("{scheme}://{}", &rest[..end]))
            .map_err(|error: TargetError| wrong(&format!("is no origin: {error}")))?;
        let Origin { scheme, host, port } = target.origin().clone();
        let host = match host {
            Host::Name(name) if below => {
                if !name.contains('.') {
                    return Err(wrong("covers a whole top-level domain: name at least *.example.com"));
                }
                HostPattern::Below(name)
            }
            Host::Ip(_) if below => return Err(wrong("has a wildcard before an address")),
            Host::Ip(ip) if address::forbidden(ip).is_some_and(address::Range::is_never_opened) => {
                return Err(wrong("is no address of a server"));
            }
            host => HostPattern::Exactly(host),
        };
        Ok(Self { scheme, host, port })
    }
}

/// A list of texts that is not empty; none when it is left out.
fn texts<'a>(scope: &'a Value, key: &str) -> Result<Option<Vec<&'a str>>, ScopeError> {
    let Some(value) = scope.get(key) else { return Ok(None) };
    let items: Option<Vec<&str>> =
        value.as_array().and_then(|items| items.iter().map(Value::as_str).collect());
    match items {
        Some(items) if (1..=ENTRIES).contains(&items.len()) => Ok(Some(items)),
        _ => Err(ScopeError::Form(format!("`{key}` must be a list of 1 to {ENTRIES} texts"))),
    }
}

fn prefix(text: &str) -> Result<String, ScopeError> {
    let wrong = |problem: String| ScopeError::Path { path: text.to_owned(), problem };
    if !text.starts_with('/') {
        return Err(wrong("must begin with `/`".to_owned()));
    }
    if text.contains(['?', '#', '*']) {
        return Err(wrong("is a prefix: it has no `?`, `#` or `*`".to_owned()));
    }
    // Through the same parser as a request, so that both have the same form.
    let parsed = Target::parse(&format!("https://prefix.invalid{text}"))
        .map_err(|error| wrong(format!("is no path: {error}")))?;
    let spelled = path::normal(text).map_err(|error| wrong(error.to_string()))?;
    if parsed.path().len() < spelled.len() {
        return Err(wrong("must not have `.` or `..` in it".to_owned()));
    }
    Ok(parsed.path().to_owned())
}

fn method(text: &str) -> Result<&'static str, ScopeError> {
    METHODS
        .into_iter()
        .find(|method| *method == text)
        .ok_or_else(|| ScopeError::Method { method: text.to_owned() })
}

fn network(text: &str) -> Result<IpNet, ScopeError> {
    let wrong = |problem: &str| ScopeError::Address { address: text.to_owned(), problem: problem.to_owned() };
    let net = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from))
        .map_err(|_| wrong("is no address and no network such as 192.168.1.0/24"))?;
    if net.trunc() != net {
        return Err(wrong("has bits behind its prefix"));
    }
    if net.prefix_len() < 8 {
        return Err(wrong("is wider than /8"));
    }
    Ok(net)
}
