//! The network of a case: names that lead nowhere but to the servers of its story.
//!
//! The broker is the one of a host: it decides, places secrets, shakes hands, follows redirects and searches answers. Only
//! its resolver and its dialer are ours, and at the other end of a stream stands a server of ours.

pub mod cassette;
pub mod record;
mod reply;
pub mod script;
mod server;
mod tls;
pub mod wire;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use berth_broker::{Broker, BrokerParts, Dialer, Resolver, Stream, Tls};
pub use tls::Authority;

use crate::story::HttpFault;
use crate::time::Time;
use script::Script;

/// What a server may hold until the other side reads.
const BUFFER: usize = 256 << 10;

/// What a server of the case needs.
pub(crate) struct Shared {
    pub script: Script,
    pub time: Arc<Time>,
    pub authority: Arc<Authority>,
    names: Mutex<HashMap<IpAddr, String>>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Net(Arc<Shared>);

impl Net {
    pub fn new(script: Script, time: Arc<Time>, authority: Arc<Authority>) -> Self {
        Self(Arc::new(Shared { script, time, authority, names: Mutex::default() }))
    }

    /// The broker of a host in this network.
    pub fn broker(&self) -> Broker {
        let net = Arc::new(self.clone());
        let tls = Tls::only(vec![self.0.authority.root().clone()]);
        Broker::new(BrokerParts { resolver: net.clone(), dialer: net, tls })
    }

    pub fn script(&self) -> &Script {
        &self.0.script
    }

    fn names(&self) -> MutexGuard<'_, HashMap<IpAddr, String>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Resolver for Net {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.0.time.moved();
        if self.0.script.fails_before(name, None, HttpFault::Unresolved) {
            return Err(io::Error::other("no such name"));
        }
        let mut names = self.names();
        if let Some((address, _)) = names.iter().find(|(_, known)| *known == name) {
            return Ok(vec![*address]);
        }
        // Addresses of the public internet, so that the broker takes them; nobody dials them.
        let [high, low] = u16::try_from(names.len() + 1).unwrap_or(u16::MAX).to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(93, 184, high, low));
        names.insert(address, name.to_owned());
        Ok(vec![address])
    }
}

#[async_trait]
impl Dialer for Net {
    async fn dial(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.0.time.moved();
        let known = self.names().get(&address.ip()).cloned();
        let host = known.unwrap_or_else(|| address.ip().to_string());
        if self.0.script.fails_before(&host, Some(address.port()), HttpFault::Refused) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = tokio::io::duplex(BUFFER);
        tokio::spawn(server::serve(self.0.clone(), host, address.port(), theirs));
        Ok(Box::new(ours))
    }
}
