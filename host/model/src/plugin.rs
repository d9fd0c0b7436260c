//! Installed plugins and the grants that an operator gave them.

use serde_json::Value;

use crate::{GrantId, PluginId, Timestamp, WorkspaceId, word_enum};

word_enum!(
    /// Where an installed plugin stands.
    pub enum PluginStatus {
        Active = "active",
        Disabled = "disabled",
        Quarantined = "quarantined",
    }
);

/// An installed plugin. The component's bytes lie in the data folder under their digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    pub id: PluginId,
    pub version: String,
    /// Lower-case hex SHA-256 of the component.
    pub digest: String,
    /// The text of `plugin.toml`.
    pub manifest: String,
    /// The described tools, as the engine wrote them: a start runs no guest code.
    pub tools: Value,
    pub status: PluginStatus,
    pub last_error: String,
    pub installed_at: Timestamp,
    pub updated_at: Timestamp,
}

word_enum!(
    /// How a grant answers a use of its capability.
    pub enum GrantMode {
        Allow = "allow",
        Ask = "ask",
        Observe = "observe",
        Deny = "deny",
    }
);

/// What an operator allows a plugin. Never in reach of the plugin or of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    pub id: GrantId,
    pub plugin: PluginId,
    /// `files`, `endpoint`, `http` …
    pub capability: String,
    pub scope: Value,
    pub limit: Value,
    pub mode: GrantMode,
    pub workspace: Option<WorkspaceId>,
    pub granted_by: String,
    pub reason: String,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub uses_left: Option<i64>,
    pub revoked_at: Option<Timestamp>,
}

impl Grant {
    /// Whether the grant counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none()
            && self.expires_at.is_none_or(|end| now < end)
            && self.uses_left.is_none_or(|left| left > 0)
    }
}
