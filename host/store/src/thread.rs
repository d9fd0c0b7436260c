//! Threads.

use async_trait::async_trait;
use berth_core::port::store::{StoreError, ThreadFilter, ThreadRepo};
use berth_model::thread::{Thread, ThreadStatus};
use berth_model::{ThreadId, Timestamp, WorkspaceId};
use sqlx::any::AnyRow;

use crate::row::{Row, object_text};
use crate::sql::{SqlTx, execute, insert_or_conflict, lookup, select, sql, update};

const COLUMNS: &str =
    "thread_id, workspace_id, title, status, summary, mode, default_key, metadata, created_at, updated_at";

fn read(row: &AnyRow) -> Result<Thread, StoreError> {
    let row = Row::new("thread", row);
    Ok(Thread {
        id: row.parsed("thread_id")?,
        workspace: row.parsed("workspace_id")?,
        title: row.text("title")?,
        status: row.parsed("status")?,
        summary: row.text("summary")?,
        mode: row.text("mode")?,
        default_key: row.maybe_text("default_key")?,
        metadata: row.object("metadata")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

#[async_trait]
impl ThreadRepo for SqlTx {
    async fn insert_thread(&mut self, thread: &Thread) -> Result<(), StoreError> {
        insert_or_conflict!(
            self,
            "thread_default",
            "INSERT INTO thread (thread_id, workspace_id, title, status, summary, mode, default_key, metadata, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (workspace_id, default_key) WHERE default_key IS NOT NULL AND status <> 'deleted' \
             DO NOTHING",
            thread.id.to_string(),
            thread.workspace.to_string(),
            thread.title.clone(),
            thread.status.as_str(),
            thread.summary.clone(),
            thread.mode.clone(),
            thread.default_key.clone(),
            object_text(&thread.metadata),
            thread.created_at.as_micros(),
            thread.updated_at.as_micros(),
        )
    }

    async fn update_thread(&mut self, thread: &Thread) -> Result<(), StoreError> {
        update!(
            self,
            "thread"."thread_id" = thread.id,
            "UPDATE thread SET title = $2, status = $3, summary = $4, mode = $5, default_key = $6, metadata = $7, \
             updated_at = $8 WHERE thread_id = $1",
            thread.title.clone(),
            thread.status.as_str(),
            thread.summary.clone(),
            thread.mode.clone(),
            thread.default_key.clone(),
            object_text(&thread.metadata),
            thread.updated_at.as_micros(),
        )
    }

    async fn lookup_thread(&mut self, id: ThreadId) -> Result<Option<Thread>, StoreError> {
        lookup!(self, read, sql!("SELECT ", COLUMNS, " FROM thread WHERE thread_id = $1"), id.to_string())
    }

    async fn find_default_thread(
        &mut self,
        workspace: &WorkspaceId,
        default_key: &str,
    ) -> Result<Option<Thread>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM thread WHERE workspace_id = $1 AND default_key = $2 AND status <> 'deleted'"
        );
        lookup!(self, read, sql, workspace.to_string(), default_key.to_owned())
    }

    async fn list_threads(&mut self, filter: &ThreadFilter) -> Result<Vec<Thread>, StoreError> {
        let (time, id) = match filter.before {
            Some((time, id)) => (time.as_micros(), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM thread WHERE status <> 'deleted' AND ($1 = '' OR workspace_id = $1) \
             AND (updated_at < $2 OR (updated_at = $2 AND thread_id < $3)) \
             ORDER BY updated_at DESC, thread_id DESC LIMIT $4"
        );
        let workspace = filter.workspace.as_ref().map(ToString::to_string).unwrap_or_default();
        select!(self, read, sql, workspace, time, id, i64::from(filter.limit))
    }

    async fn set_thread_status(
        &mut self,
        id: ThreadId,
        status: ThreadStatus,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        update!(
            self,
            "thread"."thread_id" = id,
            "UPDATE thread SET status = $2, updated_at = $3 WHERE thread_id = $1",
            status.as_str(),
            now.as_micros(),
        )
    }

    async fn touch_thread(&mut self, id: ThreadId, now: Timestamp) -> Result<(), StoreError> {
        execute!(
            self,
            "UPDATE thread SET updated_at = $2 WHERE thread_id = $1 AND updated_at < $2",
            id.to_string(),
            now.as_micros(),
        )?;
        Ok(())
    }
}
