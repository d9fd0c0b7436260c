//! A workspace: the governance and execution boundary.

use crate::endpoint::ProviderType;
use crate::{EndpointId, JsonMap, Timestamp, ToolKey, WorkspaceId, word_enum};

word_enum!(
    /// Whether a workspace is in use.
    pub enum WorkspaceStatus {
        Active = "active",
        Archived = "archived",
    }
);

word_enum!(
    /// Where tool calls of a workspace run when nobody names a target.
    pub enum DefaultTarget {
        CoreLocal = "core.local",
        /// Only an endpoint that the call or the workspace names.
        Endpoint = "endpoint",
        /// The best endpoint of the workspace.
        WorkspaceAnyEndpoint = "workspace_any_endpoint",
        /// The best endpoint, else Core when it has the tool.
        PreferEndpointFallbackCore = "prefer_endpoint_fallback_core",
    }
);

word_enum!(
    /// Which tools a workspace allows.
    pub enum ToolPolicy {
        AllowAll = "allow_all",
        Allowlist = "allowlist",
    }
);

word_enum!(
    /// How strictly preferred endpoints win.
    pub enum RoutingPolicy {
        Balanced = "balanced",
        PreferOriginEndpoint = "prefer_origin_endpoint",
        StrictPreferredEndpoint = "strict_preferred_endpoint",
    }
);

/// The rules of a workspace for tools and routing.
#[derive(Debug, Clone, PartialEq)]
pub struct Governance {
    pub tool_policy: ToolPolicy,
    pub allowed_tools: Vec<ToolKey>,
    pub preferred_endpoints: Vec<EndpointId>,
    pub preferred_providers: Vec<ProviderType>,
    pub preferred_source_profiles: Vec<String>,
    pub routing: RoutingPolicy,
}

impl Governance {
    /// Everything allowed, nothing preferred.
    pub fn open() -> Self {
        Self {
            tool_policy: ToolPolicy::AllowAll,
            allowed_tools: Vec::new(),
            preferred_endpoints: Vec::new(),
            preferred_providers: Vec::new(),
            preferred_source_profiles: Vec::new(),
            routing: RoutingPolicy::Balanced,
        }
    }

    /// Whether the workspace lets `tool` run at all. `tool` is a model-facing name or a routing key.
    pub fn allows(&self, tool: &str) -> bool {
        match self.tool_policy {
            ToolPolicy::AllowAll => true,
            ToolPolicy::Allowlist => self.allowed_tools.iter().any(|allowed| allowed.as_str() == tool),
        }
    }
}

/// A workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub title: String,
    pub description: String,
    pub status: WorkspaceStatus,
    pub base_mode: String,
    pub prompt_overlay: String,
    pub default_target: DefaultTarget,
    pub governance: Governance,
    pub metadata: JsonMap,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
