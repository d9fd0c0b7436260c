//! `endpoint.hello`: the two sides agree, and the socket gets its endpoints.

use std::collections::HashSet;

use berth_core::CoreError;
use berth_core::endpoints::{Offer, Registration};
use berth_model::{EndpointId, JsonMap, WorkspaceId};
use berth_proto::lifecycle::{
    Accepted, Agreement, EndpointItem, FEATURES, Hello, HelloAck, ProtocolOffer, RejectReason,
};
use berth_proto::limits::close;
use berth_proto::{CoreFrame, Envelope, SCHEMA, VERSION};
use serde_json::json;

use super::{Bound, BoundEndpoint, Flow, GO_ON, Session};

/// Endpoints of one socket.
const MAX_ENDPOINTS: usize = 64;
/// The longest word for a type, in characters.
const MAX_WORD: usize = 64;
/// The longest name for people, in characters.
const MAX_NAME: usize = 255;

impl Session {
    pub(super) async fn hello(&mut self, asked: &Envelope, hello: Hello) -> Flow {
        match self.greet(hello).await {
            Ok(accepted) => {
                let primary = accepted.registered_endpoints.first().cloned().unwrap_or_default();
                self.reply(asked, &primary, &CoreFrame::HelloAck(HelloAck::Accepted(accepted)));
                for endpoint in self.endpoints() {
                    self.hub.drain(&endpoint).await;
                }
                GO_ON
            }
            Err(Refused::For(reason)) => {
                tracing::info!(code = reason.code, "a hello was refused");
                self.reply(asked, "", &CoreFrame::HelloAck(HelloAck::Rejected(reason)));
                GO_ON
            }
            // A refusal would stop the client for good, and it has done nothing wrong.
            Err(Refused::Now(error)) => {
                self.failed(asked, &error);
                self.hold().await;
                self.close(close::TRY_AGAIN, "the host cannot register endpoints now")
            }
        }
    }

    async fn greet(&mut self, hello: Hello) -> Result<Accepted, Refused> {
        let agreement = agree(hello.protocol.as_ref())?;
        let offers = offers(&hello)?;
        let endpoints: Vec<_> = offers
            .iter()
            .map(|offer| BoundEndpoint { id: offer.id.clone(), provider_type: offer.provider_type.clone() })
            .collect();
        let registered = endpoints.iter().map(|endpoint| endpoint.id.to_string()).collect();

        let hub = self.hub.clone();
        let _registry = hub.registry().lock().await;
        let given = hello.connection_id.and_then(|id| id.parse().ok());
        // An id that this socket had before is over with the hello that it came from.
        let connection = given.filter(|id| self.bound.as_ref().is_none_or(|bound| bound.connection != *id));
        let registration = Registration { connection, remote: self.peer.remote.clone(), offers };
        let connection = hub.core().register_endpoints(registration).await?;

        let ids = endpoints.iter().map(|endpoint| endpoint.id.clone()).collect();
        let gone = hub.links().bind(self.id, ids);
        let primary = endpoints[0].clone();
        tracing::info!(endpoint.id = %primary.id, endpoints = endpoints.len(), "a provider is connected");
        let before = self.bound.replace(Bound { connection, primary, endpoints });
        if let Some(before) = before
            && let Err(error) = hub.core().disconnected(before.connection, &before.primary.id, &gone).await
        {
            tracing::warn!(%error, "the end of a connection could not be stored");
        }
        Ok(Accepted {
            connection_id: connection.to_string(),
            requires_capabilities_snapshot: true,
            heartbeat_interval_seconds: Some(hub.config().timing.heartbeat_seconds),
            registered_endpoints: registered,
            protocol: agreement,
        })
    }
}

enum Refused {
    /// The provider cannot be served as it is.
    For(RejectReason),
    /// The host cannot do it at this moment.
    Now(CoreError),
}

impl From<CoreError> for Refused {
    fn from(error: CoreError) -> Self {
        match &error {
            CoreError::Store(_) | CoreError::Busy { .. } => Self::Now(error),
            _ => Self::For(RejectReason::new(&error.code(), error.to_string())),
        }
    }
}

