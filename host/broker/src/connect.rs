//! From an allowed target to a stream: look up, vet, dial what was vetted, shake hands.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::bounds::Bounds;
use crate::error::{BrokerError, Phase};
use crate::net::{Dialer, Resolver, Stream};
use crate::policy::Permit;
use crate::target::{Host, Origin, Scheme};
use crate::tls::Tls;

/// How many addresses of a name are tried.
const ADDRESSES: usize = 8;

/// A stream to a server, TLS included where the scheme asks for it.
pub struct Connection {
    pub stream: Box<dyn Stream>,
    /// The vetted address that answered.
    pub address: SocketAddr,
}

/// The addresses that may be dialled for an origin.
///
/// This is the one time that the name is looked up: what comes back here is dialled, however the name answers later.
pub(crate) async fn vetted(
    resolver: &dyn Resolver,
    origin: &Origin,
    permit: &Permit,
    bounds: &Bounds,
) -> Result<Vec<SocketAddr>, BrokerError> {
    let found = match &origin.host {
        Host::Ip(ip) => vec![*ip],
        host if host.is_localhost() => {
            vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        }
        Host::Name(name) => {
            let lookup =
                async { resolver.resolve(name).await.map_err(|error| unresolved(origin, error.to_string())) };
            bounds.wait(Phase::Resolve, lookup).await?
        }
    };
    let mut open: Vec<SocketAddr> = Vec::new();
    let mut refused = None;
    for ip in found {
        let address = SocketAddr::new(ip, origin.port);
        match permit.closed(origin, ip) {
            None if open.len() < ADDRESSES && !open.contains(&address) => open.push(address),
            None => {}
            Some(range) => refused = refused.or(Some((ip, range))),
        }
    }
    if let (true, Some((ip, range))) = (open.is_empty(), refused) {
        return Err(BrokerError::AddressClosed { host: origin.host.clone(), ip, range });
    }
    if open.is_empty() {
        return Err(unresolved(origin, "the answer is empty".to_owned()));
    }
    Ok(open)
}

fn unresolved(origin: &Origin, message: String) -> BrokerError {
    BrokerError::Unresolved { host: origin.host.clone(), message }
}

/// Dials the addresses one after another until one answers.
pub(crate) async fn dial(
    dialer: &dyn Dialer,
    tls: &Tls,
    origin: &Origin,
    addresses: &[SocketAddr],
    bounds: &Bounds,
) -> Result<Connection, BrokerError> {
    let mut connecting = bounds.clone();
    let mut last = None;
    for (at, address) in addresses.iter().enumerate() {
        // An address that does not answer leaves time for those behind it.
        let behind = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        connecting.timeouts.connect = bounds.timeouts.connect / behind;
        let attempt = async {
            dialer
                .dial(*address)
                .await
                .map_err(|source| BrokerError::Connect { origin: origin.clone(), source })
        };
        match connecting.wait(Phase::Connect, attempt).await {
            Ok(stream) => return secured(tls, origin, stream, *address, bounds).await,
            Err(error @ (BrokerError::Cancelled | BrokerError::Deadline)) => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| BrokerError::Connect {
        origin: origin.clone(),
        source: io::Error::other("there is no address"),
    }))
}

async fn secured(
    tls: &Tls,
    origin: &Origin,
    stream: Box<dyn Stream>,
    address: SocketAddr,
    bounds: &Bounds,
) -> Result<Connection, BrokerError> {
    let stream = match origin.scheme {
        Scheme::Http => stream,
        Scheme::Https => {
            let handshake = async {
                tls.wrap(&origin.host, stream)
                    .await
                    .map_err(|error| BrokerError::Tls { origin: origin.clone(), message: error.to_string() })
            };
            bounds.wait(Phase::Tls, handshake).await?
        }
    };
    Ok(Connection { stream, address })
}
