//! One request from its URL to the head of its answer, redirects included.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use crate::answer::{self, Handling, Held, ResponseBody};
use crate::bounds::Bounds;
use crate::broker::Broker;
use crate::error::{BrokerError, Phase};
use crate::fill::{self, BodyKind, Values};
use crate::limits::Limits;
use crate::policy::{Authority, Permit, Use};
use crate::receipt::{Account, Receipts};
use crate::redirect::{self, Next, REDIRECTS};
use crate::request::{self, Counted, Outgoing, RequestBody};
use crate::scan::{Patterns, Scanner};
use crate::secret::{Place, SecretSource};
use crate::target::{Origin, Target};

/// The most that the head of an answer weighs.
const HEAD_BYTES: usize = 64 << 10;
/// The most headers of an answer.
const HEAD_LINES: usize = 128;
/// What stands in the place of a header that held a secret.
const REDACTED: &str = "[redacted]";

/// Who asks, and what it may have.
#[derive(Clone)]
pub struct Caller {
    /// The name under which requests are counted, such as the id of a plugin.
    pub id: String,
    pub authority: Arc<dyn Authority>,
    pub secrets: Arc<dyn SecretSource>,
    /// Cut to [`Limits::CEILING`].
    pub limits: Limits,
    pub receipts: Arc<dyn Receipts>,
    /// Time-outs are cut to [`crate::Timeouts::default`].
    pub bounds: Bounds,
}

/// What is sent to the next server.
struct Hop {
    method: Method,
    target: Target,
    headers: HeaderMap,
    body: Outgoing,
    kind: BodyKind,
    /// The URL is the caller's own; one that a server named has no placeholders.
    is_first: bool,
}

