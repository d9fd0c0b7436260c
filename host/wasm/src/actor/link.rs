//! Channels among the endpoints of core.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::endpoint_link::{EndpointCall, EndpointLink, OutboundDelivery};
use berth_model::EndpointId;
use berth_model::tool::ToolFailure;
use serde_json::Value;

use super::Channels;

/// The connected endpoints of `others`, and the channels, which fetch what they deliver.
pub struct ChannelLink {
    pub others: Arc<dyn EndpointLink>,
    pub channels: Arc<Channels>,
}

#[async_trait]
impl EndpointLink for ChannelLink {
    fn connected(&self) -> HashSet<EndpointId> {
        let mut connected = self.others.connected();
        connected.extend(self.channels.at_work());
        connected
    }

    fn is_connected(&self, endpoint: &EndpointId) -> bool {
        self.others.is_connected(endpoint) || self.channels.at_work().contains(endpoint)
    }

    async fn call(&self, call: EndpointCall) -> Result<Value, ToolFailure> {
        self.others.call(call).await
    }

    async fn deliver(&self, delivery: OutboundDelivery) -> bool {
        self.others.deliver(delivery).await
    }

    fn pulls(&self, endpoint: &EndpointId) -> bool {
        self.channels.is_channel(endpoint) || self.others.pulls(endpoint)
    }

    fn ring(&self, endpoint: &EndpointId) {
        self.channels.ring(endpoint);
        self.others.ring(endpoint);
    }
}
