//! The events of a thread, as a stream.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use berth_core::port::store::EventScope;
use berth_model::ThreadId;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::event_view::EventView;
use crate::extract::{Id, Params};
use crate::state::HttpState;
use crate::streams;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(of_thread))
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
