//! Grants and consents: what an operator allows plugins, and to which builds of them he agreed.

use async_trait::async_trait;
use berth_model::plugin::{Consent, Grant};
use berth_model::{GrantId, PluginId, Timestamp};

use super::StoreError;

/// Grants, which may be there before their plugin and after it, and consents.
#[async_trait]
pub trait GrantRepo {
    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError>;
    /// Writes what may change of a grant: its end, its uses and its revocation.
    async fn update_grant(&mut self, grant: &Grant) -> Result<(), StoreError>;
    async fn lookup_grant(&mut self, id: GrantId) -> Result<Option<Grant>, StoreError>;
    /// Oldest first, revoked and expired ones too; of every plugin when `None`.
    async fn list_grants(&mut self, plugin: Option<&PluginId>) -> Result<Vec<Grant>, StoreError>;
    /// Takes one of the counted uses of a grant that counts at `now`, and tells how many are left.
    ///
    /// `None`, and nothing taken, when there is none left or the grant does not count. Of several takers each use goes
    /// to one.
    async fn take_use(&mut self, id: GrantId, now: Timestamp) -> Result<Option<i64>, StoreError>;

    /// Stores the consent in place of an earlier one to the same plugin.
    async fn give_consent(&mut self, consent: &Consent) -> Result<(), StoreError>;
    /// By plugin.
    async fn list_consents(&mut self) -> Result<Vec<Consent>, StoreError>;
}
