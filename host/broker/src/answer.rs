//! The body of an answer on its way to the caller: counted, decoded, capped, searched, in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio_util::io::{ReaderStream, StreamReader};
use tokio_util::task::AbortOnDropHandle;

use crate::bounds::Bounds;
use crate::error::{BrokerError, Phase};
use crate::limits::InFlight;
use crate::policy::{Authority, Use};
use crate::receipt::Account;
use crate::scan::Scanner;
use crate::target::{Origin, Target};

/// What we say we can decode.
pub(crate) const ACCEPTED: &str = "gzip, deflate, br, zstd";
/// How many codings may lie over each other.
const CODINGS: usize = 3;
/// How much is decoded at once.
const CHUNK_BYTES: usize = 16 << 10;
/// The largest window of zstd that is taken, as a power of two: 8 MiB, which RFC 8878 asks for.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings of an answer, the last one applied at the end of the list; an error names one that we do not know.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, BrokerError> {
    let mut codings = Vec::new();
    for value in headers.get_all(http::header::CONTENT_ENCODING) {
        let text = value.to_str().unwrap_or("?");
        for word in text.split(',').map(|word| word.trim().to_ascii_lowercase()) {
            codings.push(match word.as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                other => {
                    let message = format!("`{}` is none of {ACCEPTED}", other.escape_default());
                    return Err(BrokerError::Encoding { message });
                }
            });
        }
    }
    if codings.len() > CODINGS {
        return Err(BrokerError::Encoding { message: format!("more than {CODINGS} codings") });
    }
    Ok(codings)
}

/// What belongs to an answer until its body is over.
pub(crate) struct Held {
    pub(crate) account: Account,
    pub(crate) in_flight: InFlight,
    pub(crate) driver: AbortOnDropHandle<()>,
}

/// What is done with a body.
pub(crate) struct Handling {
    pub(crate) bounds: Bounds,
    pub(crate) limit: u64,
    pub(crate) codings: Vec<Coding>,
    pub(crate) scanner: Option<Scanner>,
    pub(crate) authority: Arc<dyn Authority>,
    /// What was allowed, to be asked again.
    pub(crate) method: String,
    pub(crate) target: Target,
}

type Pieces = BoxStream<'static, Result<Bytes, BrokerError>>;

/// The body of an answer. It ends with an error when a limit is passed, the time is over, the call is cancelled, what
/// allowed it is taken back, or a secret is found; nothing of the secret has been given out by then.
pub struct ResponseBody {
    pieces: Pieces,
    authority: Arc<dyn Authority>,
    method: String,
    target: Target,
    refused: BoxFuture<'static, ()>,
    held: Option<Held>,
}

impl ResponseBody {
    pub(crate) fn new(incoming: Incoming, handling: Handling, held: Held) -> Self {
        let Handling { bounds, limit, codings, scanner, authority, method, target } = handling;
        let mut pieces = wire(incoming, bounds, limit, held.account.down.clone(), target.origin().clone());
        for coding in codings.into_iter().rev() {
            pieces = decoded(pieces, coding);
        }
        pieces = capped(pieces, limit);
        if let Some(scanner) = scanner {
            pieces = scanned(pieces, scanner);
        }
        let (asked, wanted) = (authority.clone(), (method.clone(), target.clone()));
        let refused = async move {
            asked.until_refused(Use { method: &wanted.0, target: &wanted.1 }).await;
        };
        Self { pieces, authority, method, target, refused: refused.boxed(), held: Some(held) }
    }

    fn end(&mut self, error: Option<&BrokerError>) {
        // The connection goes with the body; so does its place among those in flight.
        if let Some(Held { mut account, in_flight, driver }) = self.held.take() {
            if let Some(error) = error {
                account.failed(error);
            }
            drop((account, in_flight, driver));
        }
        self.pieces = stream::empty().boxed();
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BrokerError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokerError>>> {
        if self.held.is_none() {
            return Poll::Ready(None);
        }
        let allowed = self.authority.still_allows(Use { method: &self.method, target: &self.target });
        let next = if allowed {
            match self.pieces.as_mut().poll_next(context) {
                Poll::Ready(next) => next,
                // It may be a while until the next piece comes.
                Poll::Pending if self.refused.as_mut().poll(context).is_ready() => {
                    Some(Err(BrokerError::Revoked))
                }
                Poll::Pending => return Poll::Pending,
            }
        } else {
            Some(Err(BrokerError::Revoked))
        };
        Poll::Ready(match next {
            Some(Ok(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Err(error)) => {
                self.end(Some(&error));
                Some(Err(error))
            }
            None => {
                self.end(None);
                None
            }
        })
    }
}

/// What arrives, counted and in time.
fn wire(incoming: Incoming, bounds: Bounds, limit: u64, count: Arc<AtomicU64>, origin: Origin) -> Pieces {
    let state = (incoming, bounds, count, origin);
    stream::try_unfold(state, move |(mut incoming, bounds, count, origin)| async move {
        loop {
            let frame = bounds.wait(Phase::BetweenBytes, async { Ok(incoming.frame().await) }).await?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| BrokerError::Protocol {
                origin: origin.clone(),
                message: error.to_string(),
            })?;
            // Trailers are not handed on.
            let Ok(bytes) = frame.into_data() else { continue };
            let length = bytes.len() as u64;
            if count.fetch_add(length, Ordering::Relaxed) + length > limit {
                return Err(BrokerError::ResponseTooLarge { limit });
            }
            if !bytes.is_empty() {
                return Ok(Some((bytes, (incoming, bounds, count, origin))));
            }
        }
    })
    .boxed()
}

fn decoded(pieces: Pieces, coding: Coding) -> Pieces {
    let reader = StreamReader::new(pieces.map_err(io::Error::other));
    match coding {
        Coding::Gzip => chunks(GzipDecoder::new(reader)),
        Coding::Deflate => chunks(ZlibDecoder::new(reader)),
        Coding::Brotli => chunks(BrotliDecoder::new(reader)),
        Coding::Zstd => {
            chunks(ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW_LOG)]))
        }
    }
}

fn chunks(reader: impl tokio::io::AsyncRead + Send + 'static) -> Pieces {
    ReaderStream::with_capacity(reader, CHUNK_BYTES).map_err(inner).boxed()
}

/// The error of ours that a decoder passed on, or its own.
fn inner(error: io::Error) -> BrokerError {
    match error.downcast::<BrokerError>() {
        Ok(ours) => ours,
        Err(error) => BrokerError::Encoding { message: error.to_string() },
    }
}

fn capped(pieces: Pieces, limit: u64) -> Pieces {
    let mut total = 0_u64;
    pieces
        .map(move |piece| {
            let piece = piece?;
            total = total.saturating_add(piece.len() as u64);
            if total > limit { Err(BrokerError::ResponseTooLarge { limit }) } else { Ok(piece) }
        })
        .boxed()
}

/// What is clean, as soon as it is known to be.
fn scanned(pieces: Pieces, scanner: Scanner) -> Pieces {
    stream::try_unfold(Some((pieces, scanner)), |state| async move {
        let Some((mut pieces, mut scanner)) = state else { return Ok(None) };
        loop {
            let Some(piece) = pieces.try_next().await? else {
                let rest = scanner.finish().map_err(|_| BrokerError::SecretEcho)?;
                return Ok((!rest.is_empty()).then_some((rest, None)));
            };
            let clean = scanner.push(&piece).map_err(|_| BrokerError::SecretEcho)?;
            if !clean.is_empty() {
                return Ok(Some((clean, Some((pieces, scanner)))));
            }
        }
    })
    .boxed()
}
