//! Installed plugins and grants.

use async_trait::async_trait;
use berth_core::port::store::{PluginRepo, StoreError};
use berth_model::plugin::{Grant, Plugin};
use berth_model::{GrantId, PluginId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, select, sql, update};

const PLUGIN: &str =
    "plugin_id, version, digest, manifest, tools, status, last_error, installed_at, updated_at";
const GRANT: &str = "grant_id, plugin_id, capability, scope, limits, mode, workspace_id, granted_by, reason, \
                     created_at, expires_at, uses_left, revoked_at";

fn read_plugin(row: &AnyRow) -> Result<Plugin, StoreError> {
    let row = Row::new("plugin", row);
    Ok(Plugin {
        id: row.parsed("plugin_id")?,
        version: row.text("version")?,
        digest: row.text("digest")?,
        manifest: row.text("manifest")?,
        tools: row.json("tools")?,
        status: row.parsed("status")?,
        last_error: row.text("last_error")?,
        installed_at: row.time("installed_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_grant(row: &AnyRow) -> Result<Grant, StoreError> {
    let row = Row::new("plugin_grant", row);
    Ok(Grant {
        id: row.parsed("grant_id")?,
        plugin: row.parsed("plugin_id")?,
        capability: row.text("capability")?,
        scope: row.json("scope")?,
        limit: row.json("limits")?,
        mode: row.parsed("mode")?,
        workspace: row.maybe_parsed("workspace_id")?,
        granted_by: row.text("granted_by")?,
        reason: row.text("reason")?,
        created_at: row.time("created_at")?,
        expires_at: row.maybe_time("expires_at")?,
        uses_left: row.maybe_number("uses_left")?,
        revoked_at: row.maybe_time("revoked_at")?,
    })
}

#[async_trait]
impl PluginRepo for SqlTx {
    async fn upsert_plugin(&mut self, plugin: &Plugin) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO plugin (plugin_id, version, digest, manifest, tools, status, last_error, installed_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (plugin_id) DO UPDATE SET \
             version = excluded.version, digest = excluded.digest, manifest = excluded.manifest, \
             tools = excluded.tools, status = excluded.status, last_error = excluded.last_error, \
             updated_at = excluded.updated_at",
            plugin.id.to_string(),
            plugin.version.clone(),
            plugin.digest.clone(),
            plugin.manifest.clone(),
            plugin.tools.to_string(),
            plugin.status.as_str(),
            plugin.last_error.clone(),
            plugin.installed_at.as_micros(),
            plugin.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn lookup_plugin(&mut self, id: &PluginId) -> Result<Option<Plugin>, StoreError> {
        lookup!(
            self,
            read_plugin,
            sql!("SELECT ", PLUGIN, " FROM plugin WHERE plugin_id = $1"),
            id.to_string()
        )
    }

    async fn list_plugins(&mut self) -> Result<Vec<Plugin>, StoreError> {
        select!(self, read_plugin, sql!("SELECT ", PLUGIN, " FROM plugin ORDER BY plugin_id"))
    }

    async fn remove_plugin(&mut self, id: &PluginId) -> Result<bool, StoreError> {
        Ok(execute!(self, "DELETE FROM plugin WHERE plugin_id = $1", id.to_string())? > 0)
    }

    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO plugin_grant (grant_id, plugin_id, capability, scope, limits, mode, workspace_id, \
             granted_by, reason, created_at, expires_at, uses_left, revoked_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            grant.id.to_string(),
            grant.plugin.to_string(),
            grant.capability.clone(),
            grant.scope.to_string(),
            grant.limit.to_string(),
            grant.mode.as_str(),
            grant.workspace.as_ref().map(ToString::to_string),
            grant.granted_by.clone(),
            grant.reason.clone(),
            grant.created_at.as_micros(),
            grant.expires_at.map(Timestamp::as_micros),
            grant.uses_left,
            grant.revoked_at.map(Timestamp::as_micros),
        )?;
        Ok(())
    }

    async fn update_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        update!(
            self,
            "plugin_grant"."grant_id" = grant.id,
            "UPDATE plugin_grant SET expires_at = $2, uses_left = $3, revoked_at = $4 WHERE grant_id = $1",
            grant.expires_at.map(Timestamp::as_micros),
            grant.uses_left,
            grant.revoked_at.map(Timestamp::as_micros),
        )
    }

    async fn lookup_grant(&mut self, id: GrantId) -> Result<Option<Grant>, StoreError> {
        lookup!(
            self,
            read_grant,
            sql!("SELECT ", GRANT, " FROM plugin_grant WHERE grant_id = $1"),
            id.to_string()
        )
    }

    async fn list_grants(&mut self, plugin: Option<&PluginId>) -> Result<Vec<Grant>, StoreError> {
        let sql = sql!(
            "SELECT ",
            GRANT,
            " FROM plugin_grant WHERE $1 = '' OR plugin_id = $1 ORDER BY created_at, grant_id"
        );
        select!(self, read_grant, sql, plugin.map(ToString::to_string).unwrap_or_default())
    }
}
