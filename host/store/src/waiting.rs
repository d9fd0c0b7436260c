//! Calls that wait for the answer of a person.

use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::store::{StoreError, WaitingCallRepo};
use berth_model::OperationId;
use berth_model::operation::WaitingCall;
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup};

fn read(row: &AnyRow) -> Result<WaitingCall, StoreError> {
    let row = Row::new("waiting_call", row);
    let timeout =
        row.maybe_number("timeout_ms")?.map(|ms| u64::try_from(ms).map_err(|_| row.bad("timeout_ms")));
    Ok(WaitingCall {
        operation: row.parsed("operation_id")?,
        tool: row.text("tool")?,
        target: row.maybe_text("target")?,
        origin: row.maybe_parsed("origin_endpoint")?,
        is_consented: row.flag("is_consented")?,
        endpoints_only: row.flag("endpoints_only")?,
        timeout: timeout.transpose()?.map(Duration::from_millis),
    })
}

#[async_trait]
impl WaitingCallRepo for SqlTx {
    async fn upsert_waiting_call(&mut self, call: &WaitingCall) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO waiting_call (operation_id, tool, target, origin_endpoint, is_consented, endpoints_only, \
             timeout_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (operation_id) DO UPDATE SET \
             tool = excluded.tool, target = excluded.target, origin_endpoint = excluded.origin_endpoint, \
             is_consented = excluded.is_consented, endpoints_only = excluded.endpoints_only, \
             timeout_ms = excluded.timeout_ms",
            call.operation.to_string(),
            call.tool.clone(),
            call.target.clone(),
            call.origin.as_ref().map(ToString::to_string),
            i64::from(call.is_consented),
            i64::from(call.endpoints_only),
            call.timeout.map(|timeout| i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)),
        )?;
        Ok(())
    }

    async fn lookup_waiting_call(
        &mut self,
        operation: OperationId,
    ) -> Result<Option<WaitingCall>, StoreError> {
        let sql = "SELECT operation_id, tool, target, origin_endpoint, is_consented, endpoints_only, timeout_ms \
                   FROM waiting_call WHERE operation_id = $1";
        lookup!(self, read, sql, operation.to_string())
    }

    async fn remove_waiting_call(&mut self, operation: OperationId) -> Result<(), StoreError> {
        execute!(self, "DELETE FROM waiting_call WHERE operation_id = $1", operation.to_string())?;
        Ok(())
    }
}
