//! Plugins, for the operator.

use std::path::PathBuf;

use axum::Json;
use axum::extract::{Extension, State};
use berth_core::operations::Ask;
use berth_model::plugin::PluginStatus;
use berth_model::{JsonMap, PluginId, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::grants::GrantView;
use super::operations::{ended, locale};
use super::usage::UsageView;
use crate::admin::{PackageAt, Pinned, PluginView, Wish};
use crate::config::BodyLimits;
use crate::diff::CapabilityDiff;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, BodyLimit, Id, Params, filled, id};
use crate::state::HttpState;

pub(crate) fn routes(limits: BodyLimits) -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(install))
        .routes(routes!(call).layer(Extension(BodyLimit(limits.call_bytes))))
        .routes(routes!(show, remove))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(logs))
}

/// An installed plugin.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginBody {
    plugin_id: String,
    version: String,
    /// `ready`, `failed` (switched on, but not loaded), `disabled` or `quarantined`.
    status: String,
    /// SHA-256 of the component, in lower-case hex.
    digest: String,
    /// Why it is not loaded, or what it was rolled back for; empty when all is well.
    last_error: String,
    /// What an upgrade that waits for consent asks for beyond this, in plain words; of one plugin alone, empty when none
    /// waits.
    waiting: Vec<String>,
    /// SHA-256 of the package that waits for consent, in lower-case hex: `digest` of the answer to it. Empty when none
    /// waits.
    waiting_digest: String,
    /// What an install asks for beyond the version that was in place, or an upgrade that waits for consent beyond this
    /// one; null when neither is told of.
    diff: Option<CapabilityDiff>,
    tools: Vec<PluginTool>,
    /// What its manifest asks for.
    capabilities: Vec<WishView>,
    grants: Vec<GrantView>,
    /// What its calls have used since the host started.
    usage: UsageView,
    /// What the install found odd; of an install alone.
    warnings: Vec<String>,
    installed_at: String,
    updated_at: String,
}

/// A tool of a plugin.
#[derive(Debug, Serialize, ToSchema)]
struct PluginTool {
    name: String,
    title: String,
    description: String,
    risk: String,
    requires_confirmation: bool,
    timeout_ms: u64,
    #[schema(value_type = Object)]
    input_schema: Value,
    output_schema: Value,
}

/// A capability that a manifest asks for.
#[derive(Debug, Serialize, ToSchema)]
struct WishView {
    name: String,
    #[schema(value_type = Object)]
    scope: Value,
    reason: String,
    required: bool,
}

impl PluginBody {
    fn new(state: &HttpState, view: PluginView, diff: Option<CapabilityDiff>, warnings: Vec<String>) -> Self {
        let plugin = view.plugin;
        let status = match plugin.status {
            PluginStatus::Active if view.is_ready => "ready",
            PluginStatus::Active => "failed",
            other => other.as_str(),
        };
        let now = state.core().now();
        Self {
            plugin_id: plugin.id.to_string(),
            version: plugin.version,
            status: status.to_owned(),
            digest: plugin.digest,
            last_error: plugin.last_error,
            waiting: view.waiting.as_ref().map(CapabilityDiff::lines).unwrap_or_default(),
            waiting_digest: view.waiting_digest.unwrap_or_default(),
            diff: view.waiting.or(diff),
            tools: plugin.tools.as_array().into_iter().flatten().map(tool).collect(),
            capabilities: view.wishes.into_iter().map(wish).collect(),
            grants: view.grants.into_iter().map(|grant| GrantView::new(grant, now)).collect(),
            usage: view.usage.into(),
            warnings,
            installed_at: plugin.installed_at.to_string(),
            updated_at: plugin.updated_at.to_string(),
        }
    }
}

