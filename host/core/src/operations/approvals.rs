//! Approvals: a call that waits for a person, and the answer. The row is the truth; the wait is of this process.

pub(crate) mod answer;
pub mod capability;
pub mod event;
pub mod question;
pub(crate) mod waiting;

use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::event::EventType;
use berth_model::operation::{Operation, OperationStatus};
use berth_model::run::{Run, RunStatus};
use berth_model::tool::{Blame, ToolFailure};
use berth_model::{ApprovalId, Timestamp};
use serde_json::json;
use tokio::sync::watch;

use super::{Ask, Finished, created_payload, summary};
use crate::core::{lock, object};
use crate::port::store::Tx;
use crate::router::Route;
use crate::{Core, CoreError};

impl Core {
    /// Stores the question, waits for the answer; `Err` inside is the no.
    pub(super) async fn ask_and_wait(
        &self,
        ask: &Ask,
        route: &Route,
        operation: &mut Operation,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Result<(), ToolFailure>, CoreError> {
        let now = self.now();
        let approval = Approval {
            id: ApprovalId::from_uuid(self.uuid()),
            operation: operation.id,
            kind: "tool_call".to_owned(),
            risk: route.tool.risk.as_str().to_owned(),
            prompt: format!(
                "Run {} at {} with {}?",
                operation.tool,
                operation.target_id,
                summary(&operation.arguments)
            ),
            subject: None,
            status: ApprovalStatus::Pending,
            answer: None,
            reason: String::new(),
            decided_by: None,
            grant: None,
            expires_at: now.plus(self.0.config.approval_wait),
            created_at: now,
            decided_at: None,
        };
        operation.status = OperationStatus::WaitingApproval;
        operation.approval = Some(approval.id);
        let (answer, mut answered) = watch::channel(false);
        lock(&self.0.waiting).insert(approval.id, answer);
        let _forget = Forget { core: self, id: approval.id };

        let mut tx = self.0.store.write().await?;
        tx.insert_operation(operation).await?;
        tx.insert_approval(&approval).await?;
        if let Some(call) = ask.kept(operation) {
            tx.upsert_waiting_call(&call).await?;
        }
        if let Some(run) = run {
            let mut run = run.lock().await;
            run.status = RunStatus::WaitingForApproval;
            tx.update_run(&run).await?;
            let mut payload = created_payload(ask, route, operation);
            let created = self.event(&run, EventType::ToolCallCreated, payload.clone());
            payload.insert("approval_id".to_owned(), json!(approval.id.to_string()));
            payload.insert("prompt".to_owned(), json!(approval.prompt));
            payload.insert("expires_at".to_owned(), json!(approval.expires_at.to_string()));
            let required = self.event(&run, EventType::ApprovalRequired, payload);
            tx.append_events(&[created, required]).await?;
        }
        tx.commit().await?;
        self.0.bus.committed();
        self.0.operations.tell(operation, "waiting_approval", "");

        tokio::select! {
            _ = answered.wait_for(|answered| *answered) => {}
            () = ask.cancel.cancelled() => {}
            () = tokio::time::sleep(self.0.config.approval_wait) => {}
        }
        self.stops()?;
        let decision = self.settle_approval(approval.id, ask.cancel.is_cancelled(), run).await?;
        Ok(match decision.status {
            ApprovalStatus::Approved => Ok(()),
            _ => Err(refusal_of(&decision, operation, ask.cancel.is_cancelled())),
        })
    }

    /// Expires the approval when it is still open, and lets its run go on.
    async fn settle_approval(
        &self,
        id: ApprovalId,
        cancelled: bool,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Approval, CoreError> {
        let mut tx = self.0.store.write().await?;
        let mut approval = known_approval(&mut *tx, id).await?;
        if approval.status == ApprovalStatus::Pending {
            let reason = if cancelled { "the call was stopped" } else { "nobody answered in time" };
            expire(&mut approval, reason, self.now());
            tx.decide_approval(&approval).await?;
        }
        if let Some(run) = run {
            let mut run = run.lock().await;
            run.status = RunStatus::Running;
            tx.update_run(&run).await?;
            let payload = object([
                ("approval_id", json!(id.to_string())),
                ("approval_status", json!(approval.status.as_str())),
                ("reason", json!(approval.reason)),
            ]);
            tx.append_events(&[self.event(&run, EventType::ApprovalResolved, payload)]).await?;
        }
        tx.commit().await?;
        lock(&self.0.waiting).remove(&id);
        self.0.bus.committed();
        Ok(approval)
    }
}

fn expire(approval: &mut Approval, reason: &str, now: Timestamp) {
    approval.status = ApprovalStatus::Expired;
    reason.clone_into(&mut approval.reason);
    approval.decided_at = Some(now);
}

/// Why a call that asked may not go on.
fn refusal_of(approval: &Approval, operation: &Operation, is_cancelled: bool) -> ToolFailure {
    let tool = &operation.tool;
    let (code, message) = match approval.status {
        ApprovalStatus::Rejected if approval.reason.is_empty() => {
            ("approval_rejected", format!("{tool} was not approved"))
        }
        ApprovalStatus::Rejected => {
            ("approval_rejected", format!("{tool} was not approved: {}", approval.reason))
        }
        _ if is_cancelled => ("tool_call_cancelled", "the call was stopped".to_owned()),
        _ => ("approval_expired", format!("nobody approved {tool} in time")),
    };
    let details = json!({ "approval_id": approval.id.to_string() });
    ToolFailure::new(code, message, Blame::Operator).with_details(details)
}

async fn known_approval(tx: &mut dyn Tx, id: ApprovalId) -> Result<Approval, CoreError> {
    tx.lookup_approval(id).await?.ok_or_else(|| CoreError::NotFound { kind: "approval", id: id.to_string() })
}

/// Removes a waiter when its call is over, however that ends.
struct Forget<'a> {
    core: &'a Core,
    id: ApprovalId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.core.0.waiting).remove(&self.id);
    }
}
