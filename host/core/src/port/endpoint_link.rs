//! Connected endpoints, as core sees them.
//!
//! **Invariant:** core never learns which transport an endpoint has.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_model::tool::{Risk, ToolFailure};
use berth_model::{
    ActorId, AddressId, CallId, DeliveryId, EndpointId, OperationId, RunId, ThreadId, ToolKey, WorkspaceId,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::target::Progress;

/// The live connections. The hub implements it.
#[async_trait]
pub trait EndpointLink: Send + Sync {
    /// Endpoints with at least one bound connection.
    fn connected(&self) -> HashSet<EndpointId>;

    fn is_connected(&self, endpoint: &EndpointId) -> bool;

    /// Hands `call` to exactly one connection and waits for its end.
    ///
    /// Waits at most `call.timeout` (not less than 5 s), then cancels at the endpoint and fails with
    /// `endpoint_tool_timeout`. Fails with `target_endpoint_unavailable` when nobody takes it and
    /// `endpoint_disconnected` when its connection goes. Dropping the future, or `call.cancel`, cancels.
    async fn call(&self, call: EndpointCall) -> Result<Value, ToolFailure>;

    /// Sends a delivery to one connection of its endpoint; false when there is none.
    async fn deliver(&self, delivery: OutboundDelivery) -> bool;

    /// Whether the endpoint takes its deliveries from the outbox by itself, as channels do. Such a one is never handed a
    /// delivery, and is rung instead.
    fn pulls(&self, _: &EndpointId) -> bool {
        false
    }

    /// Tells an endpoint that pulls that something waits for it.
    fn ring(&self, _: &EndpointId) {}
}

/// A tool call for an endpoint.
#[derive(Clone)]
pub struct EndpointCall {
    pub endpoint: EndpointId,
    pub operation: OperationId,
    pub call: CallId,
    pub run: Option<RunId>,
    pub workspace: WorkspaceId,
    pub actor: ActorId,
    pub tool_key: ToolKey,
    pub capability_id: String,
    pub arguments: Value,
    /// A read is safe to try again, whatever became of it.
    pub risk: Risk,
    pub timeout: Duration,
    pub cancel: CancellationToken,
    pub progress: Arc<dyn Progress>,
}

/// A delivery for an endpoint or for an address behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboundDelivery {
    pub id: DeliveryId,
    pub endpoint: EndpointId,
    pub address: Option<AddressId>,
    /// Threads that the address is bound to: a connection that serves one of them may take the delivery.
    pub threads: Vec<ThreadId>,
    /// The part behind `delivery.`: `message`, `notice` …
    pub kind: String,
    pub payload: Value,
}
