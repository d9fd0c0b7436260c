//! Endpoints without a wire: who is connected, and the calls that they were given.

use std::collections::HashSet;
use std::sync::Mutex;

use async_trait::async_trait;
use berth_core::endpoints::{Offer, Registration};
use berth_core::port::endpoint_link::{EndpointCall, EndpointLink, OutboundDelivery};
use berth_model::endpoint::Capability;
use berth_model::tool::{Blame, ToolFailure};
use berth_model::{EndpointId, JsonMap, ToolKey, WorkspaceId};
use serde_json::{Value, json};

use crate::harness::Harness;

#[derive(Default)]
pub struct Devices {
    connected: Mutex<HashSet<EndpointId>>,
    pub calls: Mutex<Vec<(EndpointId, String, Value)>>,
}

impl Devices {
    pub fn disconnect(&self, endpoint: &'static str) {
        self.connected.lock().unwrap().remove(&EndpointId::fixed(endpoint));
    }

    fn connect(&self, endpoint: &EndpointId) {
        self.connected.lock().unwrap().insert(endpoint.clone());
    }
}

#[async_trait]
impl EndpointLink for Devices {
    fn connected(&self) -> HashSet<EndpointId> {
        self.connected.lock().unwrap().clone()
    }

    fn is_connected(&self, endpoint: &EndpointId) -> bool {
        self.connected.lock().unwrap().contains(endpoint)
    }

    async fn call(&self, call: EndpointCall) -> Result<Value, ToolFailure> {
        let told = (call.endpoint.clone(), call.tool_key.to_string(), call.arguments);
        self.calls.lock().unwrap().push(told);
        if call.tool_key.as_str() == "edge.broken" {
            return Err(ToolFailure::new("edge_broke", "it broke", Blame::Provider));
        }
        Ok(json!({ "by": call.endpoint.as_str() }))
    }

    async fn deliver(&self, _: OutboundDelivery) -> bool {
        false
    }
}

/// An endpoint that offers `tools`, connected, in `workspaces` from the first time on.
pub async fn joins(berth: &Harness, id: &'static str, workspaces: &[&'static str], tools: &[&'static str]) {
    let id = EndpointId::fixed(id);
    let offer = Offer {
        id: id.clone(),
        kind: "edge".to_owned(),
        provider_type: "edge".to_owned(),
        transport: "websocket".to_owned(),
        display_name: String::new(),
        roles: Vec::new(),
        workspaces: workspaces.iter().map(|&workspace| WorkspaceId::fixed(workspace)).collect(),
        supports_markdown: false,
        metadata: JsonMap::new(),
    };
    let registration = Registration { connection: None, remote: String::new(), offers: vec![offer] };
    berth.core.register_endpoints(registration).await.unwrap();
    let offered: Vec<_> = tools.iter().map(|&tool| capability(&id, tool)).collect();
    berth.core.replace_capabilities(&id, &offered).await.unwrap();
    berth.devices.connect(&id);
}

fn capability(endpoint: &EndpointId, tool: &'static str) -> Capability {
    Capability {
        endpoint: endpoint.clone(),
        tool_key: ToolKey::fixed(tool),
        capability_id: tool.to_owned(),
        title: format!("the {tool} of {endpoint}"),
        description: "does it".to_owned(),
        input_schema: json!({ "type": "object", "properties": { "n": { "type": "integer" } } }),
        output_schema: json!({ "type": "object" }),
        risk_word: if tool == "edge.paint" { "write" } else { "read" }.to_owned(),
        requires_confirmation: tool == "edge.risky",
        enabled: true,
        constraints: JsonMap::new(),
        metadata: JsonMap::new(),
    }
}
