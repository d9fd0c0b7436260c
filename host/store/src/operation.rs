//! Operations.

use async_trait::async_trait;
use berth_core::port::store::{OperationRepo, StoreError};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::{OperationId, RunId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, select, sql};

const COLUMNS: &str = "operation_id, call_id, kind, title, thread_id, workspace_id, run_id, session_id, actor_id, \
                       tool, tool_key, target_kind, target_id, target_endpoint, approval_id, status, arguments, \
                       result, error, receipt, routing, created_at, started_at, finished_at";

fn read(row: &AnyRow) -> Result<Operation, StoreError> {
    let row = Row::new("operation", row);
    Ok(Operation {
        id: row.parsed("operation_id")?,
        call: row.parsed("call_id")?,
        kind: row.text("kind")?,
        title: row.text("title")?,
        thread: row.maybe_parsed("thread_id")?,
        workspace: row.parsed("workspace_id")?,
        run: row.maybe_parsed("run_id")?,
        session: row.maybe_parsed("session_id")?,
        actor: row.parsed("actor_id")?,
        tool: row.parsed("tool")?,
        tool_key: row.parsed("tool_key")?,
        target_kind: row.text("target_kind")?,
        target_id: row.text("target_id")?,
        target_endpoint: row.maybe_parsed("target_endpoint")?,
        approval: row.maybe_parsed("approval_id")?,
        status: row.parsed("status")?,
        arguments: row.json("arguments")?,
        result: row.json("result")?,
        error: row.json("error")?,
        receipt: row.json("receipt")?,
        routing: row.json("routing")?,
        created_at: row.time("created_at")?,
        started_at: row.maybe_time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
    })
}

#[async_trait]
impl OperationRepo for SqlTx {
    async fn insert_operation(&mut self, operation: &Operation) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO operation (operation_id, call_id, kind, title, thread_id, workspace_id, run_id, session_id, \
             actor_id, tool, tool_key, target_kind, target_id, target_endpoint, approval_id, status, arguments, \
             result, error, receipt, routing, created_at, started_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6, \
             $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)",
            operation.id.to_string(),
            operation.call.to_string(),
            operation.kind.clone(),
            operation.title.clone(),
            operation.thread.map(|id| id.to_string()),
            operation.workspace.to_string(),
            operation.run.map(|id| id.to_string()),
            operation.session.map(|id| id.to_string()),
            operation.actor.to_string(),
            operation.tool.to_string(),
            operation.tool_key.to_string(),
            operation.target_kind.clone(),
            operation.target_id.clone(),
            operation.target_endpoint.as_ref().map(ToString::to_string),
            operation.approval.map(|id| id.to_string()),
            operation.status.as_str(),
            operation.arguments.to_string(),
            operation.result.to_string(),
            operation.error.to_string(),
            operation.receipt.to_string(),
            operation.routing.to_string(),
            operation.created_at.as_micros(),
            operation.started_at.map(Timestamp::as_micros),
            operation.finished_at.map(Timestamp::as_micros),
        )?;
        Ok(())
    }

    async fn update_operation(&mut self, operation: &Operation) -> Result<bool, StoreError> {
        let rows = execute!(
            self,
            "UPDATE operation SET approval_id = $2, status = $3, result = $4, error = $5, receipt = $6, \
             routing = $7, started_at = $8, finished_at = $9, target_kind = $10, target_id = $11, \
             target_endpoint = $12 WHERE operation_id = $1 \
             AND status NOT IN ('succeeded', 'failed', 'cancelled', 'rejected')",
            operation.id.to_string(),
            operation.approval.map(|id| id.to_string()),
            operation.status.as_str(),
            operation.result.to_string(),
            operation.error.to_string(),
            operation.receipt.to_string(),
            operation.routing.to_string(),
            operation.started_at.map(Timestamp::as_micros),
            operation.finished_at.map(Timestamp::as_micros),
            operation.target_kind.clone(),
            operation.target_id.clone(),
            operation.target_endpoint.as_ref().map(ToString::to_string),
        )?;
        Ok(rows > 0)
    }

    async fn lookup_operation(&mut self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        lookup!(
            self,
            read,
            sql!("SELECT ", COLUMNS, " FROM operation WHERE operation_id = $1"),
            id.to_string()
        )
    }

    async fn operations_of_run(&mut self, run: RunId) -> Result<Vec<Operation>, StoreError> {
        let sql =
            sql!("SELECT ", COLUMNS, " FROM operation WHERE run_id = $1 ORDER BY created_at, operation_id");
        select!(self, read, sql, run.to_string())
    }

    async fn open_operations(&mut self) -> Result<Vec<Operation>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM operation WHERE status NOT IN ('succeeded', 'failed', 'cancelled', 'rejected') \
             ORDER BY created_at, operation_id"
        );
        select!(self, read, sql)
    }

    async fn set_operation_status(
        &mut self,
        id: OperationId,
        status: OperationStatus,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (started, finished) = match status {
            OperationStatus::Running => (Some(now.as_micros()), None),
            status if status.is_final() => (None, Some(now.as_micros())),
            _ => (None, None),
        };
        let rows = execute!(
            self,
            "UPDATE operation SET status = $2, started_at = COALESCE(started_at, $3), \
             finished_at = COALESCE($4, finished_at) WHERE operation_id = $1 \
             AND status NOT IN ('succeeded', 'failed', 'cancelled', 'rejected')",
            id.to_string(),
            status.as_str(),
            started,
            finished,
        )?;
        Ok(rows > 0)
    }
}
