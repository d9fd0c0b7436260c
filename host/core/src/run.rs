//! The run queue: runs are rows, workers take them, one of a thread at a time.

mod batch;
pub(crate) mod finish;
mod leftovers;
pub(crate) mod prompt;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use berth_model::RunId;
use berth_model::event::EventType;
use berth_model::run::{Run, RunFailure};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::core::{Working, lock, object};
use crate::port::store::StoreError;
use crate::{Core, CoreError};

/// How often the queue is looked at without a ring; another host may have queued a run.
const POLL: Duration = Duration::from_secs(5);
/// The wait after the store failed.
const RETRY: Duration = Duration::from_secs(1);
/// What that wait grows to.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Starts to take runs.
pub(crate) fn start(core: &Core) {
    let core = core.clone();
    let tasks = core.0.tasks.clone();
    tasks.spawn(async move {
        let slots = Arc::new(Semaphore::new(core.0.config.concurrent_runs.max(1)));
        loop {
            let slot = tokio::select! {
                biased;
                () = core.0.stop.cancelled() => break,
                slot = slots.clone().acquire_owned() => slot,
            };
            // The semaphore is never closed.
            let Ok(slot) = slot else { break };
            match claim(&core).await {
                Ok(Some(run)) => {
                    let worker = core.clone();
                    core.0.tasks.spawn(async move {
                        work(&worker, run).await;
                        drop(slot);
                        // The next run of the same thread may be taken now.
                        worker.0.queue.notify_one();
                    });
                }
                Ok(None) => wait(&core, POLL).await,
                Err(CoreError::Store(StoreError::Conflict { .. })) => {}
                Err(error) => {
                    tracing::error!(%error, "the queue cannot be read");
                    wait(&core, RETRY).await;
                }
            }
        }
    });
}

async fn wait(core: &Core, longest: Duration) {
    tokio::select! {
        () = core.0.queue.notified() => {}
        () = core.0.stop.cancelled() => {}
        () = tokio::time::sleep(longest) => {}
    }
}

async fn claim(core: &Core) -> Result<Option<Run>, CoreError> {
    let mut tx = core.0.store.write().await?;
    let Some(run) = tx.claim_run(core.now()).await? else { return Ok(None) };
    let payload = object([("trigger_type", json!(run.trigger.as_str())), ("attempt", json!(run.attempt))]);
    tx.append_events(&[core.event(&run, EventType::RunStarted, payload)]).await?;
    tx.commit().await?;
    core.0.bus.committed();
    Ok(Some(run))
}

/// Carries a run to its end. Whatever happens inside, the run ends: with a reply or with a reason.
async fn work(core: &Core, run: Run) {
    let id = run.id;
    let cancel = core.0.kill.child_token();
    let run = Arc::new(tokio::sync::Mutex::new(run));
    lock(&core.0.running).insert(id, Working { cancel: cancel.clone(), run: run.clone() });
    let turn = tokio::spawn(turn::run(core.clone(), run, cancel));
    let result = turn.await;
    lock(&core.0.running).remove(&id);
    let failure = match result {
        Ok(Ok(())) => return,
        // The process stops: the next start settles the run.
        _ if core.0.kill.is_cancelled() => return,
        Ok(Err(error)) => {
            tracing::error!(run.id = %id, %error, "a run broke off");
            RunFailure { code: error.code(), message: error.to_string(), retryable: error.retryable() }
        }
        Err(panic) => {
            tracing::error!(run.id = %id, %panic, "a run panicked");
            let message = "the run broke off inside the host".to_owned();
            RunFailure { code: "internal".to_owned(), message, retryable: true }
        }
    };
    close(core, id, failure).await;
}

/// Ends a broken run as soon as the store takes it; when the process ends first, the next start does it.
pub(crate) async fn close(core: &Core, id: RunId, failure: RunFailure) {
    let mut pause = RETRY;
    while let Err(error) = finish::fail_by_id(core, id, failure.clone()).await {
        tracing::error!(run.id = %id, %error, "a broken run could not be closed yet");
        tokio::select! {
            () = core.0.kill.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_RETRY);
    }
}
