//! One form for every failure, those of the framework too.

use std::any::Any;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::state::HttpState;

/// Writes the envelope of a failure. Headers that a route or the framework set stay.
pub(crate) async fn write(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let error = response.extensions().get::<ApiError>().cloned();
    let is_ours = response.extensions().get::<Written>().is_some();
    let error = match error {
        Some(error) => error,
        None if is_ours || !(status.is_client_error() || status.is_server_error()) => return response,
        None => ApiError::of_status(status),
    };
    let (mut parts, _) = response.into_parts();
    let (body, written) = {
        let written = Json(error.envelope(state.core().now())).into_response();
        let (head, body) = written.into_parts();
        (body, head.headers)
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(written);
    Response::from_parts(parts, Body::new(body))
}

/// Marks an answer with a failing status whose body is as it should be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written;

/// What a panic of a route becomes. What it said goes to the log alone.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of another type"), "a route panicked");
    ApiError::internal().into_response()
}

/// No route has this path.
pub(crate) async fn no_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "http_404", "there is no such route")
}
