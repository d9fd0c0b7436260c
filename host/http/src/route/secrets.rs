//! Secrets of plugins, for the operator: values come in and never go out.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use berth_model::{PluginId, WorkspaceId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::text;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, Params, Segment, filled, optional_id};
use crate::secrets::{NewSecret, SecretView, Which};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new().routes(routes!(list, put)).routes(routes!(remove)).routes(routes!(renew_key))
}

/// What may be known of a secret; its value may not.
#[derive(Debug, Serialize, ToSchema)]
struct SecretBody {
    name: String,
    /// Empty: several plugins share it.
    plugin_id: String,
    /// The plugins that share it.
    plugins: Vec<String>,
    /// Empty: it counts in every workspace.
    workspace_id: String,
    /// `ok`, or why it cannot be opened: `no_key`, `other_key`, `damaged`.
    state: String,
    /// 1 at first, one more with every value.
    version: i64,
    created_at: String,
    updated_at: String,
}

impl From<SecretView> for SecretBody {
    fn from(view: SecretView) -> Self {
        Self {
            name: view.which.name,
            plugin_id: text(view.which.plugin.as_ref()),
            plugins: view.plugins,
            workspace_id: text(view.which.workspace.as_ref()),
            state: view.state,
            version: view.version,
            created_at: view.created_at.to_string(),
            updated_at: view.updated_at.to_string(),
        }
    }
}

/// A secret that is forgotten.
#[derive(Debug, Serialize, ToSchema)]
struct RemovedBody {
    name: String,
    removed: bool,
}

/// Everything is under a new key.
#[derive(Debug, Serialize, ToSchema)]
struct RenewedBody {
    renewed: bool,
}

#[derive(Deserialize, ToSchema)]
struct NewSecretBody {
    /// 1 to 64 characters of `a-z`, `0-9`, `_`, `.` and `-`.
    name: String,
    /// The plugin that it belongs to; this or `plugins`.
    plugin_id: Option<String>,
    /// The plugins that share it.
    plugins: Option<Vec<String>>,
    /// In every workspace when absent.
    workspace_id: Option<String>,
    /// The value as text; this or `value_base64`.
    #[serde(default, deserialize_with = "unseen")]
    #[schema(value_type = Option<String>)]
    value: Option<Zeroizing<String>>,
    /// The value as bytes.
    #[serde(default, deserialize_with = "unseen")]
    #[schema(value_type = Option<String>)]
    value_base64: Option<Zeroizing<String>>,
    /// Only a new value for a secret that is there.
    #[serde(default)]
    must_exist: bool,
}

/// A text whose refusal does not repeat it.
fn unseen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Zeroizing<String>>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(Zeroizing::new(text))),
        _ => Err(serde::de::Error::custom("must be a text")),
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct WhichQuery {
    /// Its plugin; the one that several share when absent.
    plugin_id: Option<String>,
    /// The one workspace in which it counts.
    workspace_id: Option<String>,
}

/// Every secret, without its value.
#[utoipa::path(get, path = "/operator/secrets", tag = "secrets", responses((status = 200, body = [SecretBody])))]
async fn list(State(state): State<HttpState>) -> Answer<Vec<SecretBody>> {
    let secrets = state.secrets().list().await?;
    Ok(Json(secrets.into_iter().map(SecretBody::from).collect()))
}

/// Keeps a value; calls under way use it at their next use of the secret.
#[utoipa::path(
    post, path = "/operator/secrets", tag = "secrets", request_body = NewSecretBody,
    responses((status = 200, body = SecretBody)),
)]
async fn put(State(state): State<HttpState>, Body(body): Body<NewSecretBody>) -> Answer<SecretBody> {
    let which = which(body.name, body.plugin_id.as_deref(), body.workspace_id.as_deref())?;
    let plugins = body.plugins.unwrap_or_default();
    // Who shares a secret stays so with a new value.
    let nobody = which.plugin.is_none() && plugins.is_empty() && !body.must_exist;
    if nobody || (which.plugin.is_some() && !plugins.is_empty()) {
        let reason = "must name those that share the secret, or plugin_id its one plugin";
        return Err(ApiError::invalid("plugins", reason));
    }
    let plugins = plugins.iter().map(|id| plugin("plugins", id)).collect::<Result<Vec<_>, _>>()?;
    let value = match (body.value, body.value_base64) {
        (Some(mut text), None) => Zeroizing::new(std::mem::take(&mut *text).into_bytes()),
        (None, Some(text)) => Zeroizing::new(
            BASE64
                .decode(text.as_bytes())
                .map_err(|_| ApiError::invalid("value_base64", "must be base64"))?,
        ),
        _ => return Err(ApiError::invalid("value", "or value_base64 is required, and not both")),
    };
    let new = NewSecret { which, plugins, value, must_exist: body.must_exist };
    Ok(Json(state.secrets().put(new).await?.into()))
}

/// Forgets a secret; calls under way have it no more at their next use of it.
#[utoipa::path(
    delete, path = "/operator/secrets/{name}", tag = "secrets", params(("name" = String, Path), WhichQuery),
    responses((status = 200, body = RemovedBody)),
)]
async fn remove(
    State(state): State<HttpState>,
    Segment(name): Segment,
    Params(query): Params<WhichQuery>,
) -> Answer<RemovedBody> {
    let which = which(name, query.plugin_id.as_deref(), query.workspace_id.as_deref())?;
    let name = which.name.clone();
    state.secrets().remove(which).await?;
    Ok(Json(RemovedBody { name, removed: true }))
}

/// Puts every secret under a new key; fails before it changes anything when one of them cannot be opened.
#[utoipa::path(
    post, path = "/operator/secret-key/renew", tag = "secrets", responses((status = 200, body = RenewedBody)),
)]
async fn renew_key(State(state): State<HttpState>) -> Answer<RenewedBody> {
    state.secrets().renew_key().await?;
    Ok(Json(RenewedBody { renewed: true }))
}

fn which(name: String, plugin_id: Option<&str>, workspace: Option<&str>) -> Result<Which, ApiError> {
    let workspace: Option<WorkspaceId> = optional_id(workspace)?;
    let plugin = filled(plugin_id.map(str::to_owned)).map(|id| plugin("plugin_id", &id)).transpose()?;
    Ok(Which { name, plugin, workspace })
}

/// The id of a plugin, which need not be installed yet.
fn plugin(field: &str, id: &str) -> Result<PluginId, ApiError> {
    PluginId::new(id).map_err(|error| ApiError::invalid(field, error.to_string()))
}
