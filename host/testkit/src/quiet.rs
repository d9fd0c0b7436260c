//! Ports behind which is nothing.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::endpoint_link::{EndpointCall, EndpointLink, OutboundDelivery};
use berth_core::port::target::{PluginTarget, ToolCall};
use berth_model::tool::{Blame, ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{EndpointId, PluginId};
use serde_json::Value;

/// No plugin is installed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPlugins;

#[async_trait]
impl PluginTarget for NoPlugins {
    fn catalogue(&self) -> Arc<Vec<ToolSpec>> {
        Arc::default()
    }

    async fn call(&self, _plugin: &PluginId, call: ToolCall) -> Result<ToolOutcome, ToolFailure> {
        Err(ToolFailure::new("plugin_not_found", format!("{} is no plugin's", call.tool), Blame::Caller))
    }
}

/// Nothing is connected.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEndpoints;

#[async_trait]
impl EndpointLink for NoEndpoints {
    fn connected(&self) -> HashSet<EndpointId> {
        HashSet::new()
    }

    fn is_connected(&self, _: &EndpointId) -> bool {
        false
    }

    async fn call(&self, call: EndpointCall) -> Result<Value, ToolFailure> {
        let message = format!("{} is not connected", call.endpoint);
        Err(ToolFailure::new("target_endpoint_unavailable", message, Blame::Provider).retryable())
    }

    async fn deliver(&self, _: OutboundDelivery) -> bool {
        false
    }
}
