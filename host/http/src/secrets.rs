//! Keeping secrets, as the facade needs it: values come in, and nothing of them goes out.

use async_trait::async_trait;
use berth_model::{PluginId, Timestamp, WorkspaceId};
use zeroize::Zeroizing;

use crate::admin::AdminError;

/// Sets, lists and removes the secrets of plugins.
#[async_trait]
pub trait SecretAdmin: Send + Sync {
    /// By owner, name and workspace.
    async fn list(&self) -> Result<Vec<SecretView>, AdminError>;

    /// Makes a secret, or gives it a new value. Fails with `SECRET_NOT_FOUND` when `must_exist` and it does not.
    async fn put(&self, new: NewSecret) -> Result<SecretView, AdminError>;

    /// Fails with `SECRET_NOT_FOUND`.
    async fn remove(&self, which: Which) -> Result<(), AdminError>;

    /// Puts everything under a new key.
    async fn renew_key(&self) -> Result<(), AdminError>;
}

/// Which secret is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    pub name: String,
    /// Its plugin; the one that several share when `None`.
    pub plugin: Option<PluginId>,
    /// The one workspace in which it counts; in all when `None`.
    pub workspace: Option<WorkspaceId>,
}

/// A value to keep. It has no `Debug`, as its value must not be printed.
pub struct NewSecret {
    pub which: Which,
    /// The plugins that share it.
    pub plugins: Vec<PluginId>,
    pub value: Zeroizing<Vec<u8>>,
    pub must_exist: bool,
}

/// What may be known of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretView {
    pub which: Which,
    pub plugins: Vec<String>,
    /// `ok`, `no_key`, `other_key` or `damaged`.
    pub state: String,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