/// The engine wrote the description; a field that it left out is empty.
fn tool(description: &Value) -> PluginTool {
    let text = |key: &str| description[key].as_str().unwrap_or_default().to_owned();
    PluginTool {
        name: text("name"),
        title: text("title"),
        description: text("description"),
        risk: text("risk"),
        requires_confirmation: description["confirm"].as_bool().unwrap_or(false),
        timeout_ms: description["timeout_ms"].as_u64().unwrap_or(0),
        input_schema: description["input_schema"].clone(),
        output_schema: description["output_schema"].clone(),
    }
}

fn wish(wish: Wish) -> WishView {
    WishView { name: wish.capability, scope: wish.scope, reason: wish.reason, required: wish.is_required }
}

/// Installed plugins, by id.
#[utoipa::path(get, path = "/operator/plugins", tag = "plugins", responses((status = 200, body = [PluginBody])))]
async fn list(State(state): State<HttpState>) -> Answer<Vec<PluginBody>> {
    let views = state.plugins().list().await?;
    Ok(Json(views.into_iter().map(|view| PluginBody::new(&state, view, None, Vec::new())).collect()))
}

#[derive(Debug, Deserialize, ToSchema)]
struct InstallBody {
    /// An absolute path on the host's own disk: a folder with `plugin.toml`, a `.berth` file, or a `.wasm`.
    path: String,
    /// Where it came from, such as `oci://registry.example/acme/tally@sha256:…`; the path when absent.
    source: Option<String>,
    /// Whether `berth.lock` must pin the plugin to this very package: version, digests, source and publisher.
    locked: Option<bool>,
    /// An absolute path to the lock, in the place of the host's own.
    lock: Option<String>,
    /// The SHA-256 that the package must have, in hex with or without `sha256:`. Another one changes nothing.
    digest: Option<String>,
    /// Yes to all that it asks for beyond the version in place.
    accept: Option<bool>,
}

/// Installs a plugin, or makes it the next generation of the installed one of its id, which waits for consent when it
/// asks for more. A failure changes nothing.
#[utoipa::path(
    post, path = "/operator/plugins/install", tag = "plugins", request_body = InstallBody,
    responses((status = 200, body = PluginBody)),
)]
async fn install(State(state): State<HttpState>, Body(body): Body<InstallBody>) -> Answer<PluginBody> {
    let on_disk = |key: &'static str, text: String| {
        let path = PathBuf::from(text);
        let message = "must be an absolute path on the host's own disk";
        if path.is_absolute() { Ok(path) } else { Err(ApiError::invalid(key, message)) }
    };
    let pinned = match (body.locked.unwrap_or(false), filled(body.lock)) {
        (_, Some(file)) => Pinned::By(on_disk("lock", file)?),
        (true, None) => Pinned::Own,
        (false, None) => Pinned::No,
    };
    let source = filled(body.source).map(|source| source.chars().take(1000).collect());
    let package = PackageAt {
        path: on_disk("path", body.path)?,
        source,
        pinned,
        digest: digest(body.digest)?,
        is_agreed: body.accept.unwrap_or(false),
    };
    let installed = state.plugins().install(package).await?;
    Ok(Json(PluginBody::new(&state, installed.view, Some(installed.diff), installed.warnings)))
}

/// A SHA-256 that was named, without the word before it.
pub(super) fn digest(text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = filled(text) else { return Ok(None) };
    let hex = text.strip_prefix("sha256:").unwrap_or(&text);
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ApiError::invalid(
            "digest",
            "must be a SHA-256: 64 digits of hex, with or without `sha256:`",
        ));
    }
    Ok(Some(hex.to_ascii_lowercase()))
}

