//! Run events: append-only, in one order for the whole Core.

use async_trait::async_trait;
use berth_core::port::store::{EventRepo, EventScope, StoreError};
use berth_model::RunId;
use berth_model::event::{EventType, NewEvent, RunEvent};
use sqlx::any::AnyRow;

use crate::row::{Row, object_text};
use crate::sql::{SqlTx, lookup, number, select, sql};

const COLUMNS: &str =
    "event_id, position, run_id, seq, thread_id, session_id, workspace_id, kind, payload, created_at";

fn read(row: &AnyRow) -> Result<RunEvent, StoreError> {
    let row = Row::new("run_event", row);
    Ok(RunEvent {
        cursor: row.number("position")?,
        seq: row.number("seq")?,
        event: NewEvent {
            id: row.parsed("event_id")?,
            run: row.parsed("run_id")?,
            thread: row.maybe_parsed("thread_id")?,
            session: row.maybe_parsed("session_id")?,
            workspace: row.parsed("workspace_id")?,
            kind: row.parsed("kind")?,
            payload: row.object("payload")?,
            created_at: row.time("created_at")?,
        },
    })
}

#[async_trait]
impl EventRepo for SqlTx {
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<Vec<RunEvent>, StoreError> {
        let durable: Vec<&NewEvent> = events.iter().filter(|event| event.kind.is_durable()).collect();
        if durable.is_empty() {
            return Ok(Vec::new());
        }
        // The lock on this row lasts until the commit: positions become visible in their order, without gaps.
        let sql = "UPDATE event_cursor SET value = value + $1 WHERE id = 1 RETURNING value";
        let last = lookup!(self, number, sql, durable.len() as i64)?.ok_or_else(|| {
            StoreError::Inconsistent { table: "event_cursor", column: "id", row: "1".to_owned() }
        })?;
        let mut cursor = last - durable.len() as i64;
        let mut stored = Vec::with_capacity(durable.len());
        for event in durable {
            cursor += 1;
            let sql = "INSERT INTO run_event (position, event_id, run_id, seq, thread_id, session_id, workspace_id, \
                       kind, payload, created_at) VALUES ($1, $2, $3, \
                       (SELECT COALESCE(MAX(seq), 0) + 1 FROM run_event WHERE run_id = $3), \
                       $4, $5, $6, $7, $8, $9) RETURNING seq";
            let seq = lookup!(
                self,
                number,
                sql,
                cursor,
                event.id.to_string(),
                event.run.to_string(),
                event.thread.map(|id| id.to_string()),
                event.session.map(|id| id.to_string()),
                event.workspace.to_string(),
                event.kind.as_str(),
                object_text(&event.payload),
                event.created_at.as_micros(),
            )?;
            stored.push(RunEvent { cursor, seq: seq.unwrap_or(0), event: event.clone() });
        }
        Ok(stored)
    }

    async fn events_after(
        &mut self,
        scope: &EventScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, StoreError> {
        let (filter, id) = match scope {
            EventScope::All => ("$3 = ''", String::new()),
            EventScope::Thread(id) => ("thread_id = $3", id.to_string()),
            EventScope::Run(id) => ("run_id = $3", id.to_string()),
            EventScope::Workspace(id) => ("workspace_id = $3", id.to_string()),
        };
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM run_event WHERE position > $1 AND ",
            filter,
            " ORDER BY position LIMIT $2"
        );
        select!(self, read, sql, after, i64::from(limit), id)
    }

    async fn events_of_run(
        &mut self,
        run: RunId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, StoreError> {
        let sql =
            sql!("SELECT ", COLUMNS, " FROM run_event WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3");
        select!(self, read, sql, run.to_string(), after_seq, i64::from(limit))
    }

    async fn last_cursor(&mut self) -> Result<i64, StoreError> {
        Ok(lookup!(self, number, "SELECT value FROM event_cursor WHERE id = 1")?.unwrap_or(0))
    }

    async fn count_events(&mut self, run: RunId, kind: EventType) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM run_event WHERE run_id = $1 AND kind = $2";
        let count = lookup!(self, number, sql, run.to_string(), kind.as_str())?.unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
