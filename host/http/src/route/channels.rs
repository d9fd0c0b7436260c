//! The web addresses of channels, and what an operator looks at.
//!
//! The web addresses are the only routes besides `/health` without the access token: providers have none. Path, token and
//! method are checked before a byte of the body is read; whatever is wrong with them, the answer is that of a route that
//! is not there.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use berth_model::PluginId;
use berth_model::channel::ChannelEvent;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::text;
use crate::channels::{HookAnswer, HookError, HookRequest, PollView};
use crate::error::{Answer, ApiError};
use crate::extract::{Id, read_body};
use crate::layer::envelope::{self, Written};
use crate::state::HttpState;

/// The largest body of a request to a web address.
const BODY_BYTES: usize = 1 << 20;

/// The web addresses, which need no token of the host.
pub(crate) fn open() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(get_open, post_open)).routes(routes!(get_hook, post_hook))
}

/// For operators.
pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(retry))
        .routes(routes!(drop_event))
}

/// A request to a web address that the operator opened to providers which cannot carry a token.
#[utoipa::path(
    get, path = "/channels/{plugin_id}/{hook}", tag = "channels",
    params(("plugin_id" = String, Path), ("hook" = String, Path)),
    responses((status = 200, description = "What the channel answers", body = String, content_type = "*/*")),
)]
async fn get_open(
    State(state): State<HttpState>,
    Path((plugin, hook)): Path<(String, String)>,
    request: Request,
) -> Response {
    serve(&state, &plugin, &hook, None, request).await
}

/// A request to a web address that the operator opened to providers which cannot carry a token.
#[utoipa::path(
    post, path = "/channels/{plugin_id}/{hook}", tag = "channels",
    params(("plugin_id" = String, Path), ("hook" = String, Path)),
    request_body(content = String, content_type = "*/*"),
    responses((status = 200, description = "What the channel answers", body = String, content_type = "*/*")),
)]
async fn post_open(
    State(state): State<HttpState>,
    Path((plugin, hook)): Path<(String, String)>,
    request: Request,
) -> Response {
    serve(&state, &plugin, &hook, None, request).await
}

