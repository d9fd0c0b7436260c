//! What requests of guests are sent with.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use berth_broker::{Broker, BrokerParts, Dialer, Receipt, Receipts, Resolver, Stream, Tls};

/// The broker, and who hears of each request.
#[derive(Clone)]
pub struct HttpOutlet {
    pub broker: Broker,
    /// Gets the receipt of every request of every plugin.
    pub receipts: Arc<dyn Receipts>,
}

impl HttpOutlet {
    /// Sends with `broker`; receipts go to the log of the host.
    pub fn new(broker: Broker) -> Self {
        Self { broker, receipts: Arc::new(Traced) }
    }

    /// No name is known and no address is dialled.
    pub fn closed() -> Self {
        let nowhere = Arc::new(Nowhere);
        Self::new(Broker::new(BrokerParts {
            resolver: nowhere.clone(),
            dialer: nowhere,
            tls: Tls::only(Vec::new()),
        }))
    }

    /// The same, with another place for the receipts.
    #[must_use]
    pub fn with_receipts(mut self, receipts: Arc<dyn Receipts>) -> Self {
        self.receipts = receipts;
        self
    }
}

/// Receipts in the log of the host.
struct Traced;

impl Receipts for Traced {
    fn record(&self, receipt: Receipt) {
        let Receipt { caller, method, origin, path, status, bytes_up, bytes_down, ms, redirects, .. } =
            &receipt;
        let code = receipt.failure.as_ref().map_or("", |(code, _)| code);
        tracing::debug!(
            plugin.id = %caller, method, origin, path, status, bytes_up, bytes_down, ms, redirects, code,
            "a plugin used the network"
        );
    }
}

struct Nowhere;

#[async_trait]
impl Resolver for Nowhere {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other("this host has no network"))
    }
}

#[async_trait]
impl Dialer for Nowhere {
    async fn dial(&self, _: SocketAddr) -> io::Result<Box<dyn Stream>> {
        Err(io::ErrorKind::NetworkUnreachable.into())
    }
}
