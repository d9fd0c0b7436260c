//! Looking at runs, and stopping one.

use berth_model::event::RunEvent;
use berth_model::run::Run;
use berth_model::{RunId, SessionId};

use crate::bus::EventStream;
use crate::core::lock;
use crate::port::store::{EventScope, RunFilter};
use crate::run::finish::{self, stream_id, turn_id};
use crate::{Core, CoreError};

/// The most events of one page.
pub const MAX_EVENTS: u32 = 1000;

impl Core {
    /// Fails with `run_not_found`.
    pub async fn run(&self, id: RunId) -> Result<Run, CoreError> {
        let run = self.0.store.read().await?.lookup_run(id).await?;
        run.ok_or_else(|| CoreError::NotFound { kind: "run", id: id.to_string() })
    }

    /// Newest first.
    pub async fn list_runs(&self, filter: RunFilter) -> Result<Vec<Run>, CoreError> {
        Ok(self.0.store.read().await?.list_runs(&filter).await?)
    }

    /// Stored events of a run behind `after_seq`, at most [`MAX_EVENTS`]. Fails with `run_not_found`.
    pub async fn run_events(
        &self,
        id: RunId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, CoreError> {
        let mut tx = self.0.store.read().await?;
        if tx.lookup_run(id).await?.is_none() {
            return Err(CoreError::NotFound { kind: "run", id: id.to_string() });
        }
        Ok(tx.events_of_run(id, after_seq, limit.min(MAX_EVENTS)).await?)
    }

    /// Stored events of `scope` behind `after`, at most [`MAX_EVENTS`].
    pub async fn events_after(
        &self,
        scope: &EventScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, CoreError> {
        Ok(self.0.store.read().await?.events_after(scope, after, limit.min(MAX_EVENTS)).await?)
    }

    /// Replays what `scope` told behind `after`, then goes on live; with `None` live alone.
    pub async fn subscribe(&self, scope: EventScope, after: Option<i64>) -> Result<EventStream, CoreError> {
        Ok(self.0.bus.subscribe(scope, after).await?)
    }

    /// Stops a run that waits, and asks one that is at work here to stop; false when it has ended or is unknown.
    pub async fn stop_run(&self, id: RunId) -> Result<bool, CoreError> {
        // A worker may take the run between the first look and the second.
        Ok(self.cancel_running(id) || finish::stop_queued(self, id).await? || self.cancel_running(id))
    }

    fn cancel_running(&self, id: RunId) -> bool {
        lock(&self.0.running).get(&id).map(|working| working.cancel.cancel()).is_some()
    }

    /// Stops the run that is at work in a session's thread, else the next in line; false when there is none. With a turn
    /// or a stream only the run that tells its events under these.
    ///
    /// Fails with `session_not_found`.
    pub async fn stop_session(
        &self,
        id: SessionId,
        turn: Option<&str>,
        stream: Option<&str>,
    ) -> Result<bool, CoreError> {
        let mut tx = self.0.store.read().await?;
        let session = tx.lookup_session(id).await?;
        let session = session.ok_or_else(|| CoreError::NotFound { kind: "session", id: id.to_string() })?;
        let filter = RunFilter { thread: Some(session.thread), limit: 20, ..RunFilter::default() };
        let runs = tx.list_runs(&filter).await?;
        drop(tx);
        let is_meant = |run: &Run| {
            !run.status.is_final()
                && turn.is_none_or(|turn| turn == turn_id(run))
                && stream.is_none_or(|stream| stream == stream_id(run))
        };
        // Oldest first: the one at work before those that wait behind it.
        for run in runs.into_iter().rev().filter(is_meant) {
            if self.stop_run(run.id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
