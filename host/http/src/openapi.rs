//! `GET /openapi.json`.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr, ResponseBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::BuildInfo;
use crate::error::{Category, ErrorBody, ErrorEnvelope};
use crate::state::HttpState;

/// The routes that need no token.
const OPEN: [&str; 3] = ["/health", "/channels/{plugin_id}/{hook}", "/channels/{plugin_id}/{hook}/{token}"];

/// The document before the routes are in it.
pub(crate) fn base(build: &BuildInfo) -> OpenApi {
    let info = InfoBuilder::new().title("berth").version(&build.version).description(Some(
        "Threads, messages, runs, tools and plugins of one berth host. Every failure has the form of ErrorEnvelope.",
    ));
    OpenApiBuilder::new().info(info).build()
}

/// The finished document, as it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Document(Bytes);

/// Behind the token like everything else.
pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// Finishes the description of all routes.
pub(crate) fn document(mut described: OpenApi) -> Document {
    finish(&mut described);
    Document(serde_json::to_vec(&described).unwrap_or_default().into())
}

/// This description, in OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", tag = "about",
    responses((status = 200, description = "The description of every route", body = Object)),
)]
async fn show(Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document.0)
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
            name(operation);
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

/// Handlers of several files have the same name; an id is one operation's.
fn name(operation: &mut Operation) {
    let tag = operation.tags.iter().flatten().next();
    operation.operation_id =
        tag.zip(operation.operation_id.as_ref()).map(|(tag, handler)| format!("{tag}_{handler}"));
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "The answer".clone_into(&mut response.description);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete]
        .into_iter()
        .filter_map(Option::as_mut)
}
