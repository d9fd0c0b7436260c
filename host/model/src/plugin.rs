//! Installed plugins.

use serde_json::Value;

pub use crate::grant::{DigestRule, Grant, GrantMode, GrantState, NewGrant};
use crate::{PluginId, Timestamp, word_enum};

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

/// The build of a plugin that an operator agreed to: any other is inert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub plugin: PluginId,
    /// Lower-case hex SHA-256 of the component.
    pub digest: String,
    pub given_by: String,
    pub given_at: Timestamp,
}
