//! Endpoints come, tell what they can do, and go.

use std::collections::HashSet;

use berth_model::endpoint::{Address, Capability, Connection, Endpoint, Membership};
use berth_model::{AddressId, ConnectionId, EndpointId, JsonMap, Timestamp, WorkspaceId};
use serde_json::json;

use crate::boot::PERSONAL;
use crate::port::store::Tx;
use crate::{Core, CoreError};

/// An endpoint as its provider declares it.
#[derive(Debug, Clone)]
pub struct Offer {
    pub id: EndpointId,
    pub kind: String,
    pub provider_type: String,
    pub transport: String,
    pub display_name: String,
    pub roles: Vec<String>,
    /// Seeds the memberships the first time only.
    pub workspaces: Vec<WorkspaceId>,
    pub supports_markdown: bool,
    pub metadata: JsonMap,
}

/// A connection that announces itself.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The provider's own id of the connection, if it has one.
    pub connection: Option<ConnectionId>,
    pub remote: String,
    pub offers: Vec<Offer>,
}

/// An endpoint with what a workspace wants to know of it.
#[derive(Debug, Clone)]
pub struct EndpointView {
    pub endpoint: Endpoint,
    pub connected: bool,
    pub workspaces: Vec<WorkspaceId>,
    /// Enabled capabilities.
    pub capabilities: Vec<Capability>,
}

impl Core {
    /// Stores the endpoints of a connection as online. Their managed workspaces stay as they are.
    pub async fn register_endpoints(&self, registration: Registration) -> Result<ConnectionId, CoreError> {
        let now = self.now();
        let id = registration.connection.unwrap_or_else(|| ConnectionId::from_uuid(self.uuid()));
        let mut tx = self.0.store.write().await?;
        for (at, offer) in registration.offers.iter().enumerate() {
            let known = tx.lookup_endpoint(&offer.id).await?;
            if known.as_ref().is_some_and(|known| known.provider_type == "core") {
                return Err(CoreError::Forbidden {
                    code: "core_endpoint_reserved",
                    message: format!("{} belongs to Core", offer.id),
                });
            }
            let mut metadata = known.as_ref().map(|known| known.metadata.clone()).unwrap_or_default();
            metadata.extend(offer.metadata.clone());
            metadata.insert("supports_markdown".to_owned(), json!(offer.supports_markdown));
            tx.upsert_endpoint(&Endpoint {
                id: offer.id.clone(),
                kind: offer.kind.clone(),
                provider_type: offer.provider_type.clone(),
                transport: offer.transport.clone(),
                display_name: offer.display_name.clone(),
                status: "online".to_owned(),
                labels: offer.roles.clone(),
                priority: known.as_ref().map_or(100, |known| known.priority),
                metadata,
                created_at: known.map_or(now, |known| known.created_at),
                updated_at: now,
            })
            .await?;
            seed_memberships(&mut *tx, offer).await?;
            if at == 0 {
                tx.upsert_connection(&Connection {
                    id,
                    endpoint: offer.id.clone(),
                    connected: true,
                    remote: registration.remote.clone(),
                    created_at: now,
                    last_seen_at: now,
                })
                .await?;
            }
        }
        tx.commit().await?;
        Ok(id)
    }

