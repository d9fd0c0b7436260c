//! A network in a box: names answer what the test says, addresses lead to servers of the test or nowhere.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use crate::server::{Handler, answer_one};
use async_trait::async_trait;
use berth_broker::{Asker, Broker, BrokerParts, Dialer, OutboundPolicy, Resolver, Scope, Stream, Tls};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// An address of the public internet; the dialer leads it to a server of the test.
pub const PUBLIC: &str = "93.184.215.14";

/// Every name that was looked up and every address that was dialled, in order.
#[derive(Default)]
struct Seen {
    names: Vec<String>,
    dials: Vec<SocketAddr>,
}

/// The resolver and the dialer of a test.
#[derive(Clone, Default)]
pub struct Net {
    seen: Arc<Mutex<Seen>>,
    /// What a name answers, one entry for each time; the last one stays.
    names: Arc<Mutex<HashMap<String, Vec<Vec<IpAddr>>>>>,
    routes: Arc<Mutex<HashMap<SocketAddr, SocketAddr>>>,
    servers: Arc<Mutex<HashMap<SocketAddr, Handler>>>,
}

impl Net {
    pub fn new() -> Self {
        Self::default()
    }

    /// `name` answers `addresses` the next time, and then what was said after it.
    pub fn name(&self, name: &str, addresses: &[&str]) -> &Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.names.lock().unwrap().entry(name.to_owned()).or_default().push(addresses);
        self
    }

    /// Dialling `address` reaches `server`.
    pub fn route(&self, address: &str, server: SocketAddr) -> &Self {
        assert!(server.ip().is_loopback());
        self.routes.lock().unwrap().insert(address.parse().unwrap(), server);
        self
    }

    /// Dialling `address` reaches a server in memory, which `handler` plays.
    pub fn serve(&self, address: &str, handler: Handler) -> &Self {
        self.servers.lock().unwrap().insert(address.parse().unwrap(), handler);
        self
    }

    pub fn names_asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().names.clone()
    }

    pub fn dials(&self) -> Vec<String> {
        self.seen.lock().unwrap().dials.iter().map(ToString::to_string).collect()
    }

    pub fn broker(&self) -> Broker {
        self.broker_with(Tls::only(Vec::new()))
    }

    pub fn broker_with(&self, tls: Tls) -> Broker {
        Broker::new(BrokerParts { resolver: Arc::new(self.clone()), dialer: Arc::new(self.clone()), tls })
    }
}

#[async_trait]
impl Resolver for Net {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.seen.lock().unwrap().names.push(name.to_owned());
        let mut names = self.names.lock().unwrap();
        let answers = names.get_mut(name).ok_or_else(|| io::Error::other("no such name"))?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

#[async_trait]
impl Dialer for Net {
    async fn dial(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.seen.lock().unwrap().dials.push(address);
        let server = self.servers.lock().unwrap().get(&address).cloned();
        if let Some(server) = server {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            tokio::spawn(answer_one(theirs, server));
            return Ok(Box::new(ours));
        }
        let route = self.routes.lock().unwrap().get(&address).copied();
        match route {
            Some(server) => Ok(Box::new(TcpStream::connect(server).await?)),
            None => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

/// What an operator grants.
pub fn granted(scope: Value) -> OutboundPolicy {
    OutboundPolicy::nothing().allow(Scope::read(&scope, Asker::Operator).unwrap())
}

pub async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A certificate for `names`, and the roots that believe it.
pub fn certificate(names: &[&str]) -> (tokio_rustls::TlsAcceptor, Tls) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    (tokio_rustls::TlsAcceptor::from(Arc::new(config)), Tls::only(vec![cert.der().clone()]))
}
