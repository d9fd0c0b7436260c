//! Whether the host is well.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use berth_core::Status;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admin::PluginHealth;
use crate::error::SCHEMA;
use crate::layer::envelope::Written;
use crate::state::HttpState;

/// `GET /health`, which needs no token.
pub(crate) fn open() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(health))
}

/// The same for operators.
pub(crate) fn guarded() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(operator_health))
}

/// How the host is.
#[derive(Debug, Serialize, ToSchema)]
struct HealthEnvelope {
    schema: String,
    /// `health`.
    kind: String,
    health: Health,
}

#[derive(Debug, Serialize, ToSchema)]
struct Health {
    service: String,
    version: String,
    /// `starting`, `ready`, `degraded`, `stopping` or `error`.
    status: String,
    live: bool,
    ready: bool,
    degraded: bool,
    platform_boundary: Boundary,
    components: Vec<Component>,
    checks: Vec<Check>,
    #[schema(value_type = Object)]
    metrics: Value,
    build_info: Build,
    #[schema(value_type = Vec<Object>)]
    telemetry: Vec<Value>,
    errors: Vec<HealthError>,
    updated_at: String,
}

/// What runs in Core, and what endpoint providers do.
#[derive(Debug, Serialize, ToSchema)]
struct Boundary {
    retained_in_core: Vec<String>,
    delegated_to_endpoint_providers: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Component {
    name: String,
    status: String,
    detail: String,
    last_event: String,
    updated_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Check {
    name: String,
    /// `ok`, `degraded` or `error`.
    status: String,
    detail: String,
    #[schema(value_type = Object)]
    metadata: Value,
    observed_at: String,
}

/// A check that failed.
#[derive(Debug, Serialize, ToSchema)]
struct HealthError {
    check: String,
    message: String,
}

impl HealthError {
    fn of(check: &Check) -> Self {
        Self { check: check.name.clone(), message: check.detail.clone() }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Build {
    component: String,
    version: String,
    commit: String,
}

/// Whether the host is ready: 200 when it is, 503 when it starts, stops or has no database. Needs no token.
#[utoipa::path(
    get, path = "/health", tag = "health",
    responses((status = 200, body = HealthEnvelope), (status = 503, body = HealthEnvelope)),
)]
async fn health(State(state): State<HttpState>) -> Response {
    answer(&state).await
}

/// The same as `/health`, behind the token.
#[utoipa::path(
    get, path = "/operator/health", tag = "health",
    responses((status = 200, body = HealthEnvelope), (status = 503, body = HealthEnvelope)),
)]
async fn operator_health(State(state): State<HttpState>) -> Response {
    answer(&state).await
}

async fn answer(state: &HttpState) -> Response {
    let (core, plugins) = (state.core().status().await, state.plugins().health().await);
    let health = Health::new(state, &core, &plugins);
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = HealthEnvelope { schema: SCHEMA.to_owned(), kind: "health".to_owned(), health };
    let mut response = (status, Json(body)).into_response();
    response.extensions_mut().insert(Written);
    response
}

impl Health {
    fn new(state: &HttpState, core: &Status, plugins: &PluginHealth) -> Self {
        let now = state.core().now().to_string();
        let checks = checks(core, plugins, &now);
        let ready = core.ready && core.store.is_ok() && !core.stopping && !plugins.starting;
        let errors = checks.iter().filter(|check| check.status == "error").map(HealthError::of).collect();
        let degraded = checks.iter().any(|check| check.status == "degraded");
        let status = match () {
            () if core.stopping => "stopping",
            () if !core.ready => "starting",
            () if !core.store.is_ok() => "error",
            () if plugins.starting => "starting",
            () if degraded => "degraded",
            () => "ready",
        };
        let components = ["session_execution", "background_jobs", "tool_execution", "delivery", "telemetry"];
        let build = &state.config().build;
        Self {
            service: "meetyou-runtime".to_owned(),
            version: build.version.clone(),
            status: status.to_owned(),
            live: true,
            ready,
            degraded,
            platform_boundary: Boundary {
                retained_in_core: words(&[
                    "threads",
                    "messages",
                    "runs",
                    "operations",
                    "deliveries",
                    "plugins",
                ]),
                delegated_to_endpoint_providers: words(&["devices", "channels", "desktops"]),
            },
            components: components
                .into_iter()
                .map(|name| Component {
                    name: name.to_owned(),
                    status: status.to_owned(),
                    detail: String::new(),
                    last_event: String::new(),
                    updated_at: now.clone(),
                })
                .collect(),
            metrics: json!({
                "runs": core.runs,
                "plugin_tools": core.tools,
                "connected_endpoints": core.connected_endpoints,
                "free_event_streams": state.streams().available_permits(),
            }),
            checks,
            build_info: Build {
                component: "berth".to_owned(),
                version: build.version.clone(),
                commit: build.commit.clone(),
            },
            telemetry: Vec::new(),
            errors,
            updated_at: now,
        }
    }
}

fn checks(core: &Status, plugins: &PluginHealth, now: &str) -> Vec<Check> {
    let check = |name: &str, status: &str, detail: String, metadata: Value| Check {
        name: name.to_owned(),
        status: status.to_owned(),
        detail,
        metadata,
        observed_at: now.to_owned(),
    };
    let store = &core.store;
    let (database, said) = match &store.problem {
        None => ("ok", "answers".to_owned()),
        Some(problem) => ("error", format!("does not answer: {problem}")),
    };
    let plugin_status = if plugins.problem.is_some() || plugins.failed > 0 { "degraded" } else { "ok" };
    let plugin_detail = plugins.problem.clone().unwrap_or_else(|| {
        let more = if plugins.starting { ", others are being put in place" } else { "" };
        format!("{} of {} ready, {} failed{more}", plugins.ready, plugins.installed, plugins.failed)
    });
    vec![
        check(
            "database",
            database,
            format!("{} {said}", store.kind),
            json!({ "kind": store.kind, "schema_version": store.schema_version }),
        ),
        check(
            "plugins",
            plugin_status,
            plugin_detail,
            json!({
                "allocator": plugins.allocator, "installed": plugins.installed, "ready": plugins.ready,
                "failed": plugins.failed,
            }),
        ),
        check(
            "model",
            "ok",
            format!("{} {}", core.model.provider, core.model.model),
            json!({ "provider": core.model.provider, "model": core.model.model }),
        ),
        check(
            "endpoints",
            "ok",
            format!("{} connected", core.connected_endpoints),
            json!({ "connected": core.connected_endpoints }),
        ),
    ]
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
