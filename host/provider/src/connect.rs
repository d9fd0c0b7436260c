//! From the address of a Core to an open socket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::Sink;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, Uri, header::AUTHORIZATION};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, client_async_tls_with_config};

use crate::credentials::Token;
use crate::error::BuildError;

/// How long the way to an open socket may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// A WebSocket, whatever carries it.
pub trait Stream:
    futures::Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin + Send
{
}

impl<S> Stream for S where
    S: futures::Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin + Send
{
}

/// An open socket to a Core, whatever carries it.
pub type Socket = Box<dyn Stream>;

/// Opens sockets to one Core. Tests plug in one that needs no network.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    async fn dial(&self) -> Result<Socket, DialError>;
}

/// Why no socket opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// The answer would be the same next time.
    #[error("core refuses the access token (HTTP {status})")]
    Unauthorized { status: u16 },
    #[error("{0}")]
    Failed(String),
}

/// The limits of a socket of ours.
pub(crate) fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(berth_proto::limits::MAX_PROVIDER_IN_BYTES))
        .max_frame_size(Some(berth_proto::limits::MAX_PROVIDER_IN_BYTES))
}

/// Dials over TCP, with TLS for `https`.
pub(crate) struct Network {
    uri: Uri,
    authorization: HeaderValue,
    connector: Connector,
}

impl Network {
    /// Opens nothing yet. Warns when the token would cross a network in the open.
    pub fn new(address: &str, token: &Token) -> Result<Self, BuildError> {
        let uri = socket_uri(address)?;
        let authorization = token.header().ok_or(BuildError::Token)?;
        let encrypted = uri.scheme_str() == Some("wss");
        if !encrypted && !is_loopback(&uri) {
            tracing::warn!(address, "the access token travels unencrypted: use https:// or wss://");
        }
        let connector = if encrypted { tls(address)? } else { Connector::Plain };
        Ok(Self { uri, authorization, connector })
    }

    async fn open(&self) -> Result<Socket, DialError> {
        let failed = |error: &dyn std::fmt::Display| DialError::Failed(format!("{}: {error}", self.uri));
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let default_port = if self.uri.scheme_str() == Some("wss") { 443 } else { 80 };
        let port = self.uri.port_u16().unwrap_or(default_port);
        let tcp = TcpStream::connect((host, port)).await.map_err(|error| failed(&error))?;
        tcp.set_nodelay(true).map_err(|error| failed(&error))?;
        let mut request = self.uri.clone().into_client_request().map_err(|error| failed(&error))?;
        request.headers_mut().insert(AUTHORIZATION, self.authorization.clone());
        let connector = Some(self.connector.clone());
        match client_async_tls_with_config(request, tcp, Some(socket_config()), connector).await {
            Ok((socket, _)) => Ok(Box::new(socket)),
            Err(Error::Http(answer)) => Err(match answer.status() {
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    DialError::Unauthorized { status: status.as_u16() }
                }
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    failed(&format_args!("HTTP {}: core takes no connection now", status.as_u16()))
                }
                status => failed(&format_args!(
                    "HTTP {}: there is no endpoint socket here; is this the address of a Core?",
                    status.as_u16()
                )),
            }),
            Err(error) => Err(failed(&error)),
        }
    }
}

#[async_trait]
impl Dial for Network {
    async fn dial(&self) -> Result<Socket, DialError> {
        timeout(CONNECT_WITHIN, self.open()).await.unwrap_or_else(|_| {
            let seconds = CONNECT_WITHIN.as_secs();
            Err(DialError::Failed(format!("{}: no answer within {seconds} s", self.uri)))
        })
    }
}

/// `http://host/` as `ws://host/endpoint/ws`.
fn socket_uri(address: &str) -> Result<Uri, BuildError> {
    let bad = |reason| BuildError::Address { address: address.to_owned(), reason };
    let (scheme, rest) =
        address.trim().split_once("://").ok_or_else(|| bad("it has no http:// or https://"))?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => "ws",
        "https" | "wss" => "wss",
        _ => return Err(bad("only http and https lead to a Core")),
    };
    if rest.contains('@') {
        // What stands before the `@` may be a password.
        let address = format!("{scheme}://…@…");
        return Err(BuildError::Address {
            address,
            reason: "it holds a user name; the access token is given apart",
        });
    }
    if rest.contains(['?', '#']) {
        return Err(bad("it holds a query"));
    }
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix(berth_proto::PATH).unwrap_or(rest);
    let uri: Uri =
        format!("{scheme}://{rest}{}", berth_proto::PATH).parse().map_err(|_| bad("it is no address"))?;
    if uri.host().is_none_or(str::is_empty) {
        return Err(bad("it names no host"));
    }
    Ok(uri)
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Trusts what the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` add a private authority.
fn tls(address: &str) -> Result<Connector, BuildError> {
    let bad = |reason| BuildError::Address { address: address.to_owned(), reason };
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some trusted certificates cannot be read");
    }
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        return Err(bad("this system trusts no certificate authority: install ca-certificates"));
    }
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|_| bad("this build speaks no TLS"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Connector::Rustls(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_core_leads_to_its_socket() {
        for (address, socket) in [
            ("http://127.0.0.1:8787", "ws://127.0.0.1:8787/endpoint/ws"),
            ("https://core.example/", "wss://core.example/endpoint/ws"),
            (" HTTP://[::1]:80/berth// ", "ws://[::1]:80/berth/endpoint/ws"),
            ("wss://core.example/endpoint/ws", "wss://core.example/endpoint/ws"),
        ] {
            assert_eq!(socket_uri(address).unwrap().to_string(), socket);
        }
    }

    #[test]
    fn an_address_that_leads_nowhere_says_why() {
        for (address, why) in [
            ("127.0.0.1:8787", "no http://"),
            ("ftp://host", "only http"),
            ("http://", "no"),
            ("http://me:pw@host", "ws://…@…"),
            ("http://host?access_token=x", "query"),
            ("http://ho st", "no address"),
        ] {
            let error = socket_uri(address).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn only_this_machine_may_be_spoken_to_in_the_open_unwarned() {
        let loopback = |address| is_loopback(&socket_uri(address).unwrap());

        assert!(loopback("http://127.0.0.1:1") && loopback("http://[::1]:1") && loopback("http://localhost"));
        assert!(!loopback("http://192.168.1.2:1") && !loopback("http://localhost.example"));
    }
}
