//! Runs: the durable queue.

use async_trait::async_trait;
use berth_core::port::store::{RunFilter, RunRepo, StoreError};
use berth_model::run::{Run, RunFailure};
use berth_model::{RunId, Timestamp};
use serde_json::{Value, json};
use sqlx::any::AnyRow;

use crate::row::{Row, object_text};
use crate::sql::{SqlTx, execute, lookup, select, sql, update};

const COLUMNS: &str = "run_id, workspace_id, thread_id, session_id, trigger_type, actor_id, origin_endpoint, status, \
                       input_message, output_message, failure, effects_started, attempt, metadata, created_at, \
                       started_at, finished_at";

fn read(row: &AnyRow) -> Result<Run, StoreError> {
    let row = Row::new("run", row);
    let failure = match row.maybe_text("failure")? {
        None => None,
        Some(_) => {
            let failure = row.json("failure")?;
            Some(RunFailure {
                code: failure["code"].as_str().unwrap_or_default().to_owned(),
                message: failure["message"].as_str().unwrap_or_default().to_owned(),
                retryable: failure["retryable"] == Value::Bool(true),
            })
        }
    };
    Ok(Run {
        id: row.parsed("run_id")?,
        workspace: row.parsed("workspace_id")?,
        thread: row.maybe_parsed("thread_id")?,
        session: row.maybe_parsed("session_id")?,
        trigger: row.parsed("trigger_type")?,
        actor: row.parsed("actor_id")?,
        origin_endpoint: row.maybe_parsed("origin_endpoint")?,
        status: row.parsed("status")?,
        input_message: row.maybe_parsed("input_message")?,
        output_message: row.maybe_parsed("output_message")?,
        failure,
        effects_started: row.flag("effects_started")?,
        attempt: u32::try_from(row.number("attempt")?).unwrap_or(u32::MAX),
        metadata: row.object("metadata")?,
        created_at: row.time("created_at")?,
        started_at: row.maybe_time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
    })
}

fn failure_text(failure: Option<&RunFailure>) -> Option<String> {
    failure.map(|failure| {
        json!({ "code": failure.code, "message": failure.message, "retryable": failure.retryable })
            .to_string()
    })
}

#[async_trait]
impl RunRepo for SqlTx {
    async fn insert_run(&mut self, run: &Run) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO run (run_id, workspace_id, thread_id, session_id, trigger_type, actor_id, origin_endpoint, \
             status, input_message, output_message, failure, effects_started, attempt, metadata, created_at, \
             started_at, finished_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            run.id.to_string(),
            run.workspace.to_string(),
            run.thread.map(|id| id.to_string()),
            run.session.map(|id| id.to_string()),
            run.trigger.as_str(),
            run.actor.to_string(),
            run.origin_endpoint.as_ref().map(ToString::to_string),
            run.status.as_str(),
            run.input_message.map(|id| id.to_string()),
            run.output_message.map(|id| id.to_string()),
            failure_text(run.failure.as_ref()),
            i64::from(run.effects_started),
            i64::from(run.attempt),
            object_text(&run.metadata),
            run.created_at.as_micros(),
            run.started_at.map(Timestamp::as_micros),
            run.finished_at.map(Timestamp::as_micros),
        )?;
        Ok(())
    }

    async fn update_run(&mut self, run: &Run) -> Result<(), StoreError> {
        update!(
            self,
            "run"."run_id" = run.id,
            "UPDATE run SET status = $2, input_message = $3, output_message = $4, failure = $5, \
             effects_started = $6, attempt = $7, metadata = $8, started_at = $9, finished_at = $10 WHERE run_id = $1",
            run.status.as_str(),
            run.input_message.map(|id| id.to_string()),
            run.output_message.map(|id| id.to_string()),
            failure_text(run.failure.as_ref()),
            i64::from(run.effects_started),
            i64::from(run.attempt),
            object_text(&run.metadata),
            run.started_at.map(Timestamp::as_micros),
            run.finished_at.map(Timestamp::as_micros),
        )
    }

    async fn lookup_run(&mut self, id: RunId) -> Result<Option<Run>, StoreError> {
        lookup!(self, read, sql!("SELECT ", COLUMNS, " FROM run WHERE run_id = $1"), id.to_string())
    }

    async fn list_runs(&mut self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM run WHERE ($1 = '' OR thread_id = $1) AND ($2 = '' OR status = $2) \
             ORDER BY created_at DESC, run_id DESC LIMIT $3"
        );
        let thread = filter.thread.map(|id| id.to_string()).unwrap_or_default();
        let status = filter.status.map(|status| status.as_str()).unwrap_or_default();
        select!(self, read, sql, thread, status, i64::from(filter.limit))
    }

    async fn claim_run(&mut self, now: Timestamp) -> Result<Option<Run>, StoreError> {
        // There is one writer at a time, in all hosts: nobody looks at the queue between the choice and the mark.
        // Locks of single rows would not do, as two takers of two runs of one thread would both find it free. The
        // index on the runs of a thread guards what this statement promises.
        let sql = sql!(
            "UPDATE run SET status = 'running', started_at = COALESCE(started_at, $1), attempt = attempt + 1 \
             WHERE run_id = (SELECT queued.run_id FROM run AS queued WHERE queued.status = 'queued' AND NOT EXISTS \
             (SELECT 1 FROM run AS other WHERE other.thread_id = queued.thread_id AND other.status IN \
             ('running', 'waiting_for_approval', 'waiting_for_endpoint')) \
             ORDER BY queued.created_at, queued.run_id LIMIT 1) RETURNING ",
            COLUMNS
        );
        lookup!(self, read, sql, now.as_micros())
    }

    async fn open_runs(&mut self) -> Result<Vec<Run>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM run WHERE status IN ('queued', 'running', 'waiting_for_approval', 'waiting_for_endpoint') \
             ORDER BY created_at, run_id"
        );
        select!(self, read, sql)
    }
}