impl Broker {
    /// Sends a request for `caller` and hands out its answer, after at most 5 redirects.
    ///
    /// The URL must be absolute. The body of the answer is decoded, so `Content-Encoding` and `Content-Length` are gone
    /// from its head. Cancel-safe: dropping this, or the body later, closes the connection.
    pub async fn send(
        &self,
        caller: &Caller,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<ResponseBody>, BrokerError> {
        let mut caller = caller.clone();
        caller.limits = caller.limits.at_most(Limits::CEILING);
        caller.bounds.timeouts = caller.bounds.timeouts.at_most(crate::Timeouts::default());
        let method: String = request.method().as_str().chars().take(32).collect();
        let mut account = Account::open(&caller.id, &method, caller.receipts.clone());
        match self.follow(&caller, request, &mut account).await {
            Ok((head, incoming, handling, in_flight, driver)) => {
                let held = Held { account, in_flight, driver };
                Ok(http::Response::from_parts(head, ResponseBody::new(incoming, handling, held)))
            }
            Err(error) => {
                account.failed(&error);
                Err(error)
            }
        }
    }

    async fn follow(
        &self,
        caller: &Caller,
        request: http::Request<RequestBody>,
        account: &mut Account,
    ) -> Result<Answered, BrokerError> {
        let Caller { bounds, limits, .. } = caller;
        let (parts, body) = request.into_parts();
        let target = Target::parse(&parts.uri.to_string())?;
        account.target(&target);
        let headers = request::checked(&parts.method, &parts.headers)?;
        let in_flight = self.permits().enter(&caller.id, limits)?;
        let kind = BodyKind::of(&headers);
        // Asked before the body is read as well: who may not send does not wait.
        let mut permit = allowed(caller, &parts.method, &target).await?;
        let body = request::keep(body, kind, &headers, limits.max_request_bytes, bounds).await?;
        let mut hop = Hop { method: parts.method, target, headers, body, kind, is_first: true };
        for _ in 0..=REDIRECTS {
            self.permits().spend(&caller.id, limits)?;
            let (method, target) = (hop.method.as_str().to_owned(), hop.target.clone());
            let wanted = Use { method: &method, target: &target };
            let (head, incoming, driver) = tokio::select! {
                biased;
                answered = self.once(caller, &mut hop, &permit, account) => answered?,
                () = caller.authority.until_refused(wanted) => return Err(BrokerError::Revoked),
            };
            account.status(head.status.as_u16());
            match redirect::next(head.status, &hop.method, &head.headers) {
                Next::Answer => {
                    let (head, handling) = self.received(caller, &hop, head, &incoming)?;
                    return Ok((head, incoming, handling, in_flight, driver));
                }
                Next::Follow { method, keeps_body, location } => {
                    drop((incoming, driver));
                    account.redirected();
                    hop = hop.moved(method, keeps_body, &location)?;
                    permit = allowed(caller, &hop.method, &hop.target).await?;
                }
            }
        }
        Err(BrokerError::TooManyRedirects)
    }

    /// One request and the head of its answer.
    async fn once(
        &self,
        caller: &Caller,
        hop: &mut Hop,
        permit: &Permit,
        account: &Account,
    ) -> Result<(http::response::Parts, Incoming, AbortOnDropHandle<()>), BrokerError> {
        let bounds = &caller.bounds;
        let (target, mut headers, body) = self.filled(caller, hop).await?;
        let origin = target.origin().clone();
        let connection = self.open(&target, permit, bounds).await?;
        let broken = |error: hyper::Error| BrokerError::Protocol {
            origin: origin.clone(),
            message: error.to_string(),
        };
        let shake = async {
            let mut builder = hyper::client::conn::http1::Builder::new();
            builder.max_headers(HEAD_LINES).max_buf_size(HEAD_BYTES);
            builder.handshake(TokioIo::new(connection.stream)).await.map_err(broken)
        };
        let (mut sender, driver) = bounds.wait(Phase::Connect, shake).await?;
        let driver = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection ended");
            }
        }));

        let host = HeaderValue::from_str(&origin.authority())
            .map_err(|_| BrokerError::SecretPlace { message: "the host is no header".to_owned() })?;
        headers.insert(header::HOST, host);
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        let failure = Arc::new(Mutex::new(None));
        let counted = Counted {
            body,
            count: account.up.clone(),
            limit: caller.limits.max_request_bytes,
            failure: failure.clone(),
        };
        let mut request = http::Request::new(counted);
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = target.path_and_query().parse().map_err(|_| crate::TargetError::Character)?;
        *request.headers_mut() = headers;
        let answer = async { sender.send_request(request).await.map_err(broken) };
        let answer = bounds.wait(Phase::FirstByte, answer).await.map_err(|error| {
            failure.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(error)
        })?;
        let (head, incoming) = answer.into_parts();
        let weight: usize =
            head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if weight > HEAD_BYTES {
            return Err(BrokerError::Protocol { origin, message: "its headers are too large".to_owned() });
        }
        if head.status.is_informational() {
            return Err(BrokerError::Protocol { origin, message: "it changes the protocol".to_owned() });
        }
        Ok((head, incoming, driver))
    }

    /// What goes out, with the secrets in it.
    async fn filled(
        &self,
        caller: &Caller,
        hop: &mut Hop,
    ) -> Result<(Target, HeaderMap, RequestBody), BrokerError> {
        let mut wanted = fill::in_headers(&hop.headers);
        if hop.is_first {
            wanted.extend(fill::in_target(&hop.target));
        }
        if let Outgoing::Kept(body) = &hop.body {
            wanted.extend(fill::in_body(hop.kind, body)?);
        }
        let values = self.looked_up(caller, hop.target.origin(), wanted).await?;
        let target = if hop.is_first { fill::fill_target(&hop.target, &values)? } else { hop.target.clone() };
        let mut headers = fill::fill_headers(&hop.headers, &values)?;
        let body = match &mut hop.body {
            Outgoing::Kept(body) => {
                headers.remove(header::CONTENT_LENGTH);
                let body: Bytes = fill::fill_body(hop.kind, body, &values)?;
                if body.is_empty() { request::no_body() } else { request::whole_body(body) }
            }
            Outgoing::Streamed(body) => body.take().ok_or(BrokerError::Redirect {
                message: "the body would have to be sent again, and is too large to be kept",
            })?,
        };
        Ok((target, headers, body))
    }

    async fn looked_up(
        &self,
        caller: &Caller,
        origin: &Origin,
        wanted: Vec<(String, Place)>,
    ) -> Result<Values, BrokerError> {
        let mut values = Values::new();
        let mut asked = HashSet::new();
        for (name, place) in wanted {
            if !asked.insert((name.clone(), place.clone())) {
                continue;
            }
            let refused = |message: String| BrokerError::SecretRefused { name: name.clone(), message };
            let lookup = async {
                caller.secrets.secret(&name, origin, &place).await.map_err(|error| refused(error.0))
            };
            let secret = caller.bounds.during(lookup).await?;
            if !secret.audience.iter().any(|pattern| pattern.covers(origin)) {
                return Err(refused(format!("{origin} is not in its audience")));
            }
            if !secret.places.contains(&place) {
                return Err(refused(format!("`{place}` is none of its places")));
            }
            self.placed().remember(&caller.id, &secret.value).map_err(|error| refused(error.to_string()))?;
            values.insert(name, secret.value);
        }
        Ok(values)
    }

    /// The head as the caller gets it, and what is to be done with the body.
    fn received(
        &self,
        caller: &Caller,
        hop: &Hop,
        mut head: http::response::Parts,
        incoming: &Incoming,
    ) -> Result<(http::response::Parts, Handling), BrokerError> {
        use http_body::Body as _;
        let limit = caller.limits.max_response_bytes;
        if incoming.size_hint().lower() > limit {
            return Err(BrokerError::ResponseTooLarge { limit });
        }
        let patterns = self.placed().patterns(&caller.id);
        let codings = match answer::codings(&head.headers) {
            _ if incoming.is_end_stream() => Vec::new(),
            Ok(codings) => {
                head.headers.remove(header::CONTENT_ENCODING);
                if !codings.is_empty() {
                    head.headers.remove(header::CONTENT_LENGTH);
                }
                codings
            }
            // Handed on as it is, unless a secret could hide in it.
            Err(_) if patterns.is_none() => Vec::new(),
            Err(error) => return Err(error),
        };
        for name in [
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ] {
            head.headers.remove(name);
        }
        if let Some(patterns) = &patterns {
            head.headers = clean(head.headers, patterns);
        }
        head.extensions.clear();
        let handling = Handling {
            bounds: caller.bounds.clone(),
            limit,
            codings,
            scanner: patterns.map(Scanner::new),
            authority: caller.authority.clone(),
            method: hop.method.as_str().to_owned(),
            target: hop.target.clone(),
        };
        Ok((head, handling))
    }
}

