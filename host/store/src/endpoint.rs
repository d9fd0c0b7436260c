//! Endpoints with their memberships, capabilities, addresses and connections.

use async_trait::async_trait;
use berth_core::port::store::{EndpointRepo, StoreError};
use berth_model::endpoint::{Address, Capability, Connection, Endpoint, Membership};
use berth_model::{AddressId, EndpointId, Timestamp, WorkspaceId};
use sqlx::any::AnyRow;

use crate::row::{Row, list_text, object_text};
use crate::sql::{SqlTx, execute, lookup, select, sql};

const ENDPOINT: &str = "endpoint.endpoint_id, endpoint.kind, endpoint.provider_type, endpoint.transport, \
                        endpoint.display_name, endpoint.status, endpoint.labels, endpoint.priority, \
                        endpoint.metadata, endpoint.created_at, endpoint.updated_at";
const MEMBERSHIP: &str = "endpoint_id, workspace_id, is_primary, enabled, source";
const CAPABILITY: &str = "endpoint_id, tool_key, capability_id, title, description, input_schema, output_schema, \
                          risk_word, requires_confirmation, enabled, constraints, metadata";
const ADDRESS: &str = "address_id, endpoint_id, provider_type, kind, external_ref, display_name, workspaces, status, \
                       capabilities, metadata, last_seen_at, last_verified_at";

