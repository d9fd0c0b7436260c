//! An event of a channel that needs a yes. An operation stands for it, so that it can be asked for, waited for and told.

use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::{ActorId, ApprovalId, CallId, OperationId, PluginId, ToolKey, ToolName, WorkspaceId};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Core, CoreError};

/// What a channel does when it asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCall {
    /// The same for every attempt at the event.
    pub operation: OperationId,
    pub call: CallId,
    pub plugin: PluginId,
    pub workspace: WorkspaceId,
    pub actor: ActorId,
    /// Names the event or the delivery.
    pub event: String,
}

impl Core {
    /// Stores the operation that stands for an event; twice is as good as once.
    pub async fn open_event(&self, event: &EventCall) -> Result<(), CoreError> {
        let mut tx = self.0.store.write().await?;
        if tx.lookup_operation(event.operation).await?.is_some() {
            return Ok(());
        }
        let now = self.now();
        tx.insert_operation(&Operation {
            id: event.operation,
            call: event.call,
            kind: "channel_event".to_owned(),
            title: format!("{} deals with {}", event.plugin, event.event),
            thread: None,
            workspace: event.workspace.clone(),
            run: None,
            session: None,
            actor: event.actor.clone(),
            tool: ToolName::fixed("channel.event"),
            tool_key: ToolKey::fixed("channel.event"),
            target_kind: "plugin".to_owned(),
            target_id: format!("plugin.{}", event.plugin),
            target_endpoint: None,
            approval: None,
            status: OperationStatus::Running,
            arguments: json!({ "event_id": event.event }),
            result: Value::Null,
            error: Value::Null,
            receipt: Value::Null,
            routing: Value::Null,
            created_at: now,
            started_at: Some(now),
            finished_at: None,
        })
        .await?;
        Ok(tx.commit().await?)
    }

    /// Ends the operation of an event, and what it still asks. `error` is what the event ended with, if it did.
    pub async fn close_event(&self, id: OperationId, error: Option<&str>) -> Result<(), CoreError> {
        let mut tx = self.0.store.write().await?;
        let known = tx.lookup_operation(id).await?.filter(|known| !known.status.is_final());
        let Some(mut operation) = known else { return Ok(()) };
        self.forget_questions(&mut *tx, &mut operation).await?;
        operation.finished_at = Some(self.now());
        operation.status = match error {
            None => OperationStatus::Succeeded,
            Some(_) => OperationStatus::Failed,
        };
        if let Some(error) = error {
            operation.error = json!({ "code": "CHANNEL_FAILED", "message": error, "retryable": false });
        }
        tx.update_operation(&operation).await?;
        Ok(tx.commit().await?)
    }

    /// Waits until an approval has its answer or its time is over. Cancel-safe.
    pub async fn answered(&self, id: ApprovalId) -> Result<Approval, CoreError> {
        let known = self.approval(id).await?;
        if known.status != ApprovalStatus::Pending {
            return Ok(known);
        }
        let left = known.expires_at.since(self.now());
        self.heard(id, left, &CancellationToken::new()).await
    }
}
