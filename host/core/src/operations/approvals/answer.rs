//! The answer to an approval: who may give it, how far it reaches, and what it becomes.

use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus, ApprovalSubject};
use berth_model::channel::{ChannelEvent, ChannelEventStatus};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::plugin::{Grant, NewGrant};
use berth_model::{ActorId, ApprovalId, GrantId, Origin};
use serde_json::json;

use super::known_approval;
use crate::boot::OWNER;
use crate::core::lock;
use crate::port::target::ApprovalAnswered;
use crate::{Core, CoreError};

/// The kind of the event that brings a channel the answer to its question.
const ANSWERED: &str = "approval_answered";
/// The longest reason that is kept, in characters.
const MOST_REASON: usize = 1000;

impl Core {
    /// Oldest first; of any status when `None`.
    pub async fn list_approvals(&self, status: Option<ApprovalStatus>) -> Result<Vec<Approval>, CoreError> {
        Ok(self.0.store.read().await?.list_approvals(status).await?)
    }

    /// Fails with `approval_not_found`.
    pub async fn approval(&self, id: ApprovalId) -> Result<Approval, CoreError> {
        known_approval(&mut *self.0.store.read().await?, id).await
    }

    /// Answers an approval for the owner: a yes is for this once.
    pub async fn decide_approval(
        &self,
        id: ApprovalId,
        approve: bool,
        reason: String,
    ) -> Result<(Approval, Operation), CoreError> {
        let answer = if approve { ApprovalAnswer::Once } else { ApprovalAnswer::No };
        self.answer_approval(id, &ActorId::fixed(OWNER), answer, reason).await
    }

    /// Answers an approval. The operation comes back as the answer leaves it: `queued` to go on, or `rejected`.
    ///
    /// A yes that lasts longer than one use becomes a grant of what was asked for. Fails with `approval_not_found`, with
    /// `approval_decided` when it has an answer already or its call is over, with `approval_actor_not_allowed` for
    /// anybody who is no user of this host, and with `approval_answer_unsupported` where only yes and no are known.
    pub async fn answer_approval(
        &self,
        id: ApprovalId,
        by: &ActorId,
        answer: ApprovalAnswer,
        reason: String,
    ) -> Result<(Approval, Operation), CoreError> {
        let now = self.now();
        let mut tx = self.0.store.write().await?;
        if Origin::of(by) != Origin::User || !tx.actor_exists(by).await? {
            let message = format!("{by} may not answer approvals");
            return Err(CoreError::Forbidden { code: "approval_actor_not_allowed", message });
        }
        let mut approval = known_approval(&mut *tx, id).await?;
        let operation = tx.lookup_operation(approval.operation).await?;
        let mut operation = operation
            .ok_or_else(|| CoreError::NotFound { kind: "operation", id: approval.operation.to_string() })?;
        let said = approval.status;
        approval.status = match answer {
            ApprovalAnswer::No => ApprovalStatus::Rejected,
            _ => ApprovalStatus::Approved,
        };
        approval.answer = Some(answer);
        approval.reason = reason.chars().take(MOST_REASON).collect();
        approval.decided_by = Some(by.clone());
        approval.decided_at = Some(now);
        let grant = match (&approval.subject, answer.outlasts_the_use()) {
            (Some(subject), true) if approval.kind == "capability" => {
                let id = GrantId::from_uuid(self.uuid());
                Some(self.grant_of(id, subject, &approval, &operation))
            }
            (_, true) => {
                let message = format!("{id} takes a yes for this once, or a no");
                return Err(CoreError::Invalid { code: "approval_answer_unsupported", message });
            }
            (_, false) => None,
        };
        approval.grant = grant.as_ref().map(|grant| grant.id);
        let is_open = said == ApprovalStatus::Pending && now < approval.expires_at;
        if !is_open || !tx.decide_approval(&approval).await? {
            let word = if said == ApprovalStatus::Pending { ApprovalStatus::Expired } else { said };
            let message = format!("{id} is already {word}");
            return Err(CoreError::Conflict { code: "approval_decided", message });
        }
        if let Some(grant) = &grant {
            tx.insert_grant(grant).await?;
        }
        let is_question = approval.kind == "plugin_question";
        if is_question {
            self.end_question(&mut *tx, &approval, &mut operation).await?;
        } else if answer == ApprovalAnswer::No {
            // The call that waits stores its end itself, with the reason and among the events of its run.
            operation.status = OperationStatus::Rejected;
        } else {
            operation.status = OperationStatus::Queued;
            tx.set_operation_status(operation.id, operation.status, now).await?;
        }
        tx.commit().await?;
        if grant.is_some() {
            // Whoever waits for the answer finds the grant in force.
            self.0.plugins.grants_changed().await;
        }
        if let Some(waiter) = lock(&self.0.waiting).get(&id) {
            waiter.send_replace(true);
        }
        if is_question {
            self.tell_answer(&approval);
        }
        Ok((approval, operation))
    }

