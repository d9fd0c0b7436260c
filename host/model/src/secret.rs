//! Secrets as they are stored: sealed.

use crate::Timestamp;

/// What names a secret. The vault gives the texts their meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The id of its plugin; empty when several share it.
    pub owner: String,
    pub name: String,
    /// The one workspace in which it counts; empty for all.
    pub workspace: String,
}

/// A sealed secret. Nothing here tells the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    pub key: SecretKey,
    /// The ids of the plugins that share it.
    pub plugins: Vec<String>,
    pub sealed: String,
    /// The public key that it is sealed for.
    pub recipient: String,
    /// 1 at first, one more with every value.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