/// One plugin.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = PluginBody)),
)]
pub(super) async fn show(State(state): State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<PluginBody> {
    let view = state.plugins().show(&plugin).await?;
    Ok(Json(PluginBody::new(&state, view, None, Vec::new())))
}

/// Lets a plugin take calls; loads it anew when it had failed.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/enable", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = PluginBody)),
)]
async fn enable(state: State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<PluginBody> {
    state.plugins().enable(&plugin).await?;
    show(state, Id(plugin)).await
}

/// Takes a plugin out of the catalogue; calls under way end by themselves.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/disable", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = PluginBody)),
)]
async fn disable(state: State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<PluginBody> {
    state.plugins().disable(&plugin).await?;
    show(state, Id(plugin)).await
}

/// A plugin that is gone.
#[derive(Debug, Serialize, ToSchema)]
struct Removed {
    plugin_id: String,
    removed: bool,
    /// Key-value pairs that stay, for the day the plugin comes back.
    kept_pairs: u64,
    /// Key-value pairs that are gone.
    purged_pairs: u64,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RemoveQuery {
    /// Whether its key-value pairs go as well; also for a plugin that was removed before.
    #[serde(default)]
    purge: bool,
}

/// Removes a plugin; its grants stay, and its key-value pairs without `purge`.
#[utoipa::path(
    delete, path = "/operator/plugins/{plugin_id}", tag = "plugins",
    params(("plugin_id" = String, Path), RemoveQuery),
    responses((status = 200, body = Removed)),
)]
async fn remove(
    State(state): State<HttpState>,
    Id(plugin): Id<PluginId>,
    Params(query): Params<RemoveQuery>,
) -> Answer<Removed> {
    let removed = state.plugins().remove(&plugin, query.purge).await?;
    Ok(Json(Removed {
        plugin_id: plugin.to_string(),
        removed: true,
        kept_pairs: removed.kept_pairs,
        purged_pairs: removed.purged_pairs,
    }))
}

/// A line that a plugin printed.
#[derive(Debug, Serialize, ToSchema)]
struct LogView {
    level: String,
    text: String,
}

/// What a plugin printed lately, oldest first. Kept in memory alone.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/logs", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = [LogView])),
)]
async fn logs(State(state): State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<Vec<LogView>> {
    let lines = state.plugins().logs(&plugin).await?;
    let view = |line: crate::admin::PluginLogLine| LogView { level: line.level, text: line.text };
    Ok(Json(lines.into_iter().map(view).collect()))
}

#[derive(Debug, Deserialize, ToSchema)]
struct CallBody {
    /// The name of a tool, of a plugin or of Core.
    tool: String,
    #[schema(value_type = Option<Object>)]
    arguments: Option<JsonMap>,
    /// `personal` by default.
    workspace_id: Option<String>,
    /// Whether to tell what would be done, and do nothing.
    dry_run: Option<bool>,
    /// The language of who waits, such as `de-CH`; that of the host when absent.
    locale: Option<String>,
}

/// A finished call.
#[derive(Debug, Serialize, ToSchema)]
struct CallAnswer {
    operation_id: String,
    tool: String,
    execution_target: String,
    status: String,
    result: Value,
    /// What the tool says went wrong; null when nothing did. A call that yielded nothing is an error envelope.
    error: Value,
    /// Measurements of the call.
    receipt: Value,
}

/// Calls a tool as the owner, through the same gate as every call. It is cancelled when the client goes away.
#[utoipa::path(
    post, path = "/operator/plugins/call", tag = "plugins", request_body = CallBody,
    responses((status = 200, body = CallAnswer)),
)]
async fn call(State(state): State<HttpState>, Body(body): Body<CallBody>) -> Answer<CallAnswer> {
    let place: WorkspaceId = id(filled(body.workspace_id).as_deref().unwrap_or("personal"))?;
    let mut ask = Ask::of_owner(body.tool, Value::Object(body.arguments.unwrap_or_default()), place);
    ask.dry_run = body.dry_run.unwrap_or(false);
    ask.locale = locale(body.locale)?;
    let cancel = CancellationToken::new();
    ask.cancel = cancel.clone();
    let _gone = cancel.drop_guard();
    let finished = state.core().operate(ask).await?;
    let receipt = finished.operation.receipt.clone();
    let view = ended(finished)?;
    Ok(Json(CallAnswer {
        operation_id: view.operation_id,
        tool: view.tool_id,
        execution_target: view.execution_target,
        status: view.status,
        result: view.result,
        error: view.error,
        receipt,
    }))
}
