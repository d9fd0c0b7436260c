//! Generations of plugins: upgrade, rollback, quarantine.

use std::path::PathBuf;

use axum::Json;
use axum::extract::State;
use berth_model::PluginId;
use berth_model::generation::Generation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::plugins::{PluginBody, digest, show};
use super::text;
use crate::admin::{PackageAt, Pinned, Upgraded};
use crate::diff::CapabilityDiff;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, Id, filled};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(generations))
        .routes(routes!(upgrade))
        .routes(routes!(rollback))
        .routes(routes!(resume))
}

/// A version of a plugin that was put in place, and where it stands.
#[derive(Debug, Serialize, ToSchema)]
struct GenerationBody {
    /// 1, 2, 3 … of its plugin.
    generation: i64,
    /// `install`, `upgrade` or `rollback`.
    origin: String,
    version: String,
    /// SHA-256 of the component, in lower-case hex.
    digest: String,
    /// `staged`, `inspected`, `awaiting_consent`, `compiled`, `active`, `quarantined`, `draining`, `retired` or `rejected`.
    state: String,
    /// Why it was rejected, as a code; empty for every other state.
    code: String,
    last_error: String,
    /// Whether its first calls went well.
    is_proven: bool,
    created_at: String,
    /// Empty: never.
    activated_at: String,
    /// Empty: not yet.
    retired_at: String,
}

impl From<Generation> for GenerationBody {
    fn from(one: Generation) -> Self {
        Self {
            generation: one.number,
            origin: one.origin.to_string(),
            version: one.version,
            digest: one.digest,
            state: one.state.as_str().to_owned(),
            code: one.state.code().to_owned(),
            last_error: one.last_error,
            is_proven: one.is_proven,
            created_at: one.created_at.to_string(),
            activated_at: text(one.activated_at.as_ref()),
            retired_at: text(one.retired_at.as_ref()),
        }
    }
}

/// The generations of a plugin, oldest first; the last of those that are gone too.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/generations", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = [GenerationBody])),
)]
async fn generations(
    State(state): State<HttpState>,
    Id(plugin): Id<PluginId>,
) -> Answer<Vec<GenerationBody>> {
    let all = state.plugins().generations(&plugin).await?;
    Ok(Json(all.into_iter().map(GenerationBody::from).collect()))
}

#[derive(Debug, Deserialize, ToSchema)]
struct UpgradeBody {
    /// An absolute path on the host's own disk; the upgrade that waits for consent when absent.
    path: Option<String>,
    /// Yes to all that it asks for.
    #[serde(default)]
    accept: bool,
    /// No to the upgrade that waits for consent.
    #[serde(default)]
    decline: bool,
    /// The SHA-256 that the package, or the one that waits, must have, in hex with or without `sha256:`. Another one
    /// changes nothing.
    digest: Option<String>,
    /// Where the package came from, such as `oci://registry.example/acme/tally@sha256:…`; the path when absent.
    source: Option<String>,
}

/// What an upgrade has come to.
#[derive(Debug, Serialize, ToSchema)]
struct UpgradeAnswer {
    plugin_id: String,
    generation: i64,
    version: String,
    /// `active`, `unchanged`, `waiting` or `declined`.
    outcome: String,
    /// What it asks for beyond the one in place, in plain words; empty unless it waits.
    more: Vec<String>,
    /// SHA-256 of the package that waits for consent, in lower-case hex: `digest` of the answer to it. Empty unless it
    /// waits.
    waiting_digest: String,
    /// What it asks for beyond the one that was in place; null when it is declined.
    diff: Option<CapabilityDiff>,
    /// What the inspection found odd.
    warnings: Vec<String>,
}

/// Puts the next generation in place. One that asks for more waits, while the one in place serves, until it is accepted.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/upgrade", tag = "plugins", params(("plugin_id" = String, Path)),
    request_body = UpgradeBody, responses((status = 200, body = UpgradeAnswer)),
)]
async fn upgrade(
    State(state): State<HttpState>,
    Id(plugin): Id<PluginId>,
    Body(body): Body<UpgradeBody>,
) -> Answer<UpgradeAnswer> {
    let plugins = state.plugins();
    let digest = digest(body.digest)?;
    let done: Upgraded = match (body.path.map(PathBuf::from), body.accept, body.decline) {
        (_, _, true) if digest.is_some() => {
            return Err(ApiError::invalid("digest", "must not stand beside `decline`"));
        }
        (_, true, true) => return Err(ApiError::invalid("decline", "must not stand beside `accept`")),
        (Some(_), _, true) => return Err(ApiError::invalid("decline", "must not stand beside `path`")),
        (Some(path), ..) if !path.is_absolute() => {
            return Err(ApiError::invalid("path", "must be an absolute path on the host's own disk"));
        }
        (Some(path), is_agreed, false) => {
            let source = filled(body.source).map(|source| source.chars().take(1000).collect());
            let package = PackageAt { path, source, digest, is_agreed, pinned: Pinned::No };
            plugins.upgrade(&plugin, package).await?
        }
        (None, true, false) => plugins.accept(&plugin, digest).await?,
        (None, false, true) => plugins.decline(&plugin).await?,
        (None, false, false) => {
            return Err(ApiError::invalid("path", "must be there without accept or decline"));
        }
    };
    let waits = done.outcome == "waiting";
    Ok(Json(UpgradeAnswer {
        plugin_id: plugin.to_string(),
        generation: done.generation,
        version: done.version,
        outcome: done.outcome.to_owned(),
        more: done.diff.as_ref().filter(|_| waits).map(CapabilityDiff::lines).unwrap_or_default(),
        waiting_digest: done.waiting_digest.unwrap_or_default(),
        diff: done.diff,
        warnings: done.warnings,
    }))
}

#[derive(Debug, Deserialize, ToSchema)]
struct RollbackBody {
    /// The number of a generation; the last one without a fault when absent.
    to: Option<i64>,
}

/// Puts an earlier generation in place again.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/rollback", tag = "plugins", params(("plugin_id" = String, Path)),
    request_body = RollbackBody, responses((status = 200, body = PluginBody)),
)]
async fn rollback(
    state: State<HttpState>,
    Id(plugin): Id<PluginId>,
    Body(body): Body<RollbackBody>,
) -> Answer<PluginBody> {
    state.plugins().rollback(&plugin, body.to).await?;
    show(state, Id(plugin)).await
}

/// Lets a quarantined plugin take calls again; its first calls are watched anew.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/resume", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = PluginBody)),
)]
async fn resume(state: State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<PluginBody> {
    state.plugins().resume(&plugin).await?;
    show(state, Id(plugin)).await
}
