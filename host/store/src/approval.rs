//! Approvals.

use async_trait::async_trait;
use berth_core::port::store::{ApprovalRepo, StoreError};
use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::{ApprovalId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, select, sql};

const COLUMNS: &str = "approval_id, operation_id, kind, risk, prompt, status, reason, decided_by, expires_at, \
                       created_at, decided_at";

fn read(row: &AnyRow) -> Result<Approval, StoreError> {
    let row = Row::new("approval", row);
    Ok(Approval {
        id: row.parsed("approval_id")?,
        operation: row.parsed("operation_id")?,
        kind: row.text("kind")?,
        risk: row.text("risk")?,
        prompt: row.text("prompt")?,
        status: row.parsed("status")?,
        reason: row.text("reason")?,
        decided_by: row.maybe_parsed("decided_by")?,
        expires_at: row.time("expires_at")?,
        created_at: row.time("created_at")?,
        decided_at: row.maybe_time("decided_at")?,
    })
}

#[async_trait]
impl ApprovalRepo for SqlTx {
    async fn insert_approval(&mut self, approval: &Approval) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO approval (approval_id, operation_id, kind, risk, prompt, status, reason, decided_by, \
             expires_at, created_at, decided_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            approval.id.to_string(),
            approval.operation.to_string(),
            approval.kind.clone(),
            approval.risk.clone(),
            approval.prompt.clone(),
            approval.status.as_str(),
            approval.reason.clone(),
            approval.decided_by.as_ref().map(ToString::to_string),
            approval.expires_at.as_micros(),
            approval.created_at.as_micros(),
            approval.decided_at.map(Timestamp::as_micros),
        )?;
        Ok(())
    }

    async fn decide_approval(&mut self, approval: &Approval) -> Result<bool, StoreError> {
        let rows = execute!(
            self,
            "UPDATE approval SET status = $2, reason = $3, decided_by = $4, decided_at = $5 \
             WHERE approval_id = $1 AND status = 'pending'",
            approval.id.to_string(),
            approval.status.as_str(),
            approval.reason.clone(),
            approval.decided_by.as_ref().map(ToString::to_string),
            approval.decided_at.map(Timestamp::as_micros),
        )?;
        Ok(rows > 0)
    }

    async fn lookup_approval(&mut self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        lookup!(self, read, sql!("SELECT ", COLUMNS, " FROM approval WHERE approval_id = $1"), id.to_string())
    }

    async fn list_approvals(&mut self, status: Option<ApprovalStatus>) -> Result<Vec<Approval>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM approval WHERE $1 = '' OR status = $1 ORDER BY created_at, approval_id"
        );
        select!(self, read, sql, status.map(ApprovalStatus::as_str).unwrap_or_default())
    }
}