/// A request to a web address, whose path ends with its secret token.
#[utoipa::path(
    get, path = "/channels/{plugin_id}/{hook}/{token}", tag = "channels",
    params(("plugin_id" = String, Path), ("hook" = String, Path), ("token" = String, Path)),
    responses((status = 200, description = "What the channel answers", body = String, content_type = "*/*")),
)]
async fn get_hook(
    State(state): State<HttpState>,
    Path((plugin, hook, token)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    serve(&state, &plugin, &hook, Some(&token), request).await
}

/// A request to a web address, whose path ends with its secret token.
#[utoipa::path(
    post, path = "/channels/{plugin_id}/{hook}/{token}", tag = "channels",
    params(("plugin_id" = String, Path), ("hook" = String, Path), ("token" = String, Path)),
    request_body(content = String, content_type = "*/*"),
    responses((status = 200, description = "What the channel answers", body = String, content_type = "*/*")),
)]
async fn post_hook(
    State(state): State<HttpState>,
    Path((plugin, hook, token)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    serve(&state, &plugin, &hook, Some(&token), request).await
}

async fn serve(
    state: &HttpState,
    plugin: &str,
    hook: &str,
    token: Option<&str>,
    request: Request,
) -> Response {
    let method = request.method().as_str().to_owned();
    let admitted = match state.channels().admit(plugin, hook, token, &method) {
        Ok(admitted) => admitted,
        Err(refused) => return refusal(refused).await,
    };
    let query = request.uri().query().unwrap_or_default().to_owned();
    let headers = request.headers().iter().filter_map(|(name, value)| {
        let text = value.to_str().ok()?;
        Some((name.as_str().to_owned(), text.to_owned()))
    });
    let headers: Vec<_> = headers.collect();
    let body = match read_body(request, state.config(), BODY_BYTES).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    match admitted.answer(HookRequest { method, query, headers, body }).await {
        Ok(answer) => answered(answer),
        Err(refused) => refusal(refused).await,
    }
}

async fn refusal(error: HookError) -> Response {
    let status = match error.code {
        "http_404" => return envelope::no_route().await.into_response(),
        "CHANNEL_RATE_LIMITED" => StatusCode::TOO_MANY_REQUESTS,
        "CHANNEL_FAILED" => StatusCode::BAD_GATEWAY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut failure = ApiError::new(status, error.code, error.message);
    failure.retryable = status != StatusCode::BAD_GATEWAY;
    let mut response = failure.into_response();
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What a guest says goes out as it is, and as nothing that a browser would run on this origin.
fn answered(answer: HookAnswer) -> Response {
    let Ok(status) = StatusCode::from_u16(answer.status) else { return ApiError::internal().into_response() };
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::try_from(answer.content_type);
    let kind = kind.unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, kind);
    let policy = HeaderValue::from_static("default-src 'none'; sandbox");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    if let Some(seconds) = answer.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(Written);
    response
}

/// A channel at work.
#[derive(Debug, Serialize, ToSchema)]
struct ChannelBody {
    plugin_id: String,
    endpoint_id: String,
    /// Its web addresses. Whoever knows a path may ask.
    hooks: Vec<HookBody>,
    /// Instances that are kept right now; none while it is idle.
    residents: usize,
    /// Events in its mailbox.
    waiting: usize,
    /// Requests that the host makes again and again for it.
    polls: Vec<PollBody>,
}

/// A request that the host makes again and again.
#[derive(Debug, Serialize, ToSchema)]
struct PollBody {
    name: String,
    /// Failures since the last answer that was taken.
    failures: u32,
    /// What went wrong last; empty when nothing did.
    error: String,
    /// Empty before the first time.
    asked_at: String,
}

/// A web address.
#[derive(Debug, Serialize, ToSchema)]
struct HookBody {
    name: String,
    /// Below the address of the host, with its token.
    path: String,
}

/// An event that a channel has not dealt with.
#[derive(Debug, Serialize, ToSchema)]
struct EventBody {
    event_id: String,
    plugin_id: String,
    /// `webhook`, `timer`, `socket_frame` …
    kind: String,
    /// `pending` or `parked`.
    status: String,
    attempts: u32,
    /// What went wrong last.
    error: String,
    /// What came, bytes in base64.
    #[schema(value_type = Object)]
    payload: Value,
    /// Not before this time; empty: now.
    available_at: String,
    created_at: String,
    updated_at: String,
}

impl PollBody {
    fn new(poll: PollView) -> Self {
        let asked_at = text(poll.asked_at.as_ref());
        Self { name: poll.name, failures: poll.failures, error: poll.error, asked_at }
    }
}

impl EventBody {
    fn new(event: ChannelEvent) -> Self {
        Self {
            event_id: event.id,
            plugin_id: event.plugin.to_string(),
            kind: event.kind,
            status: event.status.to_string(),
            attempts: event.attempts,
            error: event.error,
            payload: event.payload,
            available_at: text(event.available_at.as_ref()),
            created_at: event.created_at.to_string(),
            updated_at: event.updated_at.to_string(),
        }
    }
}

/// A channel that is at work, with the paths of its web addresses.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/channel", tag = "channels", params(("plugin_id" = String, Path)),
    responses((status = 200, body = ChannelBody)),
)]
async fn show(State(state): State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<ChannelBody> {
    let view = state.channels().show(&plugin).await?;
    Ok(Json(ChannelBody {
        plugin_id: plugin.to_string(),
        endpoint_id: view.endpoint_id,
        hooks: view.hooks.into_iter().map(|(name, path)| HookBody { name, path }).collect(),
        residents: view.residents,
        waiting: view.waiting,
        polls: view.polls.into_iter().map(PollBody::new).collect(),
    }))
}

/// The events of a channel that wait or are parked, oldest first.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/events", tag = "channels", params(("plugin_id" = String, Path)),
    responses((status = 200, body = [EventBody])),
)]
async fn events(State(state): State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<Vec<EventBody>> {
    let events = state.channels().events(&plugin).await?;
    Ok(Json(events.into_iter().map(EventBody::new).collect()))
}

/// Hands a parked event over again.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/events/{event_id}/retry", tag = "channels",
    params(("plugin_id" = String, Path), ("event_id" = String, Path)),
    responses((status = 200, body = EventBody)),
)]
async fn retry(
    State(state): State<HttpState>,
    Path((plugin, event)): Path<(String, String)>,
) -> Answer<EventBody> {
    let event = state.channels().retry(&named(&plugin)?, &event).await?;
    Ok(Json(EventBody::new(event)))
}

/// Forgets an event.
#[utoipa::path(
    delete, path = "/operator/plugins/{plugin_id}/events/{event_id}", tag = "channels",
    params(("plugin_id" = String, Path), ("event_id" = String, Path)),
    responses((status = 200, body = Dropped)),
)]
async fn drop_event(
    State(state): State<HttpState>,
    Path((plugin, event)): Path<(String, String)>,
) -> Answer<Dropped> {
    state.channels().drop_event(&named(&plugin)?, &event).await?;
    Ok(Json(Dropped { event_id: event, dropped: true }))
}

/// An event that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct Dropped {
    event_id: String,
    /// `true`.
    dropped: bool,
}

fn named(plugin: &str) -> Result<PluginId, ApiError> {
    PluginId::new(plugin).map_err(|_| ApiError::not_found("PLUGIN_NOT_FOUND", "plugin", plugin))
}
