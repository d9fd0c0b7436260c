//! Sockets of channels on the network: dialled by the broker, so that only vetted addresses are reached.

use async_trait::async_trait;
use berth_broker::{Asker, Broker, OutboundPolicy, Scope, Stream, Target, is_forbidden_header};
use berth_wasm::actor::SocketDialer;
use berth_wasm::actor::wire::{DialError, Heard, Wire, WireReader, WireWriter};
use berth_wasm::capability::websocket::{ConnectRequest, FRAME_BYTES, Frame};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::HOST;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// What waits to be written before a socket counts as stuck.
const WRITE_BUFFER_BYTES: usize = 2 * FRAME_BYTES;
/// The code of a close without one.
const NO_CODE: u16 = 1005;

/// Dials with a broker.
pub struct BrokerDialer(pub Broker);

type Socket = WebSocketStream<Box<dyn Stream>>;

#[async_trait]
impl SocketDialer for BrokerDialer {
    fn covers(&self, scope: &Value, url: &str) -> bool {
        let is_socket = ["ws://", "wss://"].iter().any(|scheme| starts_with(url, scheme));
        let scope = Scope::read(scope, Asker::Operator);
        let target = Target::parse(url);
        is_socket && scope.ok().zip(target.ok()).is_some_and(|(scope, target)| scope.covers("GET", &target))
    }

    async fn dial(&self, request: &ConnectRequest, scopes: &[Value]) -> Result<Wire, DialError> {
        let target = Target::parse(&request.url).map_err(|error| DialError(error.to_string()))?;
        let mut policy = OutboundPolicy::nothing();
        for scope in scopes {
            let scope = Scope::read(scope, Asker::Operator).map_err(|error| DialError(error.to_string()))?;
            policy = policy.allow(scope);
        }
        let upgrade = upgrade(request)?;
        let connection =
            self.0.connect(&target, &policy).await.map_err(|error| DialError(error.to_string()))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(FRAME_BYTES))
            .max_frame_size(Some(FRAME_BYTES))
            .max_write_buffer_size(WRITE_BUFFER_BYTES);
        let opened = client_async_with_config(upgrade, connection.stream, Some(config)).await;
        let (socket, _) = opened.map_err(|error| DialError(told(&error)))?;
        let (sink, stream) = socket.split();
        Ok(Wire { reader: Box::new(Reader(stream)), writer: Box::new(Writer(sink)) })
    }
}

fn starts_with(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme))
}

/// The request with what a guest may add to it.
fn upgrade(request: &ConnectRequest) -> Result<Request, DialError> {
    let wrong = |what: &str| DialError(format!("the request has a wrong {what}"));
    let mut upgrade = request.url.as_str().into_client_request().map_err(|_| wrong("address"))?;
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| wrong("header"))?;
        let value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong("header"))?;
        if is_forbidden_header(&name) || name == HOST || name.as_str().starts_with("sec-websocket-") {
            return Err(DialError(format!("the header `{name}` is the host's own")));
        }
        upgrade.headers_mut().insert(name, value);
    }
    if !request.protocols.is_empty() {
        let protocols = HeaderValue::try_from(request.protocols.join(", ")).map_err(|_| wrong("protocol"))?;
        upgrade.headers_mut().insert("sec-websocket-protocol", protocols);
    }
    Ok(upgrade)
}

/// A failure without the address, which may hold a ticket.
fn told(error: &Error) -> String {
    match error {
        Error::Http(response) => {
            format!("the server answered with the status {}", response.status().as_u16())
        }
        Error::Url(_) => "the address is none of a socket".to_owned(),
        other => other.to_string(),
    }
}

struct Reader(SplitStream<Socket>);

