//! `GET /openapi.json`.

use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, ResponseBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};

use crate::config::BuildInfo;
use crate::error::{Category, ErrorBody, ErrorEnvelope};
use crate::state::HttpState;

/// The routes that need no token.
const OPEN: [&str; 1] = ["/health"];

/// The document before the routes are in it.
pub(crate) fn base(build: &BuildInfo) -> OpenApi {
    let info = InfoBuilder::new().title("berth").version(&build.version).description(Some(
        "Threads, messages, runs, tools and plugins of one berth host. Every failure has the form of ErrorEnvelope.",
    ));
    OpenApiBuilder::new().info(info).build()
}

/// The finished document, behind the token like everything else.
pub(crate) fn route(mut described: OpenApi, state: &HttpState) -> Router<HttpState> {
    finish(&mut described);
    let body = serde_json::to_value(&described).unwrap_or_default();
    Router::new()
        .route("/openapi.json", get(async move || Json(body.clone())))
        .route_layer(axum::middleware::from_fn_with_state(state.clone(), crate::layer::auth::require))
}

/// Adds what all routes have in common: the token and the form of a failure.
fn finish(described: &mut OpenApi) {
    let components = described.components.get_or_insert_default();
    for (name, schema) in [
        (ErrorEnvelope::name(), ErrorEnvelope::schema()),
        (ErrorBody::name(), ErrorBody::schema()),
        (Category::name(), Category::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme(
        "api_key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key"))),
    );
    for (path, item) in &mut described.paths.paths {
        for operation in operations(item) {
            let failure = ResponseBuilder::new()
                .description("A failure")
                .content("application/json", Content::new(Some(Ref::from_schema_name("ErrorEnvelope"))))
                .build();
            operation.responses.responses.insert("default".to_owned(), failure.into());
            if !OPEN.contains(&path.as_str()) {
                let none: [String; 0] = [];
                operation.security = Some(vec![
                    SecurityRequirement::new("bearer", none.clone()),
                    SecurityRequirement::new("api_key", none),
                ]);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}
