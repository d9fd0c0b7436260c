//! Generations of plugins.

use async_trait::async_trait;
use berth_core::port::store::{GenerationRepo, StoreError};
use berth_model::generation::{Generation, GenerationState, Provenance};
use berth_model::{PluginId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, insert_or_conflict, select, sql, update};

const GENERATION: &str = "generation_id, plugin_id, number, origin, digest, version, manifest, tools, state, \
                          reject_code, proven, failed_starts, last_error, created_at, activated_at, retired_at, \
                          source, package, publisher";

fn read(row: &AnyRow) -> Result<Generation, StoreError> {
    let row = Row::new("plugin_generation", row);
    let (word, code) = (row.text("state")?, row.text("reject_code")?);
    Ok(Generation {
        plugin: row.parsed("plugin_id")?,
        number: row.number("number")?,
        origin: row.parsed("origin")?,
        digest: row.text("digest")?,
        version: row.text("version")?,
        manifest: row.text("manifest")?,
        provenance: Provenance {
            source: row.text("source")?,
            package: row.text("package")?,
            publisher: row.text("publisher")?,
        },
        tools: row.json("tools")?,
        state: GenerationState::parse(&word, &code).ok_or_else(|| row.bad("state"))?,
        is_proven: row.flag("proven")?,
        failed_starts: row.number("failed_starts")?,
        last_error: row.text("last_error")?,
        created_at: row.time("created_at")?,
        activated_at: row.maybe_time("activated_at")?,
        retired_at: row.maybe_time("retired_at")?,
    })
}

fn id(plugin: &PluginId, number: i64) -> String {
    format!("{plugin}/{number}")
}

#[async_trait]
impl GenerationRepo for SqlTx {
    async fn insert_generation(&mut self, generation: &Generation) -> Result<(), StoreError> {
        insert_or_conflict!(
            self,
            "plugin_generation_number",
            "INSERT INTO plugin_generation (generation_id, plugin_id, number, origin, digest, version, manifest, \
             tools, state, reject_code, proven, failed_starts, last_error, created_at, activated_at, retired_at, \
             source, package, publisher) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
             $16, $17, $18, $19) ON CONFLICT DO NOTHING",
            id(&generation.plugin, generation.number),
            generation.plugin.to_string(),
            generation.number,
            generation.origin.as_str(),
            generation.digest.clone(),
            generation.version.clone(),
            generation.manifest.clone(),
            generation.tools.to_string(),
            generation.state.as_str(),
            generation.state.code().to_owned(),
            i64::from(generation.is_proven),
            generation.failed_starts,
            generation.last_error.clone(),
            generation.created_at.as_micros(),
            generation.activated_at.map(Timestamp::as_micros),
            generation.retired_at.map(Timestamp::as_micros),
            generation.provenance.source.clone(),
            generation.provenance.package.clone(),
            generation.provenance.publisher.clone(),
        )
    }

    async fn update_generation(&mut self, generation: &Generation) -> Result<(), StoreError> {
        update!(
            self,
            "plugin_generation"."generation_id" = id(&generation.plugin, generation.number),
            "UPDATE plugin_generation SET tools = $2, state = $3, reject_code = $4, proven = $5, failed_starts = $6, \
             last_error = $7, activated_at = $8, retired_at = $9 WHERE generation_id = $1",
            generation.tools.to_string(),
            generation.state.as_str(),
            generation.state.code().to_owned(),
            i64::from(generation.is_proven),
            generation.failed_starts,
            generation.last_error.clone(),
            generation.activated_at.map(Timestamp::as_micros),
            generation.retired_at.map(Timestamp::as_micros),
        )
    }

    async fn list_generations(&mut self, plugin: Option<&PluginId>) -> Result<Vec<Generation>, StoreError> {
        let sql = sql!(
            "SELECT ",
            GENERATION,
            " FROM plugin_generation WHERE $1 = '' OR plugin_id = $1 ORDER BY plugin_id, number"
        );
        select!(self, read, sql, plugin.map(ToString::to_string).unwrap_or_default())
    }

    async fn current_generations(&mut self) -> Result<Vec<Generation>, StoreError> {
        let of =
            " FROM plugin_generation WHERE state IN ('active', 'quarantined') ORDER BY plugin_id, number";
        select!(self, read, sql!("SELECT ", GENERATION, of))
    }

    async fn unsettled_generations(&mut self) -> Result<Vec<Generation>, StoreError> {
        let of = " FROM plugin_generation WHERE state IN ('staged', 'inspected', 'compiled', 'draining') \
                  ORDER BY plugin_id, number";
        select!(self, read, sql!("SELECT ", GENERATION, of))
    }

    async fn remove_generation(&mut self, plugin: &PluginId, number: i64) -> Result<bool, StoreError> {
        let sql = "DELETE FROM plugin_generation WHERE generation_id = $1";
        Ok(execute!(self, sql, id(plugin, number))? > 0)
    }

    async fn remove_generations(&mut self, plugin: &PluginId) -> Result<u64, StoreError> {
        execute!(self, "DELETE FROM plugin_generation WHERE plugin_id = $1", plugin.to_string())
    }
}
