//! The pairs of plugins in the database of the host.

use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_core::port::store::{KeysFrom, KeyvalueSpace, KeyvalueUsage, Store, StoreError, Tx};

use crate::capability::keyvalue::{Cursor, KeyvalueError, KeyvalueStore, PAGE, Place, Quota, Seen};

/// Keeps pairs in the store, within the quota of the operator.
pub struct StoredKeyvalue {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    quota: Quota,
}

impl StoredKeyvalue {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, quota: Quota) -> Self {
        Self { store, clock, quota }
    }

    /// Sets one value within the transaction of its use.
    async fn put(
        &self,
        tx: &mut Box<dyn Tx>,
        place: &Place,
        key: &str,
        value: &[u8],
    ) -> Result<(), KeyvalueError> {
        let quota = self.quota.both(place.quota);
        let limit = quota.value_bytes;
        if u64::try_from(value.len()).unwrap_or(u64::MAX) > limit {
            return Err(KeyvalueError::ValueTooLarge { bytes: value.len(), limit });
        }
        let space = space(place);
        let before = tx.keyvalue_usage(&space).await.map_err(unavailable)?;
        let after = tx
            .put_keyvalue(&space, &place.bucket, key, value, self.clock.now())
            .await
            .map_err(unavailable)?;
        check(quota, before, after)
    }
}

/// A space that an operator has made smaller since may still shrink.
fn check(quota: Quota, before: KeyvalueUsage, after: KeyvalueUsage) -> Result<(), KeyvalueError> {
    let above = |was: i64, is: i64, limit: u64| is > was && u64::try_from(is).unwrap_or(0) > limit;
    if above(before.pairs, after.pairs, quota.pairs) {
        return Err(KeyvalueError::Quota { what: "pairs", limit: quota.pairs });
    }
    if above(before.bytes, after.bytes, quota.bytes) {
        return Err(KeyvalueError::Quota { what: "bytes", limit: quota.bytes });
    }
    Ok(())
}

fn space(place: &Place) -> KeyvalueSpace {
    KeyvalueSpace { plugin: place.plugin.clone(), workspace: place.workspace.clone() }
}

fn unavailable(error: StoreError) -> KeyvalueError {
    tracing::warn!(%error, "the pairs of a plugin could not be reached");
    KeyvalueError::Unavailable
}

async fn look(tx: &mut Box<dyn Tx>, place: &Place, key: &str) -> Result<Seen, KeyvalueError> {
    let pair = tx.lookup_keyvalue(&space(place), &place.bucket, key).await.map_err(unavailable)?;
    Ok(match pair {
        Some(pair) => Seen { value: Some(pair.value), revision: Some(pair.revision) },
        None => Seen { value: None, revision: None },
    })
}

#[async_trait]
impl KeyvalueStore for StoredKeyvalue {
    async fn get(&self, place: &Place, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, KeyvalueError> {
        let mut tx = self.store.read().await.map_err(unavailable)?;
        let mut values = Vec::with_capacity(keys.len());
        let mut bytes: u64 = 0;
        for key in keys {
            let value = look(&mut tx, place, key).await?.value;
            bytes += value.as_ref().map_or(0, |value| u64::try_from(value.len()).unwrap_or(u64::MAX));
            // What a batch brings into memory at once has the same bound as what is kept.
            if bytes > self.quota.bytes {
                return Err(KeyvalueError::Quota { what: "bytes", limit: self.quota.bytes });
            }
            values.push(value);
        }
        Ok(values)
    }

    async fn set(&self, place: &Place, pairs: &[(String, Vec<u8>)]) -> Result<(), KeyvalueError> {
        let mut tx = self.store.write().await.map_err(unavailable)?;
        for (key, value) in pairs {
            self.put(&mut tx, place, key, value).await?;
        }
        tx.commit().await.map_err(unavailable)
    }

    async fn remove(&self, place: &Place, keys: &[String]) -> Result<(), KeyvalueError> {
        let mut tx = self.store.write().await.map_err(unavailable)?;
        for key in keys {
            tx.remove_keyvalue(&space(place), &place.bucket, key).await.map_err(unavailable)?;
        }
        tx.commit().await.map_err(unavailable)
    }

    async fn keys(&self, place: &Place, from: &Cursor) -> Result<Vec<String>, KeyvalueError> {
        let from = match from {
            Cursor::Start => KeysFrom::Number(0),
            Cursor::Behind(key) => KeysFrom::Behind(key),
            Cursor::Number(number) => {
                KeysFrom::Number(i64::try_from(*number).map_err(|_| KeyvalueError::Cursor)?)
            }
        };
        let mut tx = self.store.read().await.map_err(unavailable)?;
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        tx.list_keyvalue_keys(&space(place), &place.bucket, from, limit).await.map_err(unavailable)
    }

    async fn look(&self, place: &Place, key: &str) -> Result<Seen, KeyvalueError> {
        let mut tx = self.store.read().await.map_err(unavailable)?;
        look(&mut tx, place, key).await
    }

    async fn swap(
        &self,
        place: &Place,
        key: &str,
        seen: &Seen,
        value: &[u8],
    ) -> Result<Result<(), Seen>, KeyvalueError> {
        let mut tx = self.store.write().await.map_err(unavailable)?;
        let now = look(&mut tx, place, key).await?;
        if now.revision != seen.revision {
            return Ok(Err(now));
        }
        self.put(&mut tx, place, key, value).await?;
        tx.commit().await.map_err(unavailable)?;
        Ok(Ok(()))
    }

    async fn increment(
        &self,
        place: &Place,
        key: &str,
        delta: i128,
        range: (i128, i128),
    ) -> Result<i128, KeyvalueError> {
        let mut tx = self.store.write().await.map_err(unavailable)?;
        let sum = look(&mut tx, place, key).await?.plus(key, delta, range)?;
        self.put(&mut tx, place, key, sum.to_string().as_bytes()).await?;
        tx.commit().await.map_err(unavailable)?;
        Ok(sum)
    }
}
