//! A plugin that may use a capability only after a yes: the question, the wait, and the call that is run again.

use std::time::Duration;

use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus, ApprovalSubject};
use berth_model::event::EventType;
use berth_model::operation::{Operation, OperationStatus};
use berth_model::run::{Run, RunStatus};
use berth_model::tool::{Blame, ToolFailure};
use berth_model::{ApprovalId, OperationId, RunId};
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{Ask, expire, refusal_of};
use crate::core::lock;
use crate::operations::facts;
use crate::{Core, CoreError};

/// How often a call may wait for an answer and be run again.
pub(crate) const MOST_PARKINGS: u32 = 16;

/// A use of a capability that a person must agree to.
#[derive(Debug, Clone)]
pub struct CapabilityAsk {
    /// The call that wants it.
    pub operation: OperationId,
    pub run: Option<RunId>,
    pub subject: ApprovalSubject,
    pub risk: String,
    /// What the person who answers reads.
    pub prompt: String,
}

impl Core {
    /// The approval of this use: one of the same call that has its answer or waits for it, but none of `spent`, or a
    /// new one. `None` when nobody knows the call.
    ///
    /// A yes for once counts again when the call is run again from the start; of longer ones their grants tell.
    pub async fn ask_capability(
        &self,
        ask: &CapabilityAsk,
        spent: &[ApprovalId],
    ) -> Result<Option<Approval>, CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        let Some(mut operation) = tx.lookup_operation(ask.operation).await? else { return Ok(None) };
        if operation.status.is_final() {
            return Ok(None);
        }
        let known = tx.approvals_of_operation(ask.operation).await?.into_iter().find(|approval| {
            approval.subject.as_ref() == Some(&ask.subject)
                && !spent.contains(&approval.id)
                && match approval.status {
                    ApprovalStatus::Approved => approval.answer == Some(ApprovalAnswer::Once),
                    ApprovalStatus::Pending => now < approval.expires_at,
                    ApprovalStatus::Rejected => true,
                    ApprovalStatus::Expired => false,
                }
        });
        if known.is_some() {
            return Ok(known);
        }
        let approval = Approval {
            id: ApprovalId::from_uuid(self.uuid()),
            operation: operation.id,
            kind: "capability".to_owned(),
            risk: ask.risk.clone(),
            prompt: ask.prompt.clone(),
            subject: Some(ask.subject.clone()),
            status: ApprovalStatus::Pending,
            answer: None,
            reason: String::new(),
            decided_by: None,
            grant: None,
            expires_at: now.plus(self.0.config.approval_wait),
            created_at: now,
            decided_at: None,
        };
        operation.approval = Some(approval.id);
        operation.status = OperationStatus::WaitingApproval;
        tx.insert_approval(&approval).await?;
        tx.update_operation(&operation).await?;
        let call = lock(&self.0.calls).get(&operation.id).cloned();
        if let Some(call) = call {
            tx.upsert_waiting_call(&call).await?;
        }
        if let Some(run) = self.run_at_work(ask.run) {
            let mut run = run.lock().await;
            run.status = RunStatus::WaitingForApproval;
            tx.update_run(&run).await?;
            let mut payload = facts(&operation);
            payload.insert("risk".to_owned(), json!(approval.risk));
            payload.insert("approval_id".to_owned(), json!(approval.id.to_string()));
            payload.insert("prompt".to_owned(), json!(approval.prompt));
            payload.insert("expires_at".to_owned(), json!(approval.expires_at.to_string()));
            payload.insert("capability".to_owned(), json!(ask.subject.capability));
            payload.insert("scope".to_owned(), ask.subject.scope.clone());
            tx.append_events(&[self.event(&run, EventType::ApprovalRequired, payload)]).await?;
        }
        tx.commit().await?;
        lock(&self.0.waiting).insert(approval.id, watch::channel(false).0);
        lock(&self.0.asked).insert(operation.id, approval.id);
        self.0.bus.committed();
        self.0.operations.tell(&operation, "waiting_approval", "");
        Ok(Some(approval))
    }

    /// Waits for the answer at most `wait`; the call that asked goes on when there is one. A pending approval comes
    /// back as it is; one whose call is cancelled has expired.
    pub async fn await_approval(
        &self,
        id: ApprovalId,
        run: Option<RunId>,
        wait: Duration,
        cancel: &CancellationToken,
    ) -> Result<Approval, CoreError> {
        let approval = self.heard(id, wait, cancel).await?;
        self.stops()?;
        if approval.status == ApprovalStatus::Pending && !cancel.is_cancelled() {
            return Ok(approval);
        }
        let run = self.run_at_work(run);
        let approval = self.settle_approval(id, cancel.is_cancelled(), run.as_deref()).await?;
        let mut tx = self.0.store.write().await?;
        tx.set_operation_status(approval.operation, OperationStatus::Running, self.now()).await?;
        tx.commit().await?;
        Ok(approval)
    }

    /// The approval after its answer, or after `wait`.
    pub(super) async fn heard(
        &self,
        id: ApprovalId,
        wait: Duration,
        cancel: &CancellationToken,
    ) -> Result<Approval, CoreError> {
        let answered = lock(&self.0.waiting).get(&id).map(watch::Sender::subscribe);
        if let Some(mut answered) = answered {
            tokio::select! {
                _ = answered.wait_for(|answered| *answered) => {}
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.approval(id).await
    }

    /// Waits for the answer to what a call asked before it was parked; `Err` inside ends the call.
    pub(crate) async fn wait_parked(
        &self,
        ask: &Ask,
        operation: &mut Operation,
        id: ApprovalId,
        run: Option<&Mutex<Run>>,
    ) -> Result<Result<(), ToolFailure>, CoreError> {
        let known = self.approval(id).await?;
        if known.operation != operation.id {
            let message = format!("{} waits for an approval that is not its own", operation.tool);
            return Ok(Err(ToolFailure::new("approval_rejected", message, Blame::Host)));
        }
        operation.approval = Some(id);
        operation.status = OperationStatus::WaitingApproval;
        self.0.operations.tell(operation, "parked", "");
        let left = known.expires_at.since(self.now());
        self.heard(id, left, &ask.cancel).await?;
        self.stops()?;
        let decision = self.settle_approval(id, ask.cancel.is_cancelled(), run).await?;
        Ok(match decision.status {
            ApprovalStatus::Approved => Ok(()),
            _ => Err(refusal_of(&decision, operation, ask.cancel.is_cancelled())),
        })
    }

    /// Expires what a call that has ended still asks.
    pub(crate) async fn forget_questions(
        &self,
        tx: &mut dyn crate::port::store::Tx,
        operation: &mut Operation,
    ) -> Result<(), CoreError> {
        let last = lock(&self.0.asked).remove(&operation.id);
        if last.or(operation.approval).is_some() {
            tx.remove_waiting_call(operation.id).await?;
        }
        let Some(last) = last else { return Ok(()) };
        operation.approval.get_or_insert(last);
        for mut approval in tx.approvals_of_operation(operation.id).await? {
            if approval.status == ApprovalStatus::Pending {
                expire(&mut approval, "the call is over", self.now());
                tx.decide_approval(&approval).await?;
            }
            lock(&self.0.waiting).remove(&approval.id);
        }
        Ok(())
    }

    /// Whether the calls of an operation asked for something.
    pub(crate) fn has_asked(&self, operation: OperationId) -> bool {
        lock(&self.0.asked).contains_key(&operation)
    }

    fn run_at_work(&self, run: Option<RunId>) -> Option<std::sync::Arc<Mutex<Run>>> {
        run.and_then(|id| lock(&self.0.running).get(&id).map(|working| working.run.clone()))
    }
}
