//! Where sealed secrets are kept.

use async_trait::async_trait;

use crate::name::{SecretId, SecretName};

/// What the store answers when it cannot: its own error, for the log.
pub type StoreFailure = Box<dyn std::error::Error + Send + Sync>;

/// A secret as it is stored: all but `sealed` may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    pub id: SecretId,
    /// The plugins that share it; empty for a secret of one plugin.
    pub plugins: Vec<String>,
    /// Base64 of an age file.
    pub sealed: String,
    /// The public key that it is sealed for.
    pub recipient: String,
    /// 1 at first, one more with every value.
    pub version: i64,
    /// Microseconds since the Unix epoch.
    pub created_at: i64,
    pub updated_at: i64,
}

/// Keeps sealed secrets. Each method is one transaction.
#[async_trait]
pub trait SealedStore: Send + Sync {
    /// By owner, name and workspace.
    async fn list(&self) -> Result<Vec<SealedSecret>, StoreFailure>;

    /// Every secret of this name, whosever it is.
    async fn named(&self, name: &SecretName) -> Result<Vec<SealedSecret>, StoreFailure>;

    /// Stores a secret, or its new value: then the version is one higher than the stored one and `created_at` stays.
    ///
    /// Gives back what is stored now.
    async fn put(&self, secret: &SealedSecret) -> Result<SealedSecret, StoreFailure>;

    /// Puts the same value under another key, unless the secret has another version by now; false when it has.
    async fn reseal(&self, secret: &SealedSecret) -> Result<bool, StoreFailure>;

    /// True when there was one.
    async fn remove(&self, id: &SecretId) -> Result<bool, StoreFailure>;
}