type Answered = (http::response::Parts, Incoming, Handling, crate::limits::InFlight, AbortOnDropHandle<()>);

async fn allowed(caller: &Caller, method: &Method, target: &Target) -> Result<Permit, BrokerError> {
    let wanted = Use { method: method.as_str(), target };
    caller.bounds.during(async { Ok(caller.authority.authorize(wanted).await?) }).await
}

impl Hop {
    /// The next hop after a redirect.
    fn moved(mut self, method: Method, keeps_body: bool, location: &str) -> Result<Self, BrokerError> {
        let target = self.target.join(location)?;
        if !keeps_body {
            redirect::strip_body(&mut self.headers);
            self.body = Outgoing::Kept(Bytes::new());
        }
        if target.origin() != self.target.origin() {
            if let Outgoing::Kept(body) = &self.body
                && !fill::in_body(self.kind, body)?.is_empty()
            {
                return Err(BrokerError::Redirect {
                    message: "it leads to another origin, and the body holds a secret",
                });
            }
            redirect::strip_credentials(&mut self.headers);
            fill::strip_headers(&mut self.headers);
        }
        Ok(Self { method, target, is_first: false, ..self })
    }
}

/// The headers without those that hold a secret; their values are masked, and a name that holds one goes.
fn clean(headers: HeaderMap, patterns: &Arc<Patterns>) -> HeaderMap {
    let mut cleaned = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        if patterns.are_in(name.as_str().as_bytes()) {
            continue;
        }
        let value = if patterns.are_in(value.as_bytes()) {
            HeaderValue::from_static(REDACTED)
        } else {
            value.clone()
        };
        cleaned.append(name.clone(), value);
    }
    cleaned
}