fn read_endpoint(row: &AnyRow) -> Result<Endpoint, StoreError> {
    let row = Row::new("endpoint", row);
    Ok(Endpoint {
        id: row.parsed("endpoint_id")?,
        kind: row.text("kind")?,
        provider_type: row.text("provider_type")?,
        transport: row.text("transport")?,
        display_name: row.text("display_name")?,
        status: row.text("status")?,
        labels: row.list("labels")?,
        priority: row.number("priority")?,
        metadata: row.object("metadata")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_membership(row: &AnyRow) -> Result<Membership, StoreError> {
    let row = Row::new("membership", row);
    Ok(Membership {
        endpoint: row.parsed("endpoint_id")?,
        workspace: row.parsed("workspace_id")?,
        is_primary: row.flag("is_primary")?,
        enabled: row.flag("enabled")?,
        source: row.text("source")?,
    })
}

fn read_capability(row: &AnyRow) -> Result<Capability, StoreError> {
    let row = Row::new("capability", row);
    Ok(Capability {
        endpoint: row.parsed("endpoint_id")?,
        tool_key: row.parsed("tool_key")?,
        capability_id: row.text("capability_id")?,
        title: row.text("title")?,
        description: row.text("description")?,
        input_schema: row.json("input_schema")?,
        output_schema: row.json("output_schema")?,
        risk_word: row.text("risk_word")?,
        requires_confirmation: row.flag("requires_confirmation")?,
        enabled: row.flag("enabled")?,
        constraints: row.object("constraints")?,
        metadata: row.object("metadata")?,
    })
}

fn read_address(row: &AnyRow) -> Result<Address, StoreError> {
    let row = Row::new("address", row);
    Ok(Address {
        id: row.parsed("address_id")?,
        endpoint: row.parsed("endpoint_id")?,
        provider_type: row.text("provider_type")?,
        kind: row.text("kind")?,
        external_ref: row.text("external_ref")?,
        display_name: row.text("display_name")?,
        workspaces: row.list("workspaces")?,
        status: row.text("status")?,
        capabilities: row.list("capabilities")?,
        metadata: row.object("metadata")?,
        last_seen_at: row.maybe_time("last_seen_at")?,
        last_verified_at: row.maybe_time("last_verified_at")?,
    })
}

#[async_trait]
impl EndpointRepo for SqlTx {
    async fn upsert_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO endpoint (endpoint_id, kind, provider_type, transport, display_name, status, labels, \
             priority, metadata, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (endpoint_id) DO UPDATE SET kind = excluded.kind, provider_type = excluded.provider_type, \
             transport = excluded.transport, display_name = excluded.display_name, status = excluded.status, \
             labels = excluded.labels, priority = excluded.priority, metadata = excluded.metadata, \
             updated_at = excluded.updated_at",
            endpoint.id.to_string(),
            endpoint.kind.clone(),
            endpoint.provider_type.clone(),
            endpoint.transport.clone(),
            endpoint.display_name.clone(),
            endpoint.status.clone(),
            list_text(&endpoint.labels),
            endpoint.priority,
            object_text(&endpoint.metadata),
            endpoint.created_at.as_micros(),
            endpoint.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn lookup_endpoint(&mut self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let sql = sql!("SELECT ", ENDPOINT, " FROM endpoint WHERE endpoint_id = $1");
        lookup!(self, read_endpoint, sql, id.to_string())
    }

    async fn list_endpoints(&mut self) -> Result<Vec<Endpoint>, StoreError> {
        select!(self, read_endpoint, sql!("SELECT ", ENDPOINT, " FROM endpoint ORDER BY endpoint_id"))
    }

    async fn set_endpoint_status(
        &mut self,
        id: &EndpointId,
        status: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "UPDATE endpoint SET status = $2, updated_at = $3 WHERE endpoint_id = $1",
            id.to_string(),
            status.to_owned(),
            now.as_micros(),
        )?;
        Ok(())
    }

    async fn upsert_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO membership (endpoint_id, workspace_id, is_primary, enabled, source) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (endpoint_id, workspace_id) DO UPDATE SET \
             is_primary = excluded.is_primary, enabled = excluded.enabled, source = excluded.source",
            membership.endpoint.to_string(),
            membership.workspace.to_string(),
            i64::from(membership.is_primary),
            i64::from(membership.enabled),
            membership.source.clone(),
        )?;
        Ok(())
    }

    async fn memberships_of(&mut self, endpoint: &EndpointId) -> Result<Vec<Membership>, StoreError> {
        let sql = sql!(
            "SELECT ",
            MEMBERSHIP,
            " FROM membership WHERE endpoint_id = $1 ORDER BY is_primary DESC, workspace_id"
        );
        select!(self, read_membership, sql, endpoint.to_string())
    }

    async fn endpoints_of_workspace(&mut self, workspace: &WorkspaceId) -> Result<Vec<Endpoint>, StoreError> {
        let sql = sql!(
            "SELECT ",
            ENDPOINT,
            " FROM endpoint JOIN membership ON membership.endpoint_id = endpoint.endpoint_id \
             WHERE membership.workspace_id = $1 AND membership.enabled = 1 ORDER BY endpoint.endpoint_id"
        );
        select!(self, read_endpoint, sql, workspace.to_string())
    }

    async fn replace_capabilities(
        &mut self,
        endpoint: &EndpointId,
        capabilities: &[Capability],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "UPDATE capability SET enabled = 0, updated_at = $2 WHERE endpoint_id = $1 AND enabled = 1",
            endpoint.to_string(),
            now.as_micros(),
        )?;
        for capability in capabilities {
            execute!(
                self,
                "INSERT INTO capability (endpoint_id, tool_key, capability_id, title, description, input_schema, \
                 output_schema, risk_word, requires_confirmation, enabled, constraints, metadata, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
                 ON CONFLICT (endpoint_id, tool_key) DO UPDATE SET capability_id = excluded.capability_id, \
                 title = excluded.title, description = excluded.description, input_schema = excluded.input_schema, \
                 output_schema = excluded.output_schema, risk_word = excluded.risk_word, \
                 requires_confirmation = excluded.requires_confirmation, enabled = excluded.enabled, \
                 constraints = excluded.constraints, metadata = excluded.metadata, updated_at = excluded.updated_at",
                endpoint.to_string(),
                capability.tool_key.to_string(),
                capability.capability_id.clone(),
                capability.title.clone(),
                capability.description.clone(),
                capability.input_schema.to_string(),
                capability.output_schema.to_string(),
                capability.risk_word.clone(),
                i64::from(capability.requires_confirmation),
                i64::from(capability.enabled),
                object_text(&capability.constraints),
                object_text(&capability.metadata),
                now.as_micros(),
            )?;
        }
        Ok(())
    }

    async fn list_capabilities(
        &mut self,
        endpoint: Option<&EndpointId>,
    ) -> Result<Vec<Capability>, StoreError> {
        let sql = sql!(
            "SELECT ",
            CAPABILITY,
            " FROM capability WHERE enabled = 1 AND ($1 = '' OR endpoint_id = $1) ORDER BY endpoint_id, tool_key"
        );
        select!(self, read_capability, sql, endpoint.map(ToString::to_string).unwrap_or_default())
    }

    async fn upsert_address(&mut self, address: &Address, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO address (address_id, endpoint_id, provider_type, kind, external_ref, display_name, \
             workspaces, status, capabilities, metadata, last_seen_at, last_verified_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (address_id) DO UPDATE SET endpoint_id = excluded.endpoint_id, \
             provider_type = excluded.provider_type, kind = excluded.kind, external_ref = excluded.external_ref, \
             display_name = excluded.display_name, workspaces = excluded.workspaces, status = excluded.status, \
             capabilities = excluded.capabilities, metadata = excluded.metadata, \
             last_seen_at = excluded.last_seen_at, last_verified_at = excluded.last_verified_at, \
             updated_at = excluded.updated_at",
            address.id.to_string(),
            address.endpoint.to_string(),
            address.provider_type.clone(),
            address.kind.clone(),
            address.external_ref.clone(),
            address.display_name.clone(),
            list_text(&address.workspaces),
            address.status.clone(),
            list_text(&address.capabilities),
            object_text(&address.metadata),
            address.last_seen_at.map(Timestamp::as_micros),
            address.last_verified_at.map(Timestamp::as_micros),
            now.as_micros(),
        )?;
        Ok(())
    }

    async fn lookup_address(&mut self, id: &AddressId) -> Result<Option<Address>, StoreError> {
        let sql = sql!("SELECT ", ADDRESS, " FROM address WHERE address_id = $1");
        lookup!(self, read_address, sql, id.to_string())
    }

    async fn find_address(
        &mut self,
        endpoint: &EndpointId,
        kind: &str,
        external_ref: &str,
    ) -> Result<Option<Address>, StoreError> {
        let sql = sql!(
            "SELECT ",
            ADDRESS,
            " FROM address WHERE endpoint_id = $1 AND kind = $2 AND external_ref = $3"
        );
        lookup!(self, read_address, sql, endpoint.to_string(), kind.to_owned(), external_ref.to_owned())
    }

    async fn upsert_connection(&mut self, connection: &Connection) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO connection (connection_id, endpoint_id, connected, remote, created_at, last_seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (connection_id) DO UPDATE SET \
             connected = excluded.connected, last_seen_at = excluded.last_seen_at",
            connection.id.to_string(),
            connection.endpoint.to_string(),
            i64::from(connection.connected),
            connection.remote.clone(),
            connection.created_at.as_micros(),
            connection.last_seen_at.as_micros(),
        )?;
        Ok(())
    }

    async fn disconnect_all(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        execute!(
            self,
            "UPDATE connection SET connected = 0, last_seen_at = $1 WHERE connected = 1",
            now.as_micros(),
        )
    }
}
