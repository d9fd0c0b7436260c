//! Grants and consents.

use async_trait::async_trait;
use berth_core::port::store::{GrantRepo, StoreError};
use berth_model::plugin::{Consent, Grant};
use berth_model::{GrantId, PluginId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, number, select, sql, update};

const GRANT: &str = "grant_id, plugin_id, capability, scope, limits, mode, digest_rule, workspace_id, bound_to, \
                     granted_by, reason, approval_id, created_at, starts_at, expires_at, uses_left, revoked_at, \
                     revoked_by";

fn read_grant(row: &AnyRow) -> Result<Grant, StoreError> {
    let row = Row::new("plugin_grant", row);
    Ok(Grant {
        id: row.parsed("grant_id")?,
        plugin: row.parsed("plugin_id")?,
        capability: row.text("capability")?,
        scope: row.json("scope")?,
        limit: row.json("limits")?,
        mode: row.parsed("mode")?,
        rule: row.parsed("digest_rule")?,
        workspace: row.maybe_parsed("workspace_id")?,
        bound_to: row.maybe_text("bound_to")?,
        granted_by: row.text("granted_by")?,
        reason: row.text("reason")?,
        approval: row.maybe_parsed("approval_id")?,
        created_at: row.time("created_at")?,
        starts_at: row.maybe_time("starts_at")?,
        expires_at: row.maybe_time("expires_at")?,
        uses_left: row.maybe_number("uses_left")?,
        revoked_at: row.maybe_time("revoked_at")?,
        revoked_by: row.maybe_text("revoked_by")?,
    })
}

fn read_consent(row: &AnyRow) -> Result<Consent, StoreError> {
    let row = Row::new("plugin_consent", row);
    Ok(Consent {
        plugin: row.parsed("plugin_id")?,
        digest: row.text("digest")?,
        given_by: row.text("given_by")?,
        given_at: row.time("given_at")?,
    })
}

#[async_trait]
impl GrantRepo for SqlTx {
    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO plugin_grant (grant_id, plugin_id, capability, scope, limits, mode, digest_rule, \
             workspace_id, bound_to, granted_by, reason, approval_id, created_at, starts_at, expires_at, uses_left, \
             revoked_at, revoked_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
            grant.id.to_string(),
            grant.plugin.to_string(),
            grant.capability.clone(),
            grant.scope.to_string(),
            grant.limit.to_string(),
            grant.mode.as_str(),
            grant.rule.to_string(),
            grant.workspace.as_ref().map(ToString::to_string),
            grant.bound_to.clone(),
            grant.granted_by.clone(),
            grant.reason.clone(),
            grant.approval.map(|id| id.to_string()),
            grant.created_at.as_micros(),
            grant.starts_at.map(Timestamp::as_micros),
            grant.expires_at.map(Timestamp::as_micros),
            grant.uses_left,
            grant.revoked_at.map(Timestamp::as_micros),
            grant.revoked_by.clone(),
        )?;
        Ok(())
    }

    async fn update_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        update!(
            self,
            "plugin_grant"."grant_id" = grant.id,
            "UPDATE plugin_grant SET expires_at = $2, uses_left = $3, revoked_at = $4, revoked_by = $5 \
             WHERE grant_id = $1",
            grant.expires_at.map(Timestamp::as_micros),
            grant.uses_left,
            grant.revoked_at.map(Timestamp::as_micros),
            grant.revoked_by.clone(),
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

    async fn take_use(&mut self, id: GrantId, now: Timestamp) -> Result<Option<i64>, StoreError> {
        // The condition and the change are one statement: nobody comes in between.
        let taken = execute!(
            self,
            "UPDATE plugin_grant SET uses_left = uses_left - 1 WHERE grant_id = $1 AND uses_left > 0 \
             AND revoked_at IS NULL AND (starts_at IS NULL OR starts_at <= $2) \
             AND (expires_at IS NULL OR expires_at > $2)",
            id.to_string(),
            now.as_micros(),
        )?;
        if taken == 0 {
            return Ok(None);
        }
        lookup!(self, number, "SELECT uses_left FROM plugin_grant WHERE grant_id = $1", id.to_string())
    }

    async fn give_consent(&mut self, consent: &Consent) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO plugin_consent (plugin_id, digest, given_by, given_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (plugin_id) DO UPDATE SET digest = excluded.digest, given_by = excluded.given_by, \
             given_at = excluded.given_at",
            consent.plugin.to_string(),
            consent.digest.clone(),
            consent.given_by.clone(),
            consent.given_at.as_micros(),
        )?;
        Ok(())
    }

    async fn list_consents(&mut self) -> Result<Vec<Consent>, StoreError> {
        select!(
            self,
            read_consent,
            "SELECT plugin_id, digest, given_by, given_at FROM plugin_consent ORDER BY plugin_id"
        )
    }
}
