//! Why a change of the installed plugins did not happen.

use berth_core::port::store::StoreError;
use berth_model::generation::BadTransition;
use berth_model::{GrantId, IdError, PluginId};
use berth_package::PackageError;

use crate::error::{InstallError, LoadError};
use crate::inspect::docs::DocsError;
use crate::manifest::ManifestError;
use crate::plugin::DescribeError;

/// Why a change of the installed plugins did not happen.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Docs(#[from] DocsError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Describe(#[from] DescribeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Id(#[from] IdError),
    #[error("the stored tools of the plugin cannot be read")]
    Tools(#[from] serde_json::Error),
    #[error(transparent)]
    Shipped(#[from] PackageError),
    #[error("the package at {path} cannot be read: {message}")]
    Package { path: String, message: String },
    #[error("the schema of the settings is not right: {message}")]
    ConfigSchema { message: String },
    #[error("the manifest names the private {}, which a grant of the operator has to name before the install: {hint}", hosts.join(", "))]
    PrivateTarget { hosts: Vec<String>, hint: String },
    #[error("plugin.toml was packed with the component {packed}, this one is {found}")]
    Digest { packed: String, found: String },
    #[error("the component could not be kept in the data folder")]
    Folder { source: std::io::Error },
    #[error("no plugin `{id}` is installed")]
    NotFound { id: String },
    #[error("`{capability}` is no capability: known are {known}")]
    GrantCapability { capability: String, known: String },
    #[error("the scope of the grant is not right: {message}")]
    GrantScope { message: String },
    #[error("the limit of the grant is not right: {message}")]
    GrantLimit { message: String },
    #[error("the range of versions is not right: {message}")]
    GrantRule { message: String },
    #[error("a grant that is counted has at least one use")]
    GrantUses,
    #[error("there is no grant `{id}`")]
    GrantNotFound { id: GrantId },
    #[error("the package is the plugin `{found}`, not `{wanted}`")]
    OtherPlugin { wanted: String, found: String },
    #[error("{}", other_digest(wanted, found, component))]
    OtherDigest { wanted: String, found: String, component: String },
    #[error("no generation of the plugin `{id}` waits for consent")]
    NothingWaits { id: String },
    #[error("the plugin `{id}` has no earlier generation to go back to")]
    NoEarlierGeneration { id: String },
    #[error("the plugin `{id}` takes no calls right now")]
    NotActive { id: String },
    #[error("the new version could not take over what {from} has stored: {message}")]
    Upgrade { from: String, message: String },
    #[error("the plugin `{id}` is not quarantined")]
    NotQuarantined { id: String },
    #[error(transparent)]
    Transition(#[from] BadTransition),
    #[error("there is no event `{id}`")]
    EventNotFound { id: String },
    #[error("the inspection stopped")]
    Inspector,
}

impl HostError {
    pub(super) fn not_found(id: &PluginId) -> Self {
        Self::NotFound { id: id.to_string() }
    }

    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &str {
        match self {
            Self::Manifest(error) => error.code(),
            Self::Docs(error) => error.code(),
            Self::Install(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Describe(error) => error.code(),
            Self::Store(_) => "STORE_UNAVAILABLE",
            Self::Id(_) => "MANIFEST_INVALID",
            Self::Tools(_) => "PLUGIN_TOOL_GONE",
            Self::Shipped(error) => error.code(),
            Self::Package { .. } => "PLUGIN_PACKAGE_UNREADABLE",
            Self::ConfigSchema { .. } => "CONFIG_SCHEMA_INVALID",
            Self::PrivateTarget { .. } => "MANIFEST_PRIVATE_TARGET",
            Self::Digest { .. } => "PLUGIN_PACKAGE_DIGEST",
            Self::Folder { .. } => "PLUGIN_DATA_FOLDER",
            Self::NotFound { .. } => "PLUGIN_NOT_FOUND",
            Self::GrantCapability { .. } => "GRANT_CAPABILITY_UNKNOWN",
            Self::GrantScope { .. } => "GRANT_SCOPE_INVALID",
            Self::GrantLimit { .. } => "GRANT_LIMIT_INVALID",
            Self::GrantRule { .. } => "GRANT_RULE_INVALID",
            Self::GrantUses => "GRANT_USES_INVALID",
            Self::GrantNotFound { .. } => "GRANT_NOT_FOUND",
            Self::OtherPlugin { .. } => "PLUGIN_OTHER_ID",
            Self::OtherDigest { .. } => "PLUGIN_OTHER_DIGEST",
            Self::NothingWaits { .. } => "PLUGIN_NOTHING_WAITS",
            Self::NoEarlierGeneration { .. } => "PLUGIN_NO_EARLIER_GENERATION",
            Self::NotActive { .. } => "PLUGIN_NOT_ACTIVE",
            Self::Upgrade { .. } => "PLUGIN_UPGRADE_FAILED",
            Self::NotQuarantined { .. } => "PLUGIN_NOT_QUARANTINED",
            Self::EventNotFound { .. } => "CHANNEL_EVENT_NOT_FOUND",
            Self::Transition(_) | Self::Inspector => "PLUGIN_HOST_FAILURE",
        }
    }
}

/// Both digests in full: one of them is to be compared by eye.
fn other_digest(wanted: &str, found: &str, component: &str) -> String {
    let of_component = if wanted == component {
        ": the first is that of its component alone, and says nothing of what it asks for"
    } else {
        ""
    };
    format!("sha256:{wanted} is wanted, and this is sha256:{found}{of_component}. Nothing was changed")
}

impl From<crate::capability::config::BadSchema> for HostError {
    fn from(error: crate::capability::config::BadSchema) -> Self {
        Self::ConfigSchema { message: error.to_string() }
    }
}
