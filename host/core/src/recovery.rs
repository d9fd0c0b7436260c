//! What a start makes of the work that the last process left behind.
//!
//! A queued run stays queued. One that was running goes back to the queue when no tool with effects had started, and
//! ends as failed `core_restarted` otherwise: never a silent half, never an effect twice. A call that waited for a person
//! waits on, and so does its run.

use berth_model::approval::ApprovalStatus;
use berth_model::event::EventType;
use berth_model::operation::OperationStatus;
use berth_model::run::{Run, RunFailure, RunStatus};
use serde_json::json;

use crate::core::{lock, object};
use crate::operations::approvals::waiting;
use crate::operations::facts;
use crate::port::store::Tx;
use crate::{Core, CoreError, run};

const CODE: &str = "core_restarted";

pub(crate) async fn settle(core: &Core) -> Result<(), CoreError> {
    let now = core.now();
    let mut tx = core.0.store.write().await?;
    tx.disconnect_all(now).await?;
    tx.release_deliveries(now).await?;
    let open = tx.open_operations().await?;
    let found = waiting::found(&mut *tx, &open).await?;
    for mut approval in tx.list_approvals(Some(ApprovalStatus::Pending)).await? {
        if found.has_approval(approval.id) {
            continue;
        }
        approval.status = ApprovalStatus::Expired;
        CODE.clone_into(&mut approval.reason);
        approval.decided_at = Some(now);
        tx.decide_approval(&approval).await?;
    }
    for mut operation in open {
        if found.has_operation(operation.id) {
            continue;
        }
        tx.remove_waiting_call(operation.id).await?;
        operation.status = OperationStatus::Failed;
        operation.error =
            json!({ "code": CODE, "message": "the host stopped during the call", "retryable": true });
        operation.finished_at = Some(now);
        tx.update_operation(&operation).await?;
        if let Some(id) = operation.run
            && let Some(run) = tx.lookup_run(id).await?
        {
            let mut payload = facts(&operation);
            payload.extend(object([("status", json!("failed")), ("error", operation.error.clone())]));
            tx.append_events(&[core.event(&run, EventType::ToolCallFailed, payload)]).await?;
        }
    }
    for run in tx.open_runs().await? {
        if found.has_run(run.id) {
            wait_on(&mut *tx, run).await?;
        } else if run.status != RunStatus::Queued {
            settle_run(core, &mut *tx, run).await?;
        }
    }
    tx.commit().await?;
    found.await_answers(core);
    *lock(&core.0.found) = found;
    Ok(())
}

/// A run whose calls all wait for a person goes on waiting.
async fn wait_on(tx: &mut dyn Tx, mut run: Run) -> Result<(), CoreError> {
    tracing::info!(run.id = %run.id, "an interrupted run waits on for an approval");
    run.status = RunStatus::WaitingForApproval;
    tx.update_run(&run).await?;
    Ok(())
}

async fn settle_run(core: &Core, tx: &mut dyn Tx, mut run: Run) -> Result<(), CoreError> {
    if run.effects_started {
        let failure = RunFailure {
            code: CODE.to_owned(),
            message: "the host stopped while a tool with effects was at work; it was not run again"
                .to_owned(),
            retryable: true,
        };
        tracing::warn!(run.id = %run.id, "a run was interrupted with effects under way");
        return run::finish::fail(core, tx, &mut run, failure).await;
    }
    tracing::info!(run.id = %run.id, "an interrupted run goes back to the queue");
    run.status = RunStatus::Queued;
    tx.update_run(&run).await?;
    let payload = object([("reason", json!(CODE)), ("attempt", json!(run.attempt))]);
    tx.append_events(&[core.event(&run, EventType::RunResumed, payload)]).await?;
    Ok(())
}
