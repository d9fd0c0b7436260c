//! Installed plugins.

use async_trait::async_trait;
use berth_core::port::store::{PluginRepo, StoreError};
use berth_model::plugin::Plugin;
use berth_model::{PluginId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, select, sql};

const PLUGIN: &str =
    "plugin_id, version, digest, manifest, tools, status, last_error, installed_at, updated_at";

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

fn read_pulse(row: &AnyRow) -> Result<Timestamp, StoreError> {
    Row::new("plugin_pulse", row).time("asked_at")
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

    async fn last_pulse(&mut self, id: &PluginId) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT plugin_id, asked_at FROM plugin_pulse WHERE plugin_id = $1";
        lookup!(self, read_pulse, sql, id.to_string())
    }

    async fn set_last_pulse(&mut self, id: &PluginId, at: Timestamp) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO plugin_pulse (plugin_id, asked_at) VALUES ($1, $2) \
             ON CONFLICT (plugin_id) DO UPDATE SET asked_at = excluded.asked_at",
            id.to_string(),
            at.as_micros(),
        )?;
        Ok(())
    }
}
