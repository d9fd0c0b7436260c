//! The network of the self-test: names are looked up in a table, and whoever is dialled is written down and not dialled.
//!
//! Nothing leaves the machine even when a wall fails.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use berth_broker::{Broker, BrokerParts, Dialer, Resolver, Stream, Tls};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::capability::http::HttpOutlet;

/// The names of the table. All but the first lead where no plugin may go.
const NAMES: [(&str, &str); 9] = [
    ("public.example.com", "93.184.215.14"),
    ("loopback.example.com", "127.0.0.1"),
    ("private.example.com", "10.1.2.3"),
    ("link-local.example.com", "169.254.7.7"),
    ("metadata.example.com", "169.254.169.254"),
    ("shared.example.com", "100.64.0.1"),
    ("loopback6.example.com", "::1"),
    ("local6.example.com", "fd00::1"),
    ("mapped.example.com", "::ffff:127.0.0.1"),
];

/// A request of the probe.
pub(super) struct Request {
    pub name: &'static str,
    secure: bool,
    authority: &'static str,
    path: &'static str,
}

const fn to(name: &'static str, authority: &'static str) -> Request {
    Request { name, secure: false, authority, path: "/" }
}

const fn at(name: &'static str, authority: &'static str, path: &'static str) -> Request {
    Request { name, secure: false, authority, path }
}

/// The host that the probe may reach.
const PUBLIC: &str = "public.example.com";

/// Where each request goes, and what it tries.
pub(super) const REQUESTS: [Request; 15] = [
    to("http-host-without-grant", "elsewhere.example.org"),
    Request { secure: true, ..to("http-scheme-without-grant", PUBLIC) },
    to("http-port-without-grant", "public.example.com:8080"),
    to("http-loopback", "loopback.example.com"),
    to("http-loopback-literal", "127.0.0.1"),
    to("http-loopback-decimal", "2130706433"),
    to("http-private", "private.example.com"),
    to("http-link-local", "link-local.example.com"),
    at("http-metadata", "metadata.example.com", "/latest/meta-data/"),
    to("http-shared-address", "shared.example.com"),
    to("http-loopback-ipv6", "loopback6.example.com"),
    to("http-local-ipv6", "local6.example.com"),
    to("http-mapped-ipv4", "mapped.example.com"),
    at("http-redirect-to-loopback", PUBLIC, "/to-loopback"),
    at("http-redirect-elsewhere", PUBLIC, "/elsewhere"),
];

/// The request that is granted.
#[cfg(test)]
pub(super) const GRANTED: Request = to("granted", PUBLIC);

impl Request {
    /// The arguments of the function that sends it.
    pub fn arguments(&self) -> Value {
        json!({ "secure": self.secure, "authority": self.authority, "path": self.path })
    }
}

struct Table;

#[async_trait]
impl Resolver for Table {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        // Whoever is not in the table is somewhere on the internet.
        let address = known.map_or("93.184.215.15", |(_, address)| address);
        Ok(vec![address.parse().map_err(io::Error::other)?])
    }
}

/// Writes down who is dialled, and is the server of all of them.
#[derive(Default)]
pub(super) struct Recorder(Mutex<Vec<SocketAddr>>);

#[async_trait]
impl Dialer for Recorder {
    async fn dial(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(address);
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move {
            let mut request = vec![0; 16 << 10];
            let read = theirs.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let answer = if text.contains("/to-loopback") {
                "HTTP/1.1 302 Found\r\nlocation: http://loopback.example.com/\r\ncontent-length: 0\r\n\r\n"
            } else if text.contains("/elsewhere") {
                "HTTP/1.1 302 Found\r\nlocation: http://elsewhere.example.org/\r\ncontent-length: 0\r\n\r\n"
            } else {
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
            };
            // The other side may have closed already.
            let _closed = theirs.write_all(answer.as_bytes()).await;
        });
        Ok(Box::new(ours))
    }
}

/// Which walls are up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gaps {
    /// A grant names every address of the table.
    pub addresses: bool,
    /// A grant names every host that is tried.
    pub hosts: bool,
}

impl Gaps {
    /// The hosts of the manifest and of the grant: those of the table over HTTP.
    pub fn hosts(self) -> Vec<String> {
        let mut hosts: Vec<String> = NAMES.iter().map(|(name, _)| format!("http://{name}")).collect();
        if self.hosts {
            for (secure, authority) in REQUESTS.iter().map(|request| (request.secure, request.authority)) {
                let scheme = if secure { "https" } else { "http" };
                hosts.push(format!("{scheme}://{authority}"));
            }
        } else if self.addresses {
            hosts.extend(["http://127.0.0.1".to_owned(), "http://2130706433".to_owned()]);
        }
        hosts
    }

    /// The scope of the grant.
    pub fn scope(self) -> Value {
        let mut scope = json!({ "hosts": self.hosts() });
        if self.addresses {
            scope["addresses"] = NAMES[1..].iter().map(|(_, address)| Value::from(*address)).collect();
        }
        scope
    }
}

impl Recorder {
    /// What requests are sent with, and who writes them down.
    pub fn outlet() -> (Arc<Self>, HttpOutlet) {
        let recorder = Arc::new(Self::default());
        let parts =
            BrokerParts { resolver: Arc::new(Table), dialer: recorder.clone(), tls: Tls::only(Vec::new()) };
        (recorder, HttpOutlet::new(Broker::new(parts)))
    }

    /// Who was dialled for `request` since the last time and should not have been. The first host of the table is
    /// granted: being there is right, being anywhere else is not.
    pub fn take_stray(&self, request: &Request) -> Option<SocketAddr> {
        let dialled = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let public = NAMES.first().and_then(|(_, address)| address.parse::<IpAddr>().ok());
        dialled.into_iter().find(|address| {
            Some(address.ip()) != public
                || address.port() != 80
                || request.authority != PUBLIC
                || request.secure
        })
    }
}