    /// The grant of a yes that lasts: of what was asked for, where it was asked for.
    fn grant_of(
        &self,
        id: GrantId,
        subject: &ApprovalSubject,
        approval: &Approval,
        operation: &Operation,
    ) -> Grant {
        let now = self.now();
        let new = NewGrant {
            workspace: Some(operation.workspace.clone()),
            granted_by: approval.decided_by.as_ref().map(ToString::to_string).unwrap_or_default(),
            reason: match approval.reason.as_str() {
                "" => approval.id.to_string(),
                reason => format!("{}: {reason}", approval.id),
            },
            expires_at: approval.answer.and_then(ApprovalAnswer::span).map(|span| now.plus(span)),
            ..NewGrant::allow(subject.plugin.clone(), subject.capability.clone(), subject.scope.clone())
        };
        let bound_to = (approval.answer == Some(ApprovalAnswer::Run))
            .then(|| operation.run.map_or_else(|| operation.id.to_string(), |run| run.to_string()));
        Grant { bound_to, approval: Some(approval.id), ..new.into_grant(id, now) }
    }

    /// Hands the end of a plugin's own question to whoever tells the plugin.
    pub(super) fn tell_answer(&self, approval: &Approval) {
        let Some(subject) = &approval.subject else { return };
        lock(&self.0.waiting).remove(&approval.id);
        self.0.plugins.approval_answered(ApprovalAnswered {
            plugin: subject.plugin.clone(),
            approval: approval.id,
            operation: approval.operation,
            status: approval.status,
            reason: approval.reason.clone(),
        });
    }

    /// Ends the operation that stands for a plugin's own question. A channel finds the answer among its events, whatever
    /// happens to the host.
    pub(super) async fn end_question(
        &self,
        tx: &mut dyn crate::port::store::Tx,
        approval: &Approval,
        operation: &mut Operation,
    ) -> Result<(), CoreError> {
        operation.finished_at = Some(self.now());
        operation.status = match approval.status {
            ApprovalStatus::Approved => OperationStatus::Succeeded,
            _ => OperationStatus::Rejected,
        };
        operation.result = json!({ "status": approval.status.as_str(), "reason": approval.reason });
        tx.update_operation(operation).await?;
        if let Some(subject) = &approval.subject
            && tx.lookup_channel(&subject.plugin).await?.is_some()
        {
            let now = self.now();
            let event = ChannelEvent {
                id: format!("cev_{}", approval.id.uuid().simple()),
                plugin: subject.plugin.clone(),
                kind: ANSWERED.to_owned(),
                payload: json!({
                    "kind": ANSWERED, "pending_id": approval.id.to_string(),
                    "approved": approval.status == ApprovalStatus::Approved, "reason": approval.reason,
                }),
                status: ChannelEventStatus::Pending,
                attempts: 0,
                error: String::new(),
                available_at: None,
                created_at: now,
                updated_at: now,
            };
            tx.upsert_channel_event(&event).await?;
        }
        Ok(())
    }
}
