//! The HTTP client of the command line.

use std::time::Duration;

use berth_http::BodyLimits;
use eventsource_stream::{EventStreamError, Eventsource};
use futures::{Stream, StreamExt};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::cli::Global;
use crate::failure::Failure;
use crate::place::{DataDir, TOKEN_VARIABLE, Token};

/// Where a host listens when nobody says otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8787";
/// How long an answer may take that needs no plugin and no model.
const ANSWER: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is read: a page of 1000 events with large results in them stays below.
const ANSWER_BYTES: usize = 256 << 20;
/// The largest event that is read. A host tells none above what a message and its operation may hold.
const EVENT_BYTES: usize = 16 << 20;

/// A host, and the token for it.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<Token>,
    data: DataDir,
}

/// One server-sent event.
#[derive(Debug, Clone)]
pub struct StreamEvent {
    pub kind: String,
    pub data: Value,
}

impl Client {
    /// Finds the host and the token by flags, environment and data folder.
    pub fn find(global: &Global) -> Result<Self, Failure> {
        let data = DataDir::find(global.data.clone())?;
        let base = global
            .url
            .clone()
            .or_else(|| std::env::var("BERTH_URL").ok().filter(|url| !url.trim().is_empty()))
            .or_else(|| data.lookup_address())
            .unwrap_or_else(|| DEFAULT_URL.to_owned());
        let parsed = reqwest::Url::parse(base.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::Usage(format!("`{base}` is no address of a host: it must be like {DEFAULT_URL}"))
            })?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        let base = parsed.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http, base, token: data.lookup_token()?, data })
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether the host runs on this machine, so that its disk is ours.
    pub fn is_local(&self) -> bool {
        reqwest::Url::parse(&self.base).is_ok_and(|url| match url.host_str() {
            Some("localhost") => true,
            Some(host) => host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback()),
            None => false,
        })
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.request(Method::GET, path).timeout(ANSWER)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.answer(self.posting(path, body)?.timeout(ANSWER)).await
    }

    /// The same, for as long as the work behind it takes.
    pub async fn post_and_wait(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.answer(self.posting(path, body)?).await
    }

    /// A request with a body. A host hangs up on one that is too large, often before its refusal is read.
    fn posting(&self, path: &str, body: &Value) -> Result<RequestBuilder, Failure> {
        let text = body.to_string();
        let most = BodyLimits::default().message_bytes;
        if text.len() > most {
            return Err(Failure::failed(
                "body_too_large",
                format!("this is {} bytes, and a host takes at most {most} bytes at once", text.len()),
            ));
        }
        Ok(self.request(Method::POST, path).header("content-type", "application/json").body(text))
    }

    pub async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.request(Method::DELETE, path).timeout(ANSWER)).await
    }

    /// The same, for as long as the work behind it takes.
    pub async fn delete_and_wait(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    /// What `/health` says, whether the host is ready or not.
    pub async fn health(&self) -> Result<Value, Failure> {
        let response = self.request(Method::GET, "/health").timeout(ANSWER).send().await?;
        let status = response.status();
        let body = self.body(response).await?;
        if body["health"].is_object() { Ok(body["health"].clone()) } else { Err(self.refusal(status, &body)) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = request.send().await?;
        let status = response.status();
        let body = self.body(response).await?;
        if status.is_success() { Ok(body) } else { Err(self.refusal(status, &body)) }
    }

    /// The body of an answer; every answer of a host has one, and it is JSON.
    async fn body(&self, response: Response) -> Result<Value, Failure> {
        let status = response.status();
        let mut pieces = response.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            if bytes.len() + piece.len() > ANSWER_BYTES {
                return Err(self.endless("an answer", ANSWER_BYTES));
            }
            bytes.extend_from_slice(&piece);
        }
        serde_json::from_slice(&bytes).map_err(|_| self.stranger(status))
    }

    fn endless(&self, what: &str, most: usize) -> Failure {
        Failure::NotConnected(format!(
            "what answers at {} sends {what} of more than {most} bytes, which no berth host does: name the right \
             address with --url",
            self.base
        ))
    }

    /// Follows a stream of server-sent events. Returns once the host has begun it, so nothing after is missed.
    pub async fn events(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<StreamEvent, Failure>> + Unpin + use<>, Failure> {
        let response = self.request(Method::GET, path).header("accept", "text/event-stream").send().await?;
        let status = response.status();
        if !status.is_success() {
            let body = self.body(response).await?;
            return Err(self.refusal(status, &body));
        }
        let base = self.base.clone();
        let endless = self.endless("an event", EVENT_BYTES).to_string();
        let pieces = bounded(response.bytes_stream(), EVENT_BYTES);
        Ok(Box::pin(pieces.eventsource().map(move |event| match event {
            Ok(event) => Ok(StreamEvent {
                kind: event.event,
                data: serde_json::from_str(&event.data).unwrap_or(Value::Null),
            }),
            Err(EventStreamError::Transport(Cut::TooLarge)) => Err(Failure::NotConnected(endless.clone())),
            Err(_) => Err(Failure::NotConnected(format!("the connection to {base} broke"))),
        })))
    }

    fn refusal(&self, status: StatusCode, body: &Value) -> Failure {
        let error = &body["error"];
        let (Some(code), Some(message)) = (error["code"].as_str(), error["message"].as_str()) else {
            return self.stranger(status);
        };
        match (status, code) {
            (StatusCode::UNAUTHORIZED, _) => Failure::NotConnected(self.unauthorised()),
            // Every route that we ask for is there, so the host is of another age.
            (_, "http_404") => Failure::failed(
                "version_skew",
                format!(
                    "the host at {} does not know this request: it is another version than this berth, {}; \
                     `berth doctor` shows both",
                    self.base,
                    env!("CARGO_PKG_VERSION")
                ),
            ),
            _ => Failure::Failed {
                code: code.to_owned(),
                message: message.to_owned(),
                details: error["details"].clone(),
            },
        }
    }

    fn unauthorised(&self) -> String {
        let base = &self.base;
        if self.token.is_none() {
            return format!(
                "there is no access token for {base}: {} has none. Name the data folder of the host with --data, or \
                 set {TOKEN_VARIABLE}",
                self.data.path().display()
            );
        }
        let source = match std::env::var(TOKEN_VARIABLE) {
            Ok(token) if !token.trim().is_empty() => TOKEN_VARIABLE.to_owned(),
            _ => format!("{}/access-token", self.data.path().display()),
        };
        format!(
            "{base} does not accept the access token from {source}: name the data folder of that host with --data, or \
             set {TOKEN_VARIABLE} to its token"
        )
    }

    fn stranger(&self, status: StatusCode) -> Failure {
        Failure::NotConnected(format!(
            "what answers at {} is no berth host (HTTP {}): name the right address with --url",
            self.base,
            status.as_u16()
        ))
    }
}

/// Why the bytes of events end.
#[derive(Debug)]
enum Cut {
    Broken,
    TooLarge,
}

/// The bytes of events, as long as none of them is larger than `most`. The reader of events keeps one whole.
fn bounded<B: AsRef<[u8]>, E>(
    pieces: impl Stream<Item = Result<B, E>>,
    most: usize,
) -> impl Stream<Item = Result<B, Cut>> {
    let (mut event, mut line) = (0_usize, 0_usize);
    pieces.map(move |piece| {
        let piece = piece.map_err(|_| Cut::Broken)?;
        for byte in piece.as_ref() {
            event += 1;
            match byte {
                // An empty line ends an event.
                b'\n' if line == 0 => event = 0,
                b'\n' => line = 0,
                b'\r' => {}
                _ => line += 1,
            }
            if event > most {
                return Err(Cut::TooLarge);
            }
        }
        Ok(piece)
    })
}

/// Escapes one segment of a path, or one value of a query.
pub fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_event_that_never_ends_is_cut_and_many_small_ones_are_not() {
        let told = |pieces: Vec<&'static str>| {
            let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, ()>));
            bounded(pieces, 20).map(|piece| piece.is_ok()).collect()
        };

        let small: Vec<bool> =
            told(vec!["data: 1\n\ndata: 2\r\n", "\r\n: still here\n\n", "data: 3\n\n"]).await;
        let endless: Vec<bool> = told(vec!["data: 1\n", "data: 2\r\n", "data: 3\n"]).await;

        assert_eq!(small, [true, true, true]);
        assert_eq!(endless, [true, true, false]);
    }

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("a/../b?c=ü"), "a%2F..%2Fb%3Fc%3D%C3%BC");
    }
}