fn reject(code: &str, message: impl Into<String>) -> Refused {
    Refused::For(RejectReason::new(code, message))
}

fn agree(offer: Option<&ProtocolOffer>) -> Result<Agreement, Refused> {
    let offer =
        offer.ok_or_else(|| reject("endpoint_protocol_required", "endpoint.hello needs a protocol offer"))?;
    if !offer.supported_schemas.iter().any(|schema| schema == SCHEMA)
        || !offer.supported_versions.contains(&VERSION)
    {
        let message = format!("{SCHEMA} in version {VERSION} is needed");
        return Err(reject("unsupported_endpoint_protocol", message));
    }
    let mut unknown: Vec<&str> = offer.required_features.iter().map(String::as_str).collect();
    unknown.retain(|feature| !FEATURES.contains(feature));
    if !unknown.is_empty() {
        unknown.sort_unstable();
        unknown.dedup();
        let message = format!("features that are not known here: {}", unknown.join(", "));
        return Err(reject("unsupported_endpoint_features", message));
    }
    let wanted = |feature: &&str| {
        offer.features.iter().chain(&offer.required_features).any(|offered| offered == feature)
    };
    let (enabled, disabled) = FEATURES.iter().partition::<Vec<&str>, _>(|feature| wanted(feature));
    let owned = |features: Vec<&str>| features.into_iter().map(str::to_owned).collect();
    Ok(Agreement {
        selected_schema: SCHEMA.to_owned(),
        selected_version: VERSION,
        enabled_features: owned(enabled),
        disabled_features: owned(disabled),
        compatibility_mode: "negotiated".to_owned(),
    })
}

/// The endpoints of a hello, each once.
fn offers(hello: &Hello) -> Result<Vec<Offer>, Refused> {
    let mut seen = HashSet::new();
    let mut offers = Vec::new();
    for item in &hello.endpoints {
        let id = EndpointId::new(&item.endpoint_id)
            .map_err(|error| reject("invalid_endpoint_id", error.to_string()))?;
        for (name, word) in [
            ("endpoint_type", &item.endpoint_type),
            ("provider_type", &item.provider_type),
            ("transport_type", &item.transport_type),
        ] {
            if word.chars().count() > MAX_WORD {
                return Err(reject(
                    "invalid_endpoint",
                    format!("{name} has more than {MAX_WORD} characters"),
                ));
            }
        }
        if seen.insert(id.clone()) {
            offers.push(offer(hello, id, item));
        }
    }
    match offers.len() {
        0 => Err(reject("endpoint_required", "endpoint.hello needs an endpoint with an endpoint_id")),
        count if count > MAX_ENDPOINTS => {
            Err(reject("too_many_endpoints", format!("a socket serves at most {MAX_ENDPOINTS} endpoints")))
        }
        _ => Ok(offers),
    }
}

fn offer(hello: &Hello, id: EndpointId, item: &EndpointItem) -> Offer {
    let provider = &hello.provider;
    let name = if provider.display_name.is_empty() { id.as_str() } else { &provider.display_name };
    let mut metadata = JsonMap::new();
    for (key, text) in
        [("provider_id", &provider.provider_id), ("transport_profile", &provider.transport_profile)]
    {
        if !text.is_empty() {
            metadata.insert(key.to_owned(), json!(text));
        }
    }
    if let Some(cache) = provider.supports_offline_cache {
        metadata.insert("supports_offline_cache".to_owned(), json!(cache));
    }
    if !provider.host.is_empty() {
        metadata.insert("host".to_owned(), provider.host.clone().into());
    }
    Offer {
        kind: item.endpoint_type.clone(),
        provider_type: item.provider_type.clone(),
        transport: item.transport_type.clone(),
        display_name: name.chars().take(MAX_NAME).collect(),
        roles: item.roles.clone(),
        workspaces: item.workspace_ids.iter().filter_map(|id| WorkspaceId::new(id).ok()).collect(),
        supports_markdown: item.supports_markdown,
        metadata,
        id,
    }
}
