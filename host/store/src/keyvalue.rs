//! Key-value pairs of plugins.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use berth_core::port::store::{
    KeysFrom, KeyvaluePair, KeyvalueRepo, KeyvalueSpace, KeyvalueUsage, StoreError,
};
use berth_model::{PluginId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, select};

fn read_pair(row: &AnyRow) -> Result<KeyvaluePair, StoreError> {
    let row = Row::new("keyvalue", row);
    let value = STANDARD.decode(row.text("value")?).map_err(|_| row.bad("value"))?;
    Ok(KeyvaluePair { value, revision: row.number("revision")? })
}

fn read_usage(row: &AnyRow) -> Result<KeyvalueUsage, StoreError> {
    let row = Row::new("keyvalue_space", row);
    Ok(KeyvalueUsage {
        pairs: row.number("pairs")?,
        bytes: row.number("bytes")?,
        revision: row.number("revision")?,
    })
}

fn read_bytes(row: &AnyRow) -> Result<i64, StoreError> {
    Row::new("keyvalue", row).number("bytes")
}

fn read_key(row: &AnyRow) -> Result<String, StoreError> {
    Row::new("keyvalue", row).text("pair_key")
}

impl SqlTx {
    /// What a pair counts for, when it is there.
    async fn pair_bytes(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        key: &str,
    ) -> Result<Option<i64>, StoreError> {
        lookup!(
            self,
            read_bytes,
            "SELECT pair_key, bytes FROM keyvalue WHERE plugin_id = $1 AND workspace_id = $2 AND bucket = $3 \
             AND pair_key = $4",
            space.plugin.to_string(),
            space.workspace.to_string(),
            bucket.to_owned(),
            key.to_owned(),
        )
    }

    async fn set_usage(&mut self, space: &KeyvalueSpace, usage: KeyvalueUsage) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO keyvalue_space (plugin_id, workspace_id, pairs, bytes, revision) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (plugin_id, workspace_id) DO UPDATE SET \
             pairs = excluded.pairs, bytes = excluded.bytes, revision = excluded.revision",
            space.plugin.to_string(),
            space.workspace.to_string(),
            usage.pairs,
            usage.bytes,
            usage.revision,
        )?;
        Ok(())
    }
}

#[async_trait]
impl KeyvalueRepo for SqlTx {
    async fn keyvalue_usage(&mut self, space: &KeyvalueSpace) -> Result<KeyvalueUsage, StoreError> {
        let usage = lookup!(
            self,
            read_usage,
            "SELECT plugin_id, pairs, bytes, revision FROM keyvalue_space WHERE plugin_id = $1 AND workspace_id = $2",
            space.plugin.to_string(),
            space.workspace.to_string(),
        )?;
        Ok(usage.unwrap_or_default())
    }

    async fn lookup_keyvalue(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        key: &str,
    ) -> Result<Option<KeyvaluePair>, StoreError> {
        lookup!(
            self,
            read_pair,
            "SELECT pair_key, value, revision FROM keyvalue WHERE plugin_id = $1 AND workspace_id = $2 \
             AND bucket = $3 AND pair_key = $4",
            space.plugin.to_string(),
            space.workspace.to_string(),
            bucket.to_owned(),
            key.to_owned(),
        )
    }

    async fn put_keyvalue(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        key: &str,
        value: &[u8],
        now: Timestamp,
    ) -> Result<KeyvalueUsage, StoreError> {
        let before = self.keyvalue_usage(space).await?;
        let old = self.pair_bytes(space, bucket, key).await?;
        let bytes = i64::try_from(key.len() + value.len()).unwrap_or(i64::MAX);
        let after = KeyvalueUsage {
            pairs: before.pairs + i64::from(old.is_none()),
            bytes: before.bytes - old.unwrap_or(0) + bytes,
            revision: before.revision + 1,
        };
        execute!(
            self,
            "INSERT INTO keyvalue (plugin_id, workspace_id, bucket, pair_key, value, bytes, revision, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (plugin_id, workspace_id, bucket, pair_key) DO UPDATE SET value = excluded.value, \
             bytes = excluded.bytes, revision = excluded.revision, updated_at = excluded.updated_at",
            space.plugin.to_string(),
            space.workspace.to_string(),
            bucket.to_owned(),
            key.to_owned(),
            STANDARD.encode(value),
            bytes,
            after.revision,
            now.as_micros(),
        )?;
        self.set_usage(space, after).await?;
        Ok(after)
    }

    async fn remove_keyvalue(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        key: &str,
    ) -> Result<bool, StoreError> {
        let Some(bytes) = self.pair_bytes(space, bucket, key).await? else { return Ok(false) };
        let before = self.keyvalue_usage(space).await?;
        execute!(
            self,
            "DELETE FROM keyvalue WHERE plugin_id = $1 AND workspace_id = $2 AND bucket = $3 AND pair_key = $4",
            space.plugin.to_string(),
            space.workspace.to_string(),
            bucket.to_owned(),
            key.to_owned(),
        )?;
        let after = KeyvalueUsage {
            pairs: before.pairs - 1,
            bytes: before.bytes - bytes,
            revision: before.revision + 1,
        };
        self.set_usage(space, after).await?;
        Ok(true)
    }

    async fn count_keyvalue(&mut self, plugin: &PluginId) -> Result<u64, StoreError> {
        let spaces = select!(
            self,
            read_usage,
            "SELECT plugin_id, pairs, bytes, revision FROM keyvalue_space WHERE plugin_id = $1",
            plugin.to_string(),
        )?;
        Ok(spaces.iter().map(|usage| u64::try_from(usage.pairs).unwrap_or(0)).sum())
    }

    async fn purge_keyvalue(&mut self, plugin: &PluginId) -> Result<u64, StoreError> {
        let removed = execute!(self, "DELETE FROM keyvalue WHERE plugin_id = $1", plugin.to_string())?;
        execute!(
            self,
            "UPDATE keyvalue_space SET pairs = 0, bytes = 0, revision = revision + 1 WHERE plugin_id = $1",
            plugin.to_string(),
        )?;
        Ok(removed)
    }

    async fn list_keyvalue_keys(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        from: KeysFrom<'_>,
        limit: i64,
    ) -> Result<Vec<String>, StoreError> {
        let (behind, number) = match from {
            KeysFrom::Behind(key) => (key, 0),
            KeysFrom::Number(number) => ("", number.max(0)),
        };
        select!(
            self,
            read_key,
            "SELECT pair_key FROM keyvalue WHERE plugin_id = $1 AND workspace_id = $2 AND bucket = $3 \
             AND pair_key > $4 ORDER BY pair_key LIMIT $5 OFFSET $6",
            space.plugin.to_string(),
            space.workspace.to_string(),
            bucket.to_owned(),
            behind.to_owned(),
            limit,
            number,
        )
    }
}
