//! Key-value pairs that plugins keep.

use async_trait::async_trait;
use berth_model::{PluginId, Timestamp, WorkspaceId};

use super::StoreError;

/// What one plugin keeps in one workspace. No plugin and no workspace sees the pairs of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyvalueSpace {
    pub plugin: PluginId,
    pub workspace: WorkspaceId,
}

/// What is in a space, over all of its buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyvalueUsage {
    pub pairs: i64,
    /// Keys and values together.
    pub bytes: i64,
    /// Rises with every change of the space.
    pub revision: i64,
}

/// A value, and the revision of the space that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyvaluePair {
    pub value: Vec<u8>,
    /// Never that of another write of the space, of a removed pair either.
    pub revision: i64,
}

/// Where a list of keys begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysFrom<'a> {
    /// Behind this key; the empty text is before every key.
    Behind(&'a str),
    /// Behind so many keys.
    Number(i64),
}

/// Pairs in buckets. Keys hold no NUL.
#[async_trait]
pub trait KeyvalueRepo {
    /// What is in the space; of one that nobody wrote to, nothing.
    async fn keyvalue_usage(&mut self, space: &KeyvalueSpace) -> Result<KeyvalueUsage, StoreError>;

    async fn lookup_keyvalue(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        key: &str,
    ) -> Result<Option<KeyvaluePair>, StoreError>;

    /// Sets a value and tells what is in the space then. Whoever finds it too much does not commit.
    async fn put_keyvalue(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        key: &str,
        value: &[u8],
        now: Timestamp,
    ) -> Result<KeyvalueUsage, StoreError>;

    /// Removes a pair; true when there was one.
    async fn remove_keyvalue(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        key: &str,
    ) -> Result<bool, StoreError>;

    /// How many pairs a plugin keeps, over all workspaces.
    async fn count_keyvalue(&mut self, plugin: &PluginId) -> Result<u64, StoreError>;

    /// Removes every pair of a plugin in every workspace, and tells how many they were. Revisions go on rising.
    async fn purge_keyvalue(&mut self, plugin: &PluginId) -> Result<u64, StoreError>;

    /// At most `limit` keys of a bucket, in the order of the database, which never changes.
    async fn list_keyvalue_keys(
        &mut self,
        space: &KeyvalueSpace,
        bucket: &str,
        from: KeysFrom<'_>,
        limit: i64,
    ) -> Result<Vec<String>, StoreError>;
}
