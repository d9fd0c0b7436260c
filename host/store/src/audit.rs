//! The audit of what plugins did and were denied.

use async_trait::async_trait;
use berth_core::port::store::{AuditFilter, AuditRepo, StoreError};
use berth_model::audit::{AuditDecision, AuditRow};
use berth_model::{AuditId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, select, sql};

const COLUMNS: &str = "audit_id, plugin_id, capability, scope, decision, is_write, uses, call_id, operation_id, run_id, \
                       workspace_id, actor_id, grant_id, approval_id, created_at";

fn read(row: &AnyRow) -> Result<AuditRow, StoreError> {
    let row = Row::new("audit", row);
    Ok(AuditRow {
        id: row.parsed("audit_id")?,
        plugin: row.parsed("plugin_id")?,
        capability: row.text("capability")?,
        scope: row.json("scope")?,
        decision: row.parsed("decision")?,
        is_write: row.flag("is_write")?,
        uses: row.number("uses")?,
        call: row.parsed("call_id")?,
        operation: row.parsed("operation_id")?,
        run: row.maybe_parsed("run_id")?,
        workspace: row.parsed("workspace_id")?,
        actor: row.parsed("actor_id")?,
        grant: row.maybe_parsed("grant_id")?,
        approval: row.maybe_parsed("approval_id")?,
        created_at: row.time("created_at")?,
    })
}

#[async_trait]
impl AuditRepo for SqlTx {
    async fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO audit (audit_id, plugin_id, capability, scope, decision, is_write, uses, call_id, \
             operation_id, run_id, workspace_id, actor_id, grant_id, approval_id, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            row.id.to_string(),
            row.plugin.to_string(),
            row.capability.clone(),
            row.scope.to_string(),
            row.decision.as_str(),
            i64::from(row.is_write),
            row.uses,
            row.call.to_string(),
            row.operation.to_string(),
            row.run.map(|id| id.to_string()),
            row.workspace.to_string(),
            row.actor.to_string(),
            row.grant.map(|id| id.to_string()),
            row.approval.map(|id| id.to_string()),
            row.created_at.as_micros(),
        )?;
        Ok(())
    }

    async fn set_audit_uses(&mut self, id: AuditId, uses: i64) -> Result<(), StoreError> {
        execute!(self, "UPDATE audit SET uses = $2 WHERE audit_id = $1", id.to_string(), uses)?;
        Ok(())
    }

    async fn list_audit(&mut self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM audit WHERE ($1 = '' OR plugin_id = $1) AND ($2 = '' OR operation_id = $2) \
             AND ($3 = '' OR decision = $3) AND created_at >= $4 ORDER BY created_at DESC, audit_id DESC LIMIT $5"
        );
        select!(
            self,
            read,
            sql,
            filter.plugin.as_ref().map(ToString::to_string).unwrap_or_default(),
            filter.operation.map(|id| id.to_string()).unwrap_or_default(),
            filter.decision.map(AuditDecision::as_str).unwrap_or_default(),
            filter.since.map_or(i64::MIN, Timestamp::as_micros),
            i64::from(filter.limit),
        )
    }

    async fn trim_audit(&mut self, time: Timestamp) -> Result<u64, StoreError> {
        execute!(self, "DELETE FROM audit WHERE created_at < $1", time.as_micros())
    }
}
