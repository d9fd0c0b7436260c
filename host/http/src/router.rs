//! All routes together.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::from_fn_with_state;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::layer::{auth, envelope, observe};
use crate::state::HttpState;
use crate::{openapi, route};

/// Every route, ready to be served. `extra` is mounted beside them as it is, without the token and the envelope: the
/// endpoint socket checks and refuses by its own rules.
pub fn router(state: HttpState, extra: Router) -> Router {
    let guarded = OpenApiRouter::new()
        .merge(route::health::guarded())
        .merge(route::workspaces::routes())
        .merge(route::threads::routes())
        .merge(route::events::routes())
        .merge(route::sessions::routes())
        .merge(route::messages::routes(state.config().limits))
        .merge(route::runs::routes())
        .merge(route::operations::routes(state.config().limits))
        .merge(route::approvals::routes())
        .merge(route::replies::routes())
        .merge(route::tools::routes())
        .merge(route::plugins::routes(state.config().limits))
        .merge(route::grants::routes())
        .route_layer(from_fn_with_state(state.clone(), auth::require));
    let (routes, described) = OpenApiRouter::with_openapi(openapi::base(&state.config().build))
        .merge(guarded)
        .merge(route::health::open())
        .split_for_parts();
    let routes = routes
        .merge(openapi::route(described, &state))
        .fallback(envelope::no_route)
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(from_fn_with_state(state.clone(), envelope::write))
        .layer(cors(&state.config().origins))
        .layer(from_fn_with_state(state.clone(), observe::request))
        .with_state(state);
    routes.merge(extra)
}

/// Source: MeetYou V4, common rules of HTTP.
fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return CorsLayer::new();
    }
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("x-api-key"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([HeaderName::from_static("x-request-id"), HeaderName::from_static("next-cursor")])
}
