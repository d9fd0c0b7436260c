//! What the broker does before a request leaves the machine, up to the moment at which it would dial.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use berth_broker::{
    Asker, Bounds, Broker, BrokerParts, Caller, Dialer, Limits, NoReceipts, NoSecrets, OutboundPolicy,
    Resolver, Scope, Stream, Tls, no_body,
};
use futures::FutureExt;
use serde_json::json;

use super::guests;
use super::measure::Way;
use super::report::Report;

/// Every name leads to the same public address.
struct OneAddress;

#[async_trait]
impl Resolver for OneAddress {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::from([93, 184, 215, 14])])
    }
}

/// Nothing leaves this program.
struct NoWire;

#[async_trait]
impl Dialer for NoWire {
    async fn dial(&self, _: SocketAddr) -> io::Result<Box<dyn Stream>> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

/// A request that is allowed, one to a private address, one that nobody granted.
pub fn decisions(report: &mut Report) {
    let bare = guests::bare_greeter("bench-typed");
    let parts =
        BrokerParts { resolver: Arc::new(OneAddress), dialer: Arc::new(NoWire), tls: Tls::only(Vec::new()) };
    let broker = Broker::new(parts);
    let scope = json!({ "hosts": ["https://api.example.com"], "paths": ["/v1/"], "methods": ["GET"] });
    let scope = Scope::read(&scope, Asker::Operator).unwrap();
    let authority = Arc::new(OutboundPolicy::nothing().allow(scope));
    let asked = AtomicUsize::new(0);
    let ask = |url: &'static str, expected: &'static str| {
        // So many callers that none of them uses up what it may send in a minute.
        let caller = asked.fetch_add(1, Ordering::Relaxed) / 1000;
        let (broker, authority) = (&broker, authority.clone());
        async move {
            let caller = Caller {
                id: format!("bench{caller}"),
                authority,
                secrets: Arc::new(NoSecrets),
                limits: Limits { per_minute: 6000, ..Limits::default() },
                receipts: Arc::new(NoReceipts),
                bounds: Bounds::within(Duration::from_secs(30)),
            };
            let request = http::Request::builder().uri(url).body(no_body()).unwrap();
            let error = broker.send(&caller, request).await.map(drop).unwrap_err();
            assert_eq!(error.code(), expected);
        }
        .boxed_local()
    };
    let ways = [
        Way::on_threads("typed call: wasmtime alone", || guests::greet(&bare).boxed_local()),
        Way::on_threads("HTTP request up to the dialling", || {
            ask("https://api.example.com/v1/messages?limit=5", "HTTP_CONNECT_FAILED")
        }),
        Way::on_threads("HTTP request that nobody granted", || {
            ask("https://other.example.com/v1/messages", "HTTP_DENIED")
        }),
    ];
    report.compare(1, &ways);
}