#[async_trait]
impl WireReader for Reader {
    async fn next(&mut self) -> Option<Result<Heard, DialError>> {
        loop {
            let message = match self.0.next().await? {
                Ok(message) => message,
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return None,
                Err(error) => return Some(Err(DialError(told(&error)))),
            };
            return Some(Ok(match message {
                Message::Text(text) => Heard::Frame(Frame::Text(text.as_str().to_owned())),
                Message::Binary(bytes) => Heard::Frame(Frame::Binary(bytes.to_vec())),
                Message::Ping(_) | Message::Pong(_) => Heard::Alive,
                Message::Close(frame) => {
                    let (code, reason) = frame.map_or((NO_CODE, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    });
                    Heard::Closed(code, reason)
                }
                // Only what is written has raw frames.
                Message::Frame(_) => continue,
            }));
        }
    }
}

struct Writer(SplitSink<Socket, Message>);

#[async_trait]
impl WireWriter for Writer {
    async fn frame(&mut self, frame: Frame) -> Result<(), DialError> {
        let message = match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes.into()),
        };
        self.0.send(message).await.map_err(|error| DialError(told(&error)))
    }

    async fn ping(&mut self) -> Result<(), DialError> {
        self.0.send(Message::Ping(Bytes::new())).await.map_err(|error| DialError(told(&error)))
    }

    async fn close(&mut self, code: u16, reason: &str) -> Result<(), DialError> {
        let frame = CloseFrame { code: CloseCode::from(code), reason: reason.to_owned().into() };
        self.0.send(Message::Close(Some(frame))).await.map_err(|error| DialError(told(&error)))
    }
}

#[cfg(test)]
mod tests {
    use berth_broker::BrokerParts;
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    fn dialer() -> BrokerDialer {
        BrokerDialer(Broker::new(BrokerParts::system()))
    }

    fn request(url: String, headers: &[(&str, &str)]) -> ConnectRequest {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ConnectRequest { name: "feed".to_owned(), url, headers, protocols: Vec::new(), reconnect: false }
    }

    #[tokio::test]
    async fn frames_pings_and_closes_go_both_ways_over_a_real_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(tcp).await.unwrap();
            let mut heard = Vec::new();
            while let Some(Ok(message)) = socket.next().await {
                match message {
                    Message::Text(text) => {
                        socket.send(Message::Text(format!("you said {text}").into())).await.unwrap()
                    }
                    Message::Close(frame) => heard.push(u16::from(frame.unwrap().code)),
                    _ => {}
                }
            }
            heard
        });
        let url = format!("ws://{address}/feed");
        let scopes = [json!({ "hosts": [format!("ws://{address}")] })];
        assert!(dialer().covers(&scopes[0], &url));

        let mut wire = dialer().dial(&request(url, &[("x-ticket", "t")]), &scopes).await.unwrap();
        wire.writer.frame(Frame::Text("hello".to_owned())).await.unwrap();
        let answer = wire.reader.next().await.unwrap().unwrap();
        assert_eq!(answer, Heard::Frame(Frame::Text("you said hello".to_owned())));
        wire.writer.ping().await.unwrap();
        assert_eq!(wire.reader.next().await.unwrap().unwrap(), Heard::Alive);
        wire.writer.close(1000, "bye").await.unwrap();

        while wire.reader.next().await.is_some() {}
        assert_eq!(server.await.unwrap(), [1000]);
    }

    #[tokio::test]
    async fn a_private_address_that_no_grant_names_is_not_dialled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scopes = [json!({ "hosts": ["wss://chat.example"] })];

        let refused = dialer().dial(&request(format!("ws://127.0.0.1:{port}/"), &[]), &scopes).await;

        assert!(refused.is_err());
        assert!(!dialer().covers(&scopes[0], "https://chat.example/"));
        assert!(!dialer().covers(&scopes[0], "ws://chat.example/"));
        assert!(dialer().covers(&scopes[0], "WSS://CHAT.example:443/feed?x=1"));
    }

    #[tokio::test]
    async fn a_guest_sets_no_header_that_is_the_hosts_own() {
        for name in ["Host", "Upgrade", "Sec-WebSocket-Key", "Connection"] {
            assert!(upgrade(&request("wss://chat.example/".to_owned(), &[(name, "x")])).is_err(), "{name}");
        }
        assert!(upgrade(&request("wss://chat.example/".to_owned(), &[("X-Ticket", "x\n")])).is_err());
    }
}
