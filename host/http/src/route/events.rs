//! Run events, stored and live.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use berth_core::port::store::EventScope;
use berth_model::event::{LiveEvent, NewEvent, RunEvent};
use berth_model::{JsonMap, ThreadId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::text;
use crate::error::ApiError;
use crate::extract::{Id, Params};
use crate::state::HttpState;
use crate::streams;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(of_thread))
}

/// What a run did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    event_id: String,
    run_id: String,
    thread_id: String,
    session_id: String,
    /// 1, 2, 3 … within the run; null for an event that is not stored.
    seq: Option<i64>,
    /// Growing over the whole host; null for an event that is not stored.
    cursor: Option<i64>,
    r#type: String,
    #[schema(value_type = Object)]
    payload: JsonMap,
    /// Whether the event is stored.
    durable: bool,
    turn_id: String,
    stream_id: String,
    created_at: String,
}

impl EventView {
    fn new(event: &NewEvent, place: Option<(i64, i64)>) -> Self {
        let of_payload =
            |key: &str| event.payload.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            event_id: event.id.to_string(),
            run_id: event.run.to_string(),
            thread_id: text(event.thread.as_ref()),
            session_id: text(event.session.as_ref()),
            seq: place.map(|(seq, _)| seq),
            cursor: place.map(|(_, cursor)| cursor),
            r#type: event.kind.to_string(),
            payload: event.payload.clone(),
            durable: place.is_some(),
            turn_id: of_payload("turn_id"),
            stream_id: of_payload("stream_id"),
            created_at: event.created_at.to_string(),
        }
    }
}

impl From<&RunEvent> for EventView {
    fn from(stored: &RunEvent) -> Self {
        Self::new(&stored.event, Some((stored.seq, stored.cursor)))
    }
}

impl From<&LiveEvent> for EventView {
    fn from(event: &LiveEvent) -> Self {
        match event {
            LiveEvent::Stored(stored) => stored.into(),
            LiveEvent::Transient(event) => Self::new(event, None),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Replays what was stored behind this cursor first; live alone when absent.
    after_cursor: Option<i64>,
}

/// The events of a thread as server-sent events: `id` is the cursor, `event` the type, `data` the event. Transient
/// events have no `id`. Resumes with `Last-Event-ID`, which beats `after_cursor`.
#[utoipa::path(
    get, path = "/runtime/threads/{thread_id}/events", tag = "runs",
    params(
        ("thread_id" = String, Path), StreamQuery,
        ("Last-Event-ID" = Option<i64>, Header, description = "The cursor of the last event that was read"),
    ),
    responses((status = 200, content_type = "text/event-stream", body = EventView)),
)]
async fn of_thread(
    State(state): State<HttpState>,
    Id(thread): Id<ThreadId>,
    Params(query): Params<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = last_event_id(&headers)?.or(query.after_cursor);
    state.core().check_thread(thread).await?;
    if let Some(after) = after {
        // A client of another database would wait for ever.
        let last = state.core().subscribe(EventScope::Thread(thread), None).await?.cursor();
        if after > last {
            return Err(ApiError::invalid(
                "after_cursor",
                format!("{after} is ahead of the last event, {last}"),
            ));
        }
    }
    streams::open(&state, EventScope::Thread(thread), after.map(|after| after.max(0))).await
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| ApiError::invalid("Last-Event-ID", "is no cursor"))
}
