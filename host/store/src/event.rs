//! Run events: append-only, in one order for the whole Core.

use async_trait::async_trait;
use berth_core::port::store::{EventRepo, EventScope, StoreError};
use berth_model::event::{EventType, NewEvent, RunEvent};
use berth_model::{JsonMap, RunId};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::error::translate;
use crate::row::{Row, Stored, object_text};
use crate::sql::{SqlTx, lookup, number, number_at, select, sql};

/// Events in one statement.
const MOST_AT_ONCE: usize = 100;
const COLUMNS: &str =
    "event_id, position, run_id, seq, thread_id, session_id, workspace_id, kind, payload, created_at";

fn read(row: &AnyRow) -> Result<RunEvent, StoreError> {
    let row = Row::new("run_event", row);
    let cursor = row.number("position")?;
    // An event keeps its place whatever became of its text: one that cannot be read would hold up all behind it.
    let payload = row.object("payload").unwrap_or_else(|error| {
        tracing::error!(%error, event.cursor = cursor, "the payload of an event cannot be read");
        JsonMap::from_iter([("unreadable".to_owned(), Value::Bool(true))])
    });
    Ok(RunEvent {
        cursor,
        seq: row.number("seq")?,
        event: NewEvent {
            id: row.parsed("event_id")?,
            run: row.parsed("run_id")?,
            thread: row.maybe_parsed("thread_id")?,
            session: row.maybe_parsed("session_id")?,
            workspace: row.parsed("workspace_id")?,
            kind: row.parsed("kind")?,
            payload,
            created_at: row.time("created_at")?,
        },
    })
}

/// Stores events of one run in two statements, however many they are.
async fn append(tx: &mut SqlTx, events: &[&NewEvent], stored: &mut Vec<RunEvent>) -> Result<(), StoreError> {
    let Some(first) = events.first() else { return Ok(()) };
    // The lock on the row of the cursor lasts until the commit: positions become visible in their order, without gaps.
    let sql = "UPDATE event_cursor SET value = value + $1 WHERE id = 1 RETURNING value, \
               (SELECT COALESCE(MAX(seq), 0) FROM run_event WHERE run_id = $2)";
    let read = |row: &AnyRow| Ok((number(row)?, number_at(row, 1)?));
    let last = lookup!(tx, read, sql, events.len() as i64, first.run.to_string())?;
    let (last, mut seq) = last.ok_or_else(|| StoreError::Inconsistent {
        table: "event_cursor",
        column: "id",
        row: "1".to_owned(),
    })?;
    let mut cursor = last - events.len() as i64;
    let rows: Vec<String> = (0..events.len()).map(row_of_parameters).collect();
    let sql = format!("INSERT INTO run_event ({COLUMNS}) VALUES {}", rows.join(", "));
    // Text of ours and numbers of parameters alone.
    let mut insert = sqlx::query(AssertSqlSafe(sql));
    for event in events {
        cursor += 1;
        seq += 1;
        insert = insert
            .bind(event.id.to_string())
            .bind(cursor)
            .bind(event.run.to_string())
            .bind(seq)
            .bind(event.thread.map(|id| id.to_string()))
            .bind(event.session.map(|id| id.to_string()))
            .bind(event.workspace.to_string())
            .bind(event.kind.as_str())
            .bind(object_text(&event.payload).stored())
            .bind(event.created_at.as_micros());
        stored.push(RunEvent { cursor, seq, event: (*event).clone() });
    }
    insert.execute(&mut *tx.tx).await.map_err(translate)?;
    Ok(())
}

/// `($11, …, $20)` for row 1.
fn row_of_parameters(row: usize) -> String {
    let columns = COLUMNS.split(',').count();
    let parameters: Vec<String> =
        (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
    format!("({})", parameters.join(", "))
}

#[async_trait]
impl EventRepo for SqlTx {
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<Vec<RunEvent>, StoreError> {
        let durable: Vec<&NewEvent> = events.iter().filter(|event| event.kind.is_durable()).collect();
        if durable.is_empty() {
            return Ok(Vec::new());
        }
        let mut stored = Vec::with_capacity(durable.len());
        for of_one_run in durable.chunk_by(|a, b| a.run == b.run) {
            for events in of_one_run.chunks(MOST_AT_ONCE) {
                append(self, events, &mut stored).await?;
            }
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
