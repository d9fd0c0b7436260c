//! The network rows of the self-test: requests of a plugin that may reach one public host, through the broker.
//!
//! Names are looked up in a table, and whoever is dialled is written down and not dialled: nothing leaves the machine even
//! when a wall fails.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use berth_broker::{
    Asker, Bounds, Broker, BrokerParts, Caller, Dialer, Limits, NoReceipts, NoSecrets, OutboundPolicy,
    Resolver, Scope, Stream, Tls, no_body,
};
use berth_wasm::probe::{Outcome, Row};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

/// Where each request goes, and what it tries.
const TRIES: [(&str, &str); 15] = [
    ("http-host-without-grant", "http://elsewhere.example.org/"),
    ("http-scheme-without-grant", "https://public.example.com/"),
    ("http-port-without-grant", "http://public.example.com:8080/"),
    ("http-loopback", "http://loopback.example.com/"),
    ("http-loopback-literal", "http://127.0.0.1/"),
    ("http-loopback-decimal", "http://2130706433/"),
    ("http-private", "http://private.example.com/"),
    ("http-link-local", "http://link-local.example.com/"),
    ("http-metadata", "http://metadata.example.com/latest/meta-data/"),
    ("http-shared-address", "http://shared.example.com/"),
    ("http-loopback-ipv6", "http://loopback6.example.com/"),
    ("http-local-ipv6", "http://local6.example.com/"),
    ("http-mapped-ipv4", "http://mapped.example.com/"),
    ("http-redirect-to-loopback", "http://public.example.com/to-loopback"),
    ("http-redirect-elsewhere", "http://public.example.com/elsewhere"),
];

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
struct Recorder(Mutex<Vec<SocketAddr>>);

impl Recorder {
    fn dialled(&self) -> Vec<SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

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

/// Tries every way out.
pub async fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, url) in TRIES {
        rows.push(row(name, url).await);
    }
    rows
}

async fn row(name: &str, url: &str) -> Row {
    let begin = Instant::now();
    let recorder = Arc::new(Recorder::default());
    let parts =
        BrokerParts { resolver: Arc::new(Table), dialer: recorder.clone(), tls: Tls::only(Vec::new()) };
    let (Some(caller), Ok(message)) = (caller(), http::Request::get(url).body(no_body())) else {
        return Row::new(name, begin, Outcome::Allowed, "the request could not be made");
    };
    let sent = Broker::new(parts).send(&caller, message).await;
    // The first host is granted: being there is right, being anywhere else is not.
    let public = NAMES.first().and_then(|(_, address)| address.parse::<IpAddr>().ok());
    let stray = recorder.dialled().into_iter().find(|address| {
        Some(address.ip()) != public || address.port() != 80 || !url.starts_with("http://public.example.com/")
    });
    match (sent, stray) {
        (_, Some(address)) => Row::new(name, begin, Outcome::Allowed, format!("{address} was dialled")),
        (Ok(answer), None) => {
            Row::new(name, begin, Outcome::Allowed, format!("answered with {}", answer.status()))
        }
        (Err(error), None) => Row::new(name, begin, Outcome::Blocked, error.code()),
    }
}

/// A plugin that may reach the hosts of the table over HTTP, and no other.
fn caller() -> Option<Caller> {
    let hosts: Vec<String> = NAMES.iter().map(|(name, _)| format!("http://{name}")).collect();
    let scope = Scope::read(&json!({ "hosts": hosts }), Asker::Manifest).ok()?;
    Some(Caller {
        id: "probe".to_owned(),
        authority: Arc::new(OutboundPolicy::nothing().allow(scope)),
        secrets: Arc::new(NoSecrets),
        limits: Limits::default(),
        receipts: Arc::new(NoReceipts),
        bounds: Bounds::within(Duration::from_secs(5)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_request_of_the_self_test_reaches_what_is_not_granted() {
        let rows = rows().await;

        let allowed: Vec<_> = rows.iter().filter(|row| row.outcome != Outcome::Blocked).collect();
        assert!(allowed.is_empty(), "{allowed:#?}");
        let by = |name: &str| rows.iter().find(|row| row.name == name).unwrap().by.clone();
        assert_eq!(by("http-loopback"), "HTTP_ADDRESS_CLOSED");
        assert_eq!(by("http-metadata"), "HTTP_ADDRESS_CLOSED");
        assert_eq!(by("http-host-without-grant"), "HTTP_DENIED");
    }

    #[tokio::test]
    async fn a_request_that_gets_through_is_told_as_allowed() {
        let row = row("granted", "http://public.example.com/").await;

        assert_eq!((row.outcome, row.by.as_str()), (Outcome::Allowed, "answered with 200 OK"));
    }
}
