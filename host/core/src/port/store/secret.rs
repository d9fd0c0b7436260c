//! Sealed secrets.

use async_trait::async_trait;
use berth_model::secret::{SecretKey, SecretRow};

use super::StoreError;

/// Secrets, sealed before they come here.
#[async_trait]
pub trait SecretRepo {
    /// Stores the secret, or its new value: `created_at` stays then, and the version is one higher than before.
    async fn put_secret(&mut self, secret: &SecretRow) -> Result<(), StoreError>;
    /// Replaces `sealed` and `recipient` of the same version; false when the stored version is another.
    async fn reseal_secret(&mut self, secret: &SecretRow) -> Result<bool, StoreError>;
    async fn lookup_secret(&mut self, key: &SecretKey) -> Result<Option<SecretRow>, StoreError>;
    /// Of every name when `None`; by owner, name and workspace.
    async fn list_secrets(&mut self, name: Option<&str>) -> Result<Vec<SecretRow>, StoreError>;
    /// True when there was one.
    async fn remove_secret(&mut self, key: &SecretKey) -> Result<bool, StoreError>;
}
