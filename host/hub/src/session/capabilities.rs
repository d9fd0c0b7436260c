//! What endpoints can do, and how they are.

use std::collections::HashMap;

use berth_model::endpoint::Capability;
use berth_model::{EndpointId, ToolKey};
use berth_proto::lifecycle::{CapabilitiesReady, CapabilitiesSnapshot, CapabilityItem, Heartbeat};
use berth_proto::{CoreFrame, Envelope, JsonMap};

use super::Session;

/// Tools of one endpoint.
const MAX_CAPABILITIES: usize = 2000;
/// The longest id of a capability, in characters.
const MAX_ID: usize = 255;
/// The longest word for a risk, in characters.
const MAX_RISK: usize = 32;

impl Session {
    pub(super) async fn capabilities(&mut self, asked: &Envelope, snapshot: CapabilitiesSnapshot) {
        let Some(endpoint) = self.endpoint_or_deny(asked, &snapshot.endpoint_id) else { return };
        let id = endpoint.id;
        if snapshot.capabilities.len() > MAX_CAPABILITIES {
            let message = format!("an endpoint offers at most {MAX_CAPABILITIES} tools");
            return self.deny(asked, "too_many_capabilities", message);
        }
        let mut count = 0;
        let mut by_key: HashMap<ToolKey, usize> = HashMap::new();
        let mut capabilities: Vec<Capability> = Vec::with_capacity(snapshot.capabilities.len());
        for capability in snapshot.capabilities.into_iter().filter_map(|item| capability(&id, item)) {
            count += 1;
            // The last one of a key counts.
            match by_key.get(&capability.tool_key) {
                Some(&at) => capabilities[at] = capability,
                None => {
                    by_key.insert(capability.tool_key.clone(), capabilities.len());
                    capabilities.push(capability);
                }
            }
        }
        match self.hub.core().replace_capabilities(&id, &capabilities).await {
            Ok(()) => {
                tracing::info!(endpoint.id = %id, tools = capabilities.len(), revision = snapshot.revision, "an endpoint told its tools");
                self.hub.links().provides(self.id, &id);
                let ready = CapabilitiesReady { registered_capability_count: count };
                self.reply(asked, id.as_str(), &CoreFrame::Ready(ready));
                self.hub.drain(&id).await;
            }
            Err(error) => self.failed(asked, &error),
        }
    }

    pub(super) async fn ready(&mut self, asked: &Envelope, named: &str) {
        self.note_status(asked, named, "ready", JsonMap::new()).await;
    }

    pub(super) async fn heartbeat(&mut self, asked: &Envelope, heartbeat: Heartbeat) {
        self.note_status(asked, &heartbeat.endpoint_id, &heartbeat.status, heartbeat.metrics).await;
    }

    /// Nothing answers it, whatever it says.
    async fn note_status(&mut self, asked: &Envelope, named: &str, status: &str, metrics: JsonMap) {
        let Some(endpoint) = self.endpoint(asked, named) else { return };
        if let Err(error) = self.hub.core().heartbeat(&endpoint.id, status, metrics).await {
            tracing::warn!(%error, endpoint.id = %endpoint.id, "the state of an endpoint could not be stored");
        } else if ["ready", "online", "connected"].contains(&status) {
            self.hub.drain(&endpoint.id).await;
        }
    }
}

/// `None` for a key that cannot be one.
fn capability(endpoint: &EndpointId, item: CapabilityItem) -> Option<Capability> {
    let tool_key = ToolKey::new(&item.tool_key).ok()?;
    let own = item.capability_id.starts_with("endpoint.") && item.capability_id.chars().count() <= MAX_ID;
    Some(Capability {
        endpoint: endpoint.clone(),
        capability_id: if own { item.capability_id } else { format!("endpoint.{endpoint}.{tool_key}") },
        tool_key,
        title: item.title,
        description: item.description,
        input_schema: item.input_schema,
        output_schema: item.output_schema,
        risk_word: item.risk_level.chars().take(MAX_RISK).collect(),
        requires_confirmation: item.requires_confirmation,
        enabled: item.enabled,
        constraints: item.constraints,
        metadata: item.more,
    })
}
