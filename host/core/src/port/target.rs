//! Who runs tools.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_model::tool::{ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{
    ActorId, CallId, OperationId, PluginId, RunId, SessionId, ThreadId, ToolKey, ToolName, WorkspaceId,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Runs the tools of plugins. The engine implements it.
#[async_trait]
pub trait PluginTarget: Send + Sync {
    /// Every tool of every active plugin, as a cheap snapshot.
    fn catalogue(&self) -> Arc<Vec<ToolSpec>>;

    /// Runs `call` in a fresh instance. Cancel-safe: dropping it, or `call.cancel`, stops the guest.
    async fn call(&self, plugin: &PluginId, call: ToolCall) -> Result<ToolOutcome, ToolFailure>;
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
