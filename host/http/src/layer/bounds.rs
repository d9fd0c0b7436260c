//! What a request may weigh before anybody looks at it, and how long a short answer may take.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;
use crate::state::HttpState;

/// The longest path and query, in bytes.
const MAX_TARGET_BYTES: usize = 8 << 10;
/// All headers together, in bytes.
const MAX_HEADERS_BYTES: usize = 32 << 10;

/// Refuses a request whose address or headers are larger than any of ours.
pub(crate) async fn size(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET_BYTES {
        let message = format!("path and query are longer than {MAX_TARGET_BYTES} bytes");
        return ApiError::new(StatusCode::URI_TOO_LONG, "target_too_long", message)
            .with("limit_bytes", json!(MAX_TARGET_BYTES))
            .into_response();
    }
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > MAX_HEADERS_BYTES {
        let message = format!("the headers are larger than {MAX_HEADERS_BYTES} bytes");
        return ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", message)
            .with("limit_bytes", json!(MAX_HEADERS_BYTES))
            .into_response();
    }
    next.run(request).await
}

/// Ends a request that has no answer in time; what it had begun to write is rolled back.
pub(crate) async fn time(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let within = state.config().answer_within;
    let Ok(response) = tokio::time::timeout(within, next.run(request)).await else {
        let message = format!("the host found no answer within {} s: try again", within.as_secs_f32());
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "answer_overdue", message)
            .retryable()
            .into_response();
    };
    response
}
