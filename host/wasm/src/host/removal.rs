//! The end of a plugin: what goes with it, and what stays for the day it comes back.

use berth_model::PluginId;

use super::{HostError, PluginHost};

/// What becomes of the key-value pairs that a removed plugin has kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    Keep,
    /// Removed for good, in every workspace.
    Purge,
}

/// What a removal has left and taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Key-value pairs that are still there.
    pub kept_pairs: u64,
    /// Key-value pairs that are gone.
    pub purged_pairs: u64,
}

impl PluginHost {
    /// Forgets a plugin; its grants and key-value pairs stay. Calls in flight end as with [`Self::disable`].
    pub async fn remove(&self, id: &PluginId) -> Result<(), HostError> {
        self.remove_with(id, Pairs::Keep).await.map(drop)
    }

    /// The same, with or without the pairs. A purge waits for the calls in flight, so that none writes a pair behind it.
    ///
    /// A purge also works for a plugin that was removed before. Fails with `PLUGIN_NOT_FOUND` when there is nothing to
    /// remove.
    pub async fn remove_with(&self, id: &PluginId, pairs: Pairs) -> Result<Removed, HostError> {
        let id = id.clone();
        self.detached(move |host| async move { host.take_out(&id, pairs).await }).await
    }

    async fn take_out(&self, id: &PluginId, pairs: Pairs) -> Result<Removed, HostError> {
        let _turn = self.turn(id).await;
        let mut tx = self.parts.store.write().await?;
        let was_there = tx.remove_plugin(id).await?;
        let count = tx.count_keyvalue(id).await?;
        if !was_there && (pairs == Pairs::Keep || count == 0) {
            return Err(HostError::not_found(id));
        }
        tx.remove_generations(id).await?;
        tx.commit().await?;
        self.write_lock().await;
        let taken = self.registry.shelf.take(id);
        if let (Pairs::Purge, Some(live)) = (pairs, &taken) {
            live.flight.drain(self.life.drain).await;
        }
        self.retire(id.clone(), taken);
        self.parts.engine.forget_usage(id.as_str());
        if pairs == Pairs::Keep {
            return Ok(Removed { kept_pairs: count, purged_pairs: 0 });
        }
        let mut tx = self.parts.store.write().await?;
        let purged_pairs = tx.purge_keyvalue(id).await?;
        tx.commit().await?;
        Ok(Removed { kept_pairs: 0, purged_pairs })
    }
}
