//! What a run that ends leaves open: calls that nobody waits for any more, and the questions about them.

use berth_model::ApprovalId;
use berth_model::approval::ApprovalStatus;
use berth_model::event::EventType;
use berth_model::operation::OperationStatus;
use berth_model::run::Run;
use serde_json::json;

use crate::core::object;
use crate::operations::facts;
use crate::port::store::Tx;
use crate::{Core, CoreError};

/// Ends the open calls of `run`, in the transaction that ends the run.
pub(super) async fn close(core: &Core, tx: &mut dyn Tx, run: &Run) -> Result<(), CoreError> {
    for mut operation in tx.operations_of_run(run.id).await? {
        if operation.status.is_final() {
            continue;
        }
        operation.status = OperationStatus::Cancelled;
        operation.error = json!({
            "code": "tool_call_cancelled", "message": "the run ended during the call", "retryable": true,
        });
        operation.finished_at = Some(core.now());
        tx.update_operation(&operation).await?;
        if let Some(id) = operation.approval {
            expire(core, tx, run, id).await?;
        }
        let mut payload = facts(&operation);
        payload.extend(object([("status", json!("cancelled")), ("error", operation.error.clone())]));
        tx.append_events(&[core.event(run, EventType::ToolCallFailed, payload)]).await?;
    }
    Ok(())
}

/// Nobody can answer for a call that is over.
async fn expire(core: &Core, tx: &mut dyn Tx, run: &Run, id: ApprovalId) -> Result<(), CoreError> {
    let Some(mut approval) = tx.lookup_approval(id).await? else { return Ok(()) };
    if approval.status != ApprovalStatus::Pending {
        return Ok(());
    }
    approval.status = ApprovalStatus::Expired;
    "the run ended".clone_into(&mut approval.reason);
    approval.decided_at = Some(core.now());
    tx.decide_approval(&approval).await?;
    let payload = object([
        ("approval_id", json!(id.to_string())),
        ("approval_status", json!(approval.status.as_str())),
        ("reason", json!(approval.reason)),
    ]);
    tx.append_events(&[core.event(run, EventType::ApprovalResolved, payload)]).await?;
    Ok(())
}