    /// Replaces what an endpoint offers: tools that are not listed are disabled. Fails with `endpoint_not_found`.
    pub async fn replace_capabilities(
        &self,
        endpoint: &EndpointId,
        capabilities: &[Capability],
    ) -> Result<(), CoreError> {
        let mut tx = self.0.store.write().await?;
        if tx.lookup_endpoint(endpoint).await?.is_none() {
            return Err(CoreError::NotFound { kind: "endpoint", id: endpoint.to_string() });
        }
        tx.replace_capabilities(endpoint, capabilities, self.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes the state that an endpoint reports; empty metrics leave the last ones. Fails with `endpoint_not_found`.
    pub async fn heartbeat(&self, id: &EndpointId, status: &str, metrics: JsonMap) -> Result<(), CoreError> {
        let mut tx = self.0.store.write().await?;
        let endpoint = tx.lookup_endpoint(id).await?;
        let mut endpoint =
            endpoint.ok_or_else(|| CoreError::NotFound { kind: "endpoint", id: id.to_string() })?;
        endpoint.status = status.chars().take(32).collect();
        if !metrics.is_empty() {
            endpoint.metadata.insert("heartbeat_metrics".to_owned(), metrics.into());
        }
        endpoint.updated_at = self.now();
        tx.upsert_endpoint(&endpoint).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes that a connection is gone, and which endpoints have none left.
    pub async fn disconnected(
        &self,
        connection: ConnectionId,
        primary: &EndpointId,
        gone: &[EndpointId],
    ) -> Result<(), CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        tx.upsert_connection(&Connection {
            id: connection,
            endpoint: primary.clone(),
            connected: false,
            remote: String::new(),
            created_at: now,
            last_seen_at: now,
        })
        .await?;
        for endpoint in gone {
            tx.set_endpoint_status(endpoint, "offline", now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Every endpoint that a workspace sees, offline ones too; none for an unknown workspace.
    pub async fn endpoints_of_workspace(&self, place: &WorkspaceId) -> Result<Vec<EndpointView>, CoreError> {
        let mut tx = self.0.store.read().await?;
        let endpoints = tx.endpoints_of_workspace(place).await?;
        let connected = self.0.endpoints.connected();
        views(&mut *tx, endpoints, &connected).await
    }

    /// Every endpoint, Core's own ones too.
    pub async fn list_endpoints(&self) -> Result<Vec<EndpointView>, CoreError> {
        let mut tx = self.0.store.read().await?;
        let endpoints = tx.list_endpoints().await?;
        let connected = self.0.endpoints.connected();
        views(&mut *tx, endpoints, &connected).await
    }

    /// Fails with `endpoint_not_found`.
    pub async fn endpoint(&self, id: &EndpointId) -> Result<Endpoint, CoreError> {
        let endpoint = self.0.store.read().await?.lookup_endpoint(id).await?;
        endpoint.ok_or_else(|| CoreError::NotFound { kind: "endpoint", id: id.to_string() })
    }

    /// Stores addresses; one that is known by id or by external reference is updated, and keeps what the new one
    /// leaves empty. Answers with the stored ones.
    pub async fn upsert_addresses(&self, addresses: Vec<Address>) -> Result<Vec<Address>, CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let mut stored = Vec::with_capacity(addresses.len());
        for address in addresses {
            stored.push(store_address(&mut *tx, address, now).await?);
        }
        tx.commit().await?;
        Ok(stored)
    }

    /// Marks an address of one of `owners` as unavailable; false when there is none.
    pub async fn delete_address(
        &self,
        id: &AddressId,
        owners: &HashSet<EndpointId>,
    ) -> Result<bool, CoreError> {
        let mut tx = self.0.store.write().await?;
        let Some(mut address) = tx.lookup_address(id).await?.filter(|known| owners.contains(&known.endpoint))
        else {
            return Ok(false);
        };
        "unavailable".clone_into(&mut address.status);
        address.capabilities.clear();
        tx.upsert_address(&address, self.now()).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Declared workspaces count only while an endpoint has none; without a valid one it joins `personal`.
async fn seed_memberships(tx: &mut dyn Tx, offer: &Offer) -> Result<(), CoreError> {
    if !tx.memberships_of(&offer.id).await?.is_empty() {
        return Ok(());
    }
    let active: HashSet<_> =
        tx.list_workspaces(false).await?.into_iter().map(|workspace| workspace.id).collect();
    let mut places: Vec<_> = offer.workspaces.iter().filter(|id| active.contains(*id)).cloned().collect();
    if places.is_empty() {
        places.push(WorkspaceId::fixed(PERSONAL));
    }
    for (at, workspace) in places.into_iter().enumerate() {
        tx.upsert_membership(&Membership {
            endpoint: offer.id.clone(),
            workspace,
            is_primary: at == 0,
            enabled: true,
            source: "provider_declared".to_owned(),
        })
        .await?;
    }
    Ok(())
}

async fn views(
    tx: &mut dyn Tx,
    endpoints: Vec<Endpoint>,
    connected: &HashSet<EndpointId>,
) -> Result<Vec<EndpointView>, CoreError> {
    let mut list = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let memberships = tx.memberships_of(&endpoint.id).await?;
        list.push(EndpointView {
            connected: connected.contains(&endpoint.id),
            workspaces: memberships.into_iter().filter(|m| m.enabled).map(|m| m.workspace).collect(),
            capabilities: tx.list_capabilities(Some(&endpoint.id)).await?,
            endpoint,
        });
    }
    Ok(list)
}

/// Stores one address, as [`Core::upsert_addresses`] does.
pub(crate) async fn store_address(
    tx: &mut dyn Tx,
    mut address: Address,
    now: Timestamp,
) -> Result<Address, CoreError> {
    if tx.lookup_endpoint(&address.endpoint).await?.is_none() {
        return Err(CoreError::NotFound { kind: "endpoint", id: address.endpoint.to_string() });
    }
    let known = match tx.lookup_address(&address.id).await? {
        Some(known) => Some(known),
        None => tx.find_address(&address.endpoint, &address.kind, &address.external_ref).await?,
    };
    if let Some(known) = known {
        if known.endpoint != address.endpoint {
            return Err(CoreError::Forbidden {
                code: "address_of_another_endpoint",
                message: format!("{} belongs to {}", known.id, known.endpoint),
            });
        }
        address.id = known.id;
        if address.workspaces.is_empty() {
            address.workspaces = known.workspaces;
        }
        if address.capabilities.is_empty() {
            address.capabilities = known.capabilities;
        }
        address.last_verified_at = known.last_verified_at;
    }
    if address.workspaces.is_empty() {
        let memberships = tx.memberships_of(&address.endpoint).await?;
        address.workspaces = memberships.into_iter().filter(|m| m.enabled).map(|m| m.workspace).collect();
    }
    if address.capabilities.is_empty() {
        address.capabilities.push("receive_message".to_owned());
    }
    address.last_seen_at = Some(now);
    if address.status == "sendable" {
        address.last_verified_at = Some(now);
    }
    tx.upsert_address(&address, now).await?;
    Ok(address)
}
