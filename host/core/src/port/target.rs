//! Who runs tools.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_model::approval::ApprovalStatus;
use berth_model::tool::{Blame, ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{
    ActorId, ApprovalId, CallId, OperationId, PluginId, RunId, SessionId, ThreadId, ToolKey, ToolName,
    WorkspaceId,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Runs the tools of plugins. The engine implements it.
#[async_trait]
pub trait PluginTarget: Send + Sync {
    /// Every tool of every active plugin, as a cheap snapshot.
    fn catalogue(&self) -> Arc<Vec<ToolSpec>>;

    /// Runs `call` in a fresh instance. Cancel-safe: dropping it, or `call.cancel`, stops the guest.
    ///
    /// Fails with [`parked`] when the guest was ended to wait for an approval.
    async fn call(&self, plugin: &PluginId, call: ToolCall) -> Result<ToolOutcome, ToolFailure>;

    /// The answer to an approval became a grant: it counts when this returns.
    async fn grants_changed(&self) {}

    /// A plugin's own question has its answer, or will have none.
    fn approval_answered(&self, _answered: ApprovalAnswered) {}
}

/// What became of a plugin's own question.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovalAnswered {
    pub plugin: PluginId,
    pub approval: ApprovalId,
    pub operation: OperationId,
    /// Never pending.
    pub status: ApprovalStatus,
    /// In the words of the person who answered.
    pub reason: String,
}

const PARKED: &str = "waiting_for_approval";

/// The end of a guest whose call waits for an approval, and is run again from the start once that is given.
pub fn parked(approval: ApprovalId) -> ToolFailure {
    let message = format!("the call waits for {approval}");
    let details = json!({ "approval_id": approval.to_string() });
    ToolFailure::new(PARKED, message, Blame::Host).with_details(details)
}

/// The approval of such an end. A guest cannot make one: what it says is its own fault.
pub fn parked_by(failure: &ToolFailure) -> Option<ApprovalId> {
    let is_ours = failure.code == PARKED && failure.blame == Blame::Host;
    is_ours.then(|| failure.details["approval_id"].as_str()?.parse().ok()).flatten()
}

/// One tool call on its way to its target; it has passed the gate.
#[derive(Clone)]
pub struct ToolCall {
    pub id: CallId,
    pub operation: OperationId,
    pub run: Option<RunId>,
    pub thread: Option<ThreadId>,
    pub session: Option<SessionId>,
    pub workspace: WorkspaceId,
    pub actor: ActorId,
    pub tool: ToolName,
    pub key: ToolKey,
    /// A JSON object.
    pub arguments: Value,
    pub timeout: Duration,
    /// The same for every attempt at the same call.
    pub idempotency_key: String,
    /// The language of who waits, such as `de-CH`; may be empty.
    pub locale: String,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
    pub cancel: CancellationToken,
    pub progress: Arc<dyn Progress>,
}

/// Hears how far a call is.
#[async_trait]
pub trait Progress: Send + Sync {
    /// The target has taken the call.
    fn accepted(&self) {}

    /// Never waits; a flood is thinned out.
    fn report(&self, fraction: Option<f32>, message: &str);

    /// A piece of the result; waits while the listener is behind.
    async fn partial(&self, bytes: Vec<u8>);
}
