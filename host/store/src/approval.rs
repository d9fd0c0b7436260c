//! Approvals.

use async_trait::async_trait;
use berth_core::port::store::{ApprovalRepo, StoreError};
use berth_model::approval::{Approval, ApprovalStatus, ApprovalSubject};
use berth_model::{ApprovalId, OperationId, PluginId, Timestamp};
use serde_json::{Value, json};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, select, sql};

const COLUMNS: &str = "approval_id, operation_id, kind, risk, prompt, subject, status, answer, reason, decided_by, \
                       grant_id, expires_at, created_at, decided_at";

fn read(row: &AnyRow) -> Result<Approval, StoreError> {
    let row = Row::new("approval", row);
    Ok(Approval {
        id: row.parsed("approval_id")?,
        operation: row.parsed("operation_id")?,
        kind: row.text("kind")?,
        risk: row.text("risk")?,
        prompt: row.text("prompt")?,
        subject: subject(&row)?,
        status: row.parsed("status")?,
        answer: row.maybe_parsed("answer")?,
        reason: row.text("reason")?,
        decided_by: row.maybe_parsed("decided_by")?,
        grant: row.maybe_parsed("grant_id")?,
        expires_at: row.time("expires_at")?,
        created_at: row.time("created_at")?,
        decided_at: row.maybe_time("decided_at")?,
    })
}

/// `{"plugin", "capability", "scope"}`, or null.
fn subject(row: &Row<'_>) -> Result<Option<ApprovalSubject>, StoreError> {
    let mut stored = row.json("subject")?;
    if stored.is_null() {
        return Ok(None);
    }
    let read = |key: &str| stored.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let plugin = PluginId::new(read("plugin")).map_err(|_| row.bad("subject"))?;
    let capability = read("capability");
    let scope = stored["scope"].take();
    Ok(Some(ApprovalSubject { plugin, capability, scope }))
}

fn stored(subject: Option<&ApprovalSubject>) -> String {
    let value = subject.map_or(Value::Null, |subject| {
        json!({
            "plugin": subject.plugin.as_str(), "capability": subject.capability, "scope": subject.scope,
        })
    });
    value.to_string()
}

#[async_trait]
impl ApprovalRepo for SqlTx {
    async fn insert_approval(&mut self, approval: &Approval) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO approval (approval_id, operation_id, kind, risk, prompt, subject, status, answer, reason, \
             decided_by, grant_id, expires_at, created_at, decided_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            approval.id.to_string(),
            approval.operation.to_string(),
            approval.kind.clone(),
            approval.risk.clone(),
            approval.prompt.clone(),
            stored(approval.subject.as_ref()),
            approval.status.as_str(),
            approval.answer.map(|answer| answer.to_string()),
            approval.reason.clone(),
            approval.decided_by.as_ref().map(ToString::to_string),
            approval.grant.map(|id| id.to_string()),
            approval.expires_at.as_micros(),
            approval.created_at.as_micros(),
            approval.decided_at.map(Timestamp::as_micros),
        )?;
        Ok(())
    }

    async fn decide_approval(&mut self, approval: &Approval) -> Result<bool, StoreError> {
        let rows = execute!(
            self,
            "UPDATE approval SET status = $2, answer = $3, reason = $4, decided_by = $5, grant_id = $6, \
             decided_at = $7 WHERE approval_id = $1 AND status = 'pending'",
            approval.id.to_string(),
            approval.status.as_str(),
            approval.answer.map(|answer| answer.to_string()),
            approval.reason.clone(),
            approval.decided_by.as_ref().map(ToString::to_string),
            approval.grant.map(|id| id.to_string()),
            approval.decided_at.map(Timestamp::as_micros),
        )?;
        Ok(rows > 0)
    }

    async fn lookup_approval(&mut self, id: ApprovalId) -> Result<Option<Approval>, StoreError> {
        lookup!(self, read, sql!("SELECT ", COLUMNS, " FROM approval WHERE approval_id = $1"), id.to_string())
    }

    async fn approvals_of_operation(&mut self, operation: OperationId) -> Result<Vec<Approval>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM approval WHERE operation_id = $1 ORDER BY created_at, approval_id"
        );
        select!(self, read, sql, operation.to_string())
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
