//! Server-sent events.
//!
//! A stored event has its cursor as id, so a client that resumes with `Last-Event-ID` misses nothing and hears nothing
//! twice. A transient one has none: it is told to who listens now. Who reads slowly lags behind in the store, not in
//! memory.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use berth_core::EventStream;
use berth_core::port::store::EventScope;
use berth_model::event::LiveEvent;
use futures::{Stream, StreamExt, stream};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::event_view::EventView;
use crate::state::HttpState;

/// How long a client shall wait before it comes back.
const COME_BACK: Duration = Duration::from_secs(1);

/// Answers with the events of `scope`: what was stored behind `after`, then live; with `None` live alone.
pub(crate) async fn open(
    state: &HttpState,
    scope: EventScope,
    after: Option<i64>,
) -> Result<Response, ApiError> {
    let place = state.streams().clone().try_acquire_owned().map_err(|_| {
        let message = "as many event streams are open as may: close one, or try again later";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "event_streams_exhausted", message).retryable()
    })?;
    let events = state.core().subscribe(scope, after).await?;
    let live = follow(events, state.core().stopping(), place);
    let keep_alive = KeepAlive::new().interval(state.config().keep_alive).text("keep-alive");
    let mut response = Sse::new(live).keep_alive(keep_alive).into_response();
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

struct Feed {
    events: EventStream,
    stop: CancellationToken,
    /// Given back when the client has gone.
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// The next line, and whether another one follows.
    async fn next(&mut self) -> Option<(Event, bool)> {
        let next = tokio::select! {
            biased;
            () = self.stop.cancelled() => return closed("host_stopping", "the host stops"),
            next = self.events.next() => next,
        };
        match next {
            Ok(Some(event)) => written(&event).map(|event| (event, true)),
            Ok(None) => closed("host_stopping", "the host stops"),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an event stream ends early");
                closed("store_unavailable", "the stored events cannot be read now")
            }
        }
    }
}

fn follow(
    events: EventStream,
    stop: CancellationToken,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    // An id without data tells nothing, but whoever is cut off before the first event can resume here.
    let here = Event::default().id(events.cursor().to_string()).retry(COME_BACK);
    let feed = Feed { events, stop, _place: place };
    let live = stream::unfold(Some(feed), |feed| async move {
        let mut feed = feed?;
        let (event, goes_on) = feed.next().await?;
        Some((Ok(event), goes_on.then_some(feed)))
    });
    stream::once(async { Ok(here) }).chain(live)
}

/// The last line of a stream that the host ends. It has no id: the client resumes behind the event before it.
fn closed(code: &str, message: &str) -> Option<(Event, bool)> {
    let line = Event::default().event("stream.closed");
    let line = line.json_data(json!({ "code": code, "message": message, "retryable": true }));
    line.ok().map(|line| (line, false))
}

/// `None`, which ends the stream, when the event has no JSON form; no event of ours lacks one.
fn written(event: &LiveEvent) -> Option<Event> {
    let view = EventView::from(event);
    let line = Event::default().event(event.event().kind.as_str());
    let line = match event.cursor() {
        Some(cursor) => line.id(cursor.to_string()),
        None => line,
    };
    line.json_data(&view).ok()
}
