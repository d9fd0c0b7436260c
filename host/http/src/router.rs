//! All routes together.

use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;

use crate::layer::{auth, bounds, browser, envelope, observe};
use crate::state::HttpState;
use crate::{openapi, route};

/// Every route, ready to be served. `extra` is mounted beside them as it is, without the token and the envelope: the
/// endpoint socket checks and refuses by its own rules.
pub fn router(state: HttpState, extra: Router) -> Router {
    let limits = state.config().limits;
    // Calls of tools take as long as the tool may.
    let slow =
        OpenApiRouter::new().merge(route::operations::routes(limits)).merge(route::plugins::routes(limits));
    let quick = OpenApiRouter::new()
        .merge(route::health::guarded())
        .merge(route::workspaces::routes())
        .merge(route::threads::routes())
        .merge(route::events::routes())
        .merge(route::sessions::routes())
        .merge(route::messages::routes(limits))
        .merge(route::runs::routes())
        .merge(route::approvals::routes())
        .merge(route::replies::routes())
        .merge(route::tools::routes())
        .merge(route::generations::routes())
        .merge(route::grants::routes())
        .merge(route::audit::routes())
        .merge(route::channels::routes())
        .merge(route::sent::routes())
        .merge(route::secrets::routes());
    let quick = quick.route_layer(from_fn_with_state(state.clone(), bounds::time));
    let (open, described) = OpenApiRouter::with_openapi(openapi::base(&state.config().build))
        .merge(route::health::open())
        .merge(route::channels::open())
        .split_for_parts();
    let (guarded, described) = OpenApiRouter::with_openapi(described)
        .merge(quick)
        .merge(slow)
        .merge(openapi::routes())
        .split_for_parts();
    let guarded = guarded
        .layer(Extension(openapi::document(described)))
        .fallback(envelope::no_route)
        // Around the fallback too: without the token nobody learns which routes there are.
        .layer(from_fn_with_state(state.clone(), auth::require));
    let routes = open
        .merge(guarded)
        .layer(CatchPanicLayer::custom(envelope::panicked))
        .layer(from_fn(bounds::size))
        .layer(browser::cors(&state.config().origins))
        .layer(from_fn_with_state(state.clone(), browser::guard))
        .layer(from_fn_with_state(state.clone(), envelope::write))
        .layer(from_fn_with_state(state.clone(), observe::request))
        .with_state(state);
    routes.merge(extra)
}
