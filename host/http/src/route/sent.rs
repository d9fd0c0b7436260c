//! What a channel has sent, and what an operator changes of it; and whether a plugin is well.

use axum::Json;
use axum::extract::{Path, State};
use berth_core::channels::changes::SentChange;
use berth_model::channel::DeliveryPart;
use berth_model::delivery::Delivery;
use berth_model::{DeliveryId, EndpointId, PluginId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::limit;
use crate::error::{Answer, ApiError};
use crate::extract::{Body, Id, Params, id};
use crate::state::HttpState;

pub(crate) fn routes() -> OpenApiRouter<HttpState> {
    OpenApiRouter::new()
        .routes(routes!(deliveries))
        .routes(routes!(edit))
        .routes(routes!(retract))
        .routes(routes!(react))
        .routes(routes!(check))
}

/// Something that a channel sends, or has sent.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryBody {
    delivery_id: String,
    /// `message`, `notice`, `message_edit`, `message_retract` or `message_reaction`.
    kind: String,
    /// `queued`, `sending`, `retry`, `waiting`, `delivered`, `ambiguous`, `failed` or `dead_letter`.
    status: String,
    address_id: String,
    attempts: u32,
    /// What the provider or the channel said last.
    error: String,
    /// Not before this time; empty: now.
    available_at: String,
    created_at: String,
    /// What the provider takes as one message each; cut when it is first sent.
    parts: Vec<PartBody>,
}

/// What the provider takes as one message.
#[derive(Debug, Serialize, ToSchema)]
struct PartBody {
    index: u32,
    text: String,
    /// `open`, `begun`, `sent`, `ambiguous` or `failed`.
    status: String,
    /// The provider's id of the message, once it is sent.
    reference: String,
}

impl DeliveryBody {
    fn new(delivery: Delivery, parts: Vec<DeliveryPart>) -> Self {
        let part = |part: DeliveryPart| PartBody {
            index: part.index,
            text: part.text,
            status: part.status.to_string(),
            reference: part.reference,
        };
        Self {
            delivery_id: delivery.id.to_string(),
            kind: delivery.kind,
            status: delivery.status.to_string(),
            address_id: super::text(delivery.address.as_ref()),
            attempts: delivery.attempts,
            error: delivery.error,
            available_at: super::text(delivery.available_at.as_ref()),
            created_at: delivery.created_at.to_string(),
            parts: parts.into_iter().map(part).collect(),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeliveriesQuery {
    /// The latest so many: 50 by default, 1 to 200.
    limit: Option<i64>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct EditBody {
    text: String,
    /// Which part; the first by default.
    part: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct RetractBody {
    /// Which part; the first by default.
    part: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema)]
struct ReactBody {
    emoji: String,
    /// `false` takes it away.
    add: Option<bool>,
    /// Which part; the first by default.
    part: Option<u32>,
}

/// How a plugin says it is.
#[derive(Debug, Serialize, ToSchema)]
struct HealthBody {
    plugin_id: String,
    /// `well`, `ill`, or `unknown` for a plugin without a say.
    health: String,
    /// Empty unless it is ill.
    code: String,
    message: String,
}

/// The deliveries of a channel, newest first.
#[utoipa::path(
    get, path = "/operator/plugins/{plugin_id}/deliveries", tag = "channels",
    params(("plugin_id" = String, Path), DeliveriesQuery), responses((status = 200, body = [DeliveryBody])),
)]
async fn deliveries(
    State(state): State<HttpState>,
    Id(plugin): Id<PluginId>,
    Params(query): Params<DeliveriesQuery>,
) -> Answer<Vec<DeliveryBody>> {
    let endpoint = channel(&state, &plugin)?;
    let mut bodies = Vec::new();
    for delivery in state.core().list_deliveries(&endpoint, limit(query.limit, 50)).await? {
        let parts = state.core().channel_parts(&endpoint, delivery.id).await?;
        bodies.push(DeliveryBody::new(delivery, parts));
    }
    Ok(Json(bodies))
}

/// Puts another text in the place of a part that was sent.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/deliveries/{delivery_id}/edit", tag = "channels",
    params(("plugin_id" = String, Path), ("delivery_id" = String, Path)), request_body = EditBody,
    responses((status = 200, body = DeliveryBody)),
)]
async fn edit(
    State(state): State<HttpState>,
    Path(place): Path<(String, String)>,
    Body(body): Body<EditBody>,
) -> Answer<DeliveryBody> {
    if body.text.trim().is_empty() {
        return Err(ApiError::invalid("text", "must not be empty"));
    }
    change(&state, place, body.part, SentChange::Edit { text: body.text }).await
}

/// Takes a part back that was sent.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/deliveries/{delivery_id}/retract", tag = "channels",
    params(("plugin_id" = String, Path), ("delivery_id" = String, Path)), request_body = RetractBody,
    responses((status = 200, body = DeliveryBody)),
)]
async fn retract(
    State(state): State<HttpState>,
    Path(place): Path<(String, String)>,
    Body(body): Body<RetractBody>,
) -> Answer<DeliveryBody> {
    change(&state, place, body.part, SentChange::Retract).await
}

/// Adds an emoji to a part that was sent, or takes it away.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/deliveries/{delivery_id}/react", tag = "channels",
    params(("plugin_id" = String, Path), ("delivery_id" = String, Path)), request_body = ReactBody,
    responses((status = 200, body = DeliveryBody)),
)]
async fn react(
    State(state): State<HttpState>,
    Path(place): Path<(String, String)>,
    Body(body): Body<ReactBody>,
) -> Answer<DeliveryBody> {
    if body.emoji.is_empty() || body.emoji.len() > 64 {
        return Err(ApiError::invalid("emoji", "must have 1 to 64 bytes"));
    }
    let reaction = SentChange::React { emoji: body.emoji, add: body.add.unwrap_or(true) };
    change(&state, place, body.part, reaction).await
}

/// Asks a plugin whether it could do its work now. Runs its code, for 10 s at most.
#[utoipa::path(
    post, path = "/operator/plugins/{plugin_id}/check", tag = "plugins", params(("plugin_id" = String, Path)),
    responses((status = 200, body = HealthBody)),
)]
async fn check(State(state): State<HttpState>, Id(plugin): Id<PluginId>) -> Answer<HealthBody> {
    let ill = state.plugins().check(&plugin).await?;
    let (health, code, message) = match ill {
        None => ("unknown", String::new(), String::new()),
        Some(Ok(())) => ("well", String::new(), String::new()),
        Some(Err(ill)) => ("ill", ill.code, ill.message),
    };
    Ok(Json(HealthBody { plugin_id: plugin.to_string(), health: health.to_owned(), code, message }))
}

async fn change(
    state: &HttpState,
    (plugin, delivery): (String, String),
    part: Option<u32>,
    change: SentChange,
) -> Answer<DeliveryBody> {
    let endpoint = channel(state, &id::<PluginId>(&plugin)?)?;
    let delivery = id::<DeliveryId>(&delivery)?;
    let queued = state.core().change_sent(&endpoint, delivery, part.unwrap_or(0), change).await?;
    Ok(Json(DeliveryBody::new(queued, Vec::new())))
}

/// Under which Core knows the channel; a plugin that is none has sent nothing.
fn channel(state: &HttpState, plugin: &PluginId) -> Result<EndpointId, ApiError> {
    let endpoint = state.channels().endpoint(plugin);
    endpoint.ok_or_else(|| ApiError::not_found("PLUGIN_NOT_FOUND", "plugin", plugin.as_str()))
}
