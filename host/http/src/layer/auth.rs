//! The token.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use berth_hub::auth::header_token;
use serde_json::json;

use crate::error::ApiError;
use crate::state::HttpState;

/// Lets a request through that carries the right token.
pub(crate) async fn require(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let right = header_token(request.headers()).is_some_and(|token| state.config().token.verify(token));
    if right {
        return next.run(request).await;
    }
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "the access token is missing or wrong")
        .with("auth_type", json!("bearer_or_api_key"))
        .into_response()
}
