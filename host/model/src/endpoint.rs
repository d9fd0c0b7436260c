//! Endpoints: surfaces and devices that offer capabilities. They never own a conversation.

use serde_json::Value;

use crate::tool::Risk;
use crate::{AddressId, ConnectionId, EndpointId, JsonMap, Timestamp, ToolKey, WorkspaceId};

/// A provider type such as `desktop`, `rpi`, `feishu`; free text of the provider.
pub type ProviderType = String;

/// An endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    pub id: EndpointId,
    pub kind: String,
    pub provider_type: ProviderType,
    pub transport: String,
    pub display_name: String,
    /// `online`, `ready`, `offline`, `archived` … Only the live set of connections decides dispatch.
    pub status: String,
    pub labels: Vec<String>,
    /// Lower is better.
    pub priority: i64,
    pub metadata: JsonMap,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// The membership of an endpoint in a workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    pub endpoint: EndpointId,
    pub workspace: WorkspaceId,
    pub is_primary: bool,
    pub enabled: bool,
    /// `core`, `provider_declared` or `migration`.
    pub source: String,
}

/// A tool that an endpoint offers.
#[derive(Debug, Clone, PartialEq)]
pub struct Capability {
    pub endpoint: EndpointId,
    pub tool_key: ToolKey,
    pub capability_id: String,
    pub title: String,
    pub description: String,
    pub input_schema: Value,
    pub output_schema: Value,
    /// The provider's own word.
    pub risk_word: String,
    pub requires_confirmation: bool,
    pub enabled: bool,
    pub constraints: JsonMap,
    pub metadata: JsonMap,
}

impl Capability {
    pub fn risk(&self) -> Risk {
        Risk::from_declared(&self.risk_word)
    }
}

/// A human-visible destination inside a provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Address {
    pub id: AddressId,
    pub endpoint: EndpointId,
    pub provider_type: ProviderType,
    pub kind: String,
    pub external_ref: String,
    pub display_name: String,
    pub workspaces: Vec<WorkspaceId>,
    pub status: String,
    pub capabilities: Vec<String>,
    pub metadata: JsonMap,
    pub last_seen_at: Option<Timestamp>,
    pub last_verified_at: Option<Timestamp>,
}

/// A socket of an endpoint, past or present.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub id: ConnectionId,
    pub endpoint: EndpointId,
    pub connected: bool,
    pub remote: String,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
}
