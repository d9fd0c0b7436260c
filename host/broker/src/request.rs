//! A request on its way out: what the caller wrote, and what may be sent again after a redirect.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, Method, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Empty, Full, StreamBody};

use crate::bounds::Bounds;
use crate::error::{BrokerError, Phase};
use crate::fill::{self, BodyKind};
use crate::scope::METHODS;

/// Why the caller's side of a body broke off.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// How much of a body is kept, so that secrets can be put into it and a redirect can send it again.
pub const KEPT_BYTES: usize = 1 << 20;
/// The most that the headers of a request weigh.
const HEADERS_BYTES: usize = 64 << 10;

/// No body.
pub fn no_body() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is there as a whole.
pub fn whole_body(bytes: impl Into<Bytes>) -> RequestBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Headers that only the host sets: those of the connection, and what a proxy would believe.
const FORBIDDEN: [&str; 14] = [
    "connection",
    "expect",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-real-ip",
];

/// Whether only the host sets the header.
pub fn is_forbidden_header(name: &HeaderName) -> bool {
    FORBIDDEN.contains(&name.as_str())
}

/// The method and the headers that may be sent.
pub(crate) fn checked(method: &Method, headers: &HeaderMap) -> Result<HeaderMap, BrokerError> {
    if !METHODS.contains(&method.as_str()) {
        let method = method.as_str().chars().take(32).collect();
        return Err(BrokerError::Method { method });
    }
    let mut weight = 0;
    for (name, value) in headers {
        if is_forbidden_header(name) {
            return Err(BrokerError::Header { name: name.as_str().to_owned() });
        }
        weight += name.as_str().len() + value.len() + 4;
    }
    if weight > HEADERS_BYTES {
        return Err(BrokerError::RequestTooLarge { limit: HEADERS_BYTES as u64 });
    }
    let mut headers = headers.clone();
    headers.remove(header::HOST);
    // What is sent is what we can read again.
    let is_plain = headers.get(header::ACCEPT_ENCODING).is_some_and(|value| value == "identity");
    let accepted = if is_plain { "identity" } else { crate::answer::ACCEPTED };
    headers.insert(header::ACCEPT_ENCODING, http::HeaderValue::from_static(accepted));
    Ok(headers)
}

/// A body as far as it is known.
pub(crate) enum Outgoing {
    /// All of it: it may be filled, and sent again.
    Kept(Bytes),
    /// More than is kept; none once it was sent.
    Streamed(Option<RequestBody>),
}

/// Reads a body as far as it is kept. What cannot hold a secret and does not say that it is short is not waited for.
pub(crate) async fn keep(
    mut body: RequestBody,
    kind: BodyKind,
    headers: &HeaderMap,
    limit: u64,
    bounds: &Bounds,
) -> Result<Outgoing, BrokerError> {
    if body.is_end_stream() {
        return Ok(Outgoing::Kept(Bytes::new()));
    }
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
        .or(body.size_hint().exact());
    if declared.is_some_and(|length| length > limit) {
        return Err(BrokerError::RequestTooLarge { limit });
    }
    let is_short = declared.is_some_and(|length| length <= KEPT_BYTES as u64);
    if kind == BodyKind::Other && !is_short {
        return Ok(Outgoing::Streamed(Some(body)));
    }
    let mut kept = BytesMut::new();
    while kept.len() <= KEPT_BYTES {
        let frame = bounds.wait(Phase::FirstByte, async { Ok(body.frame().await) }).await?;
        let Some(frame) = frame else { return Ok(Outgoing::Kept(kept.freeze())) };
        let frame = frame.map_err(|error| BrokerError::RequestBody { message: error.to_string() })?;
        if let Ok(bytes) = frame.into_data() {
            kept.extend_from_slice(&bytes);
        }
        if kept.len() as u64 > limit {
            return Err(BrokerError::RequestTooLarge { limit });
        }
    }
    if fill::names_a_secret(&kept) {
        return Err(BrokerError::SecretPlace {
            message: format!("the body is larger than {KEPT_BYTES} bytes"),
        });
    }
    let begin = futures::stream::iter([Ok(Frame::data(kept.freeze()))]);
    let body = StreamBody::new(begin.chain(BodyStream::new(body)));
    Ok(Outgoing::Streamed(Some(body.boxed_unsync())))
}

/// Counts a body while it is sent, and ends it at its limit.
pub(crate) struct Counted {
    pub(crate) body: RequestBody,
    pub(crate) count: Arc<AtomicU64>,
    pub(crate) limit: u64,
    /// Why it ended early; hyper only says that it did.
    pub(crate) failure: Arc<Mutex<Option<BrokerError>>>,
}

impl Counted {
    fn fail(&self, error: BrokerError) -> BodyError {
        let message = error.to_string();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        message.into()
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let next = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match next {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                let before = self.count.fetch_add(length, Ordering::Relaxed);
                if before + length > self.limit {
                    Some(Err(self.fail(BrokerError::RequestTooLarge { limit: self.limit })))
                } else {
                    Some(Ok(frame))
                }
            }
            Some(Err(error)) => Some(Err(self.fail(BrokerError::RequestBody { message: error.to_string() }))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
