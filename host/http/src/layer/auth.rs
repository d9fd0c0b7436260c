//! The token.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;
use crate::state::HttpState;

/// Lets a request through that carries the right token.
pub(crate) async fn require(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let right = token(request.headers()).is_some_and(|token| state.config().token.verify(token));
    if right {
        return next.run(request).await;
    }
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "the access token is missing or wrong")
        .with("auth_type", json!("bearer_or_api_key"))
        .into_response()
}

/// The first source that is not empty decides. Source: MeetYou V4, connecting and authentication.
fn token(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = text(header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        // Any other scheme counts as none.
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.filter(|token| !token.is_empty()).or_else(|| text("x-api-key").filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_that_is_not_empty_decides() {
        for (given, wanted) in [
            (&[("authorization", "Bearer one")][..], Some("one")),
            (&[("authorization", "bEaReR   one "), ("x-api-key", "two")], Some("one")),
            (&[("authorization", "Bearer "), ("x-api-key", "two")], Some("two")),
            (&[("authorization", "Basic b25l"), ("x-api-key", "two")], Some("two")),
            (&[("authorization", "one")], None),
            (&[("x-api-key", "  ")], None),
            (&[], None),
        ] {
            let headers: HeaderMap =
                given.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(token(&headers), wanted, "{given:?}");
        }
    }
}
