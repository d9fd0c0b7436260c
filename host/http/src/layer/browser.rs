//! What browsers are told: which pages may ask, and what becomes of answers.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use berth_hub::auth::is_allowed;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::error::ApiError;
use crate::state::HttpState;

/// Refuses pages of foreign origins, and keeps answers out of caches and from being taken for something else.
///
/// A program that is no browser sends no `Origin` and passes. The token is asked for all the same.
pub(crate) async fn guard(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    let mut response = match refused(request.headers(), &state.config().origins) {
        None => next.run(request).await,
        Some(origin) => {
            tracing::warn!(origin, "a request of a foreign page was refused");
            let message = format!("pages of {origin} may not ask: add it to cors_origins");
            ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", message).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers the questions that browsers ask before they let a page of an allowed origin in. Source: MeetYou V4, common
/// rules of HTTP.
pub(crate) fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins.to_vec();
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, _| {
            origin.to_str().is_ok_and(|origin| is_allowed(origin, &origins))
        }))
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("x-api-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-request-id"),
        ])
        .expose_headers([HeaderName::from_static("x-request-id"), HeaderName::from_static("next-cursor")])
}

/// The origin of the page that asks, when it may not.
fn refused(headers: &HeaderMap, allowed: &[String]) -> Option<String> {
    let origin = headers.get(header::ORIGIN)?;
    let Ok(origin) = origin.to_str() else { return Some("an unreadable origin".to_owned()) };
    let may = origin.is_empty() || is_allowed(origin, allowed) || is_our_own(origin, headers);
    (!may).then(|| origin.chars().take(255).collect())
}

/// The page came from where the request goes to; a proxy that adds TLS keeps the name.
fn is_our_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let page = origin.split_once("://").map(|(_, authority)| authority);
    page.zip(host).is_some_and(|(page, host)| page.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_local_and_listed_pages_may_ask_and_no_others() {
        let allowed = ["https://home.example".to_owned()];
        let ask = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("berth.lan:8787"));
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
            refused(&headers, &allowed)
        };
        for origin in [
            "",
            "http://berth.lan:8787",
            "https://BERTH.lan:8787",
            "http://localhost",
            "HTTP://LOCALHOST:3000",
            "https://127.0.0.1:1",
            "http://[::1]:80",
            "https://home.example",
        ] {
            assert_eq!(ask(origin), None, "{origin}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://berth.lan",
            "http://berth.lan:8787.evil.example",
            "http://localhost.evil.example",
            "http://localhost:",
            "http://localhost:80x",
            "ftp://localhost",
            "https://home.example.evil",
        ] {
            assert_eq!(ask(origin).as_deref(), Some(origin));
        }
        assert_eq!(refused(&HeaderMap::new(), &allowed), None);
    }
}
