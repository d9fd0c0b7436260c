//! The request id, and what the log tells of a request.

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::state::HttpState;

/// Carries the id in both directions.
const HEADER: &str = "x-request-id";
/// The longest id of a client.
const MAX_CHARS: usize = 128;

/// Gives the request its id and a span. Paths are told, queries and headers never.
pub(crate) async fn request(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let given = request.headers().get(HEADER).filter(|value| is_plain(value)).cloned();
    let id = given.or_else(|| HeaderValue::try_from(state.new_id("req")).ok());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let span = tracing::info_span!(
        "http.request",
        request.id = id.as_ref().and_then(|id| id.to_str().ok()),
        http.method = %request.method(),
        http.route = route.as_deref().unwrap_or("none"),
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(http.status = status, "answered"));
    if let Some(id) = id {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

fn is_plain(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    !bytes.is_empty() && bytes.len() <= MAX_CHARS && bytes.iter().all(u8::is_ascii_graphic)
}
