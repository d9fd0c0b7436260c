//! A plugin's own question to the owner: an operation that waits for the answer, which reaches the plugin later.

use berth_model::approval::{Approval, ApprovalStatus, ApprovalSubject};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::{
    ActorId, ApprovalId, CallId, OperationId, PluginId, RunId, SessionId, ThreadId, ToolKey, ToolName,
    WorkspaceId,
};
use serde_json::{Value, json};

use super::{expire, known_approval};
use crate::{Core, CoreError};

/// Questions of one plugin that wait for their answers.
const MOST_OPEN: usize = 16;

/// What a plugin asks the owner.
#[derive(Debug, Clone)]
pub struct PluginQuestion {
    pub plugin: PluginId,
    pub title: String,
    pub risk: String,
    pub details: String,
    pub workspace: WorkspaceId,
    pub actor: ActorId,
    pub run: Option<RunId>,
    pub thread: Option<ThreadId>,
    pub session: Option<SessionId>,
}

impl Core {
    /// Stores the question and returns at once. The answer, or that nobody gave one in time, is told over
    /// [`crate::port::target::PluginTarget::approval_answered`]. Fails with `approval_too_many` when 16 of the plugin wait.
    pub async fn ask_question(&self, question: PluginQuestion) -> Result<Approval, CoreError> {
        let now = self.now();
        let id = ApprovalId::from_uuid(self.uuid());
        let subject = ApprovalSubject {
            plugin: question.plugin.clone(),
            capability: "approval".to_owned(),
            scope: json!({ "title": question.title, "details": question.details }),
        };
        let operation = Operation {
            id: OperationId::from_uuid(self.uuid()),
            call: CallId::from_uuid(self.uuid()),
            kind: "plugin_question".to_owned(),
            title: question.title.clone(),
            thread: question.thread,
            workspace: question.workspace,
            run: question.run,
            session: question.session,
            actor: question.actor,
            tool: ToolName::fixed("approval.ask"),
            tool_key: ToolKey::fixed("approval.ask"),
            target_kind: "plugin".to_owned(),
            target_id: format!("plugin.{}", question.plugin),
            target_endpoint: None,
            approval: Some(id),
            status: OperationStatus::WaitingApproval,
            arguments: json!({ "title": question.title, "risk": question.risk }),
            result: Value::Null,
            error: Value::Null,
            receipt: Value::Null,
            routing: Value::Null,
            created_at: now,
            started_at: None,
            finished_at: None,
        };
        let prompt = match question.details.as_str() {
            "" => format!("{} asks: {}", question.plugin, question.title),
            details => format!("{} asks: {}\n{details}", question.plugin, question.title),
        };
        let approval = Approval {
            id,
            operation: operation.id,
            kind: "plugin_question".to_owned(),
            risk: question.risk,
            prompt,
            subject: Some(subject),
            status: ApprovalStatus::Pending,
            answer: None,
            reason: String::new(),
            decided_by: None,
            grant: None,
            expires_at: now.plus(self.0.config.approval_wait),
            created_at: now,
            decided_at: None,
        };
        let mut tx = self.0.store.write().await?;
        let open = tx.list_approvals(Some(ApprovalStatus::Pending)).await?;
        let is_own = |open: &&Approval| {
            open.kind == approval.kind
                && open.subject.as_ref().is_some_and(|subject| subject.plugin == question.plugin)
        };
        if open.iter().filter(is_own).count() >= MOST_OPEN {
            let message = format!("{} has {MOST_OPEN} questions without an answer", question.plugin);
            return Err(CoreError::Conflict { code: "approval_too_many", message });
        }
        tx.insert_operation(&operation).await?;
        tx.insert_approval(&approval).await?;
        tx.commit().await?;
        self.0.operations.tell(&operation, "waiting_approval", "");
        self.watch_question(id, self.0.config.approval_wait);
        Ok(approval)
    }

    pub(super) async fn expire_question(&self, id: ApprovalId) -> Result<(), CoreError> {
        let mut tx = self.0.store.write().await?;
        let mut approval = known_approval(&mut *tx, id).await?;
        expire(&mut approval, "nobody answered in time", self.now());
        if !tx.decide_approval(&approval).await? {
            return Ok(());
        }
        if let Some(mut operation) = tx.lookup_operation(approval.operation).await? {
            self.end_question(&mut *tx, &approval, &mut operation).await?;
        }
        tx.commit().await?;
        self.tell_answer(&approval);
        Ok(())
    }
}
