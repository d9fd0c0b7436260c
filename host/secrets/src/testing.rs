//! A store for the tests of this crate.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;

use crate::name::{SecretId, SecretName};
use crate::vault::store::{SealedSecret, SealedStore, StoreFailure};

/// Secrets in memory.
#[derive(Default)]
pub(crate) struct Rows {
    rows: Mutex<BTreeMap<SecretId, SealedSecret>>,
    /// The reseal of this number fails; none when 0.
    pub reseals: AtomicI64,
}

impl Rows {
    pub fn all(&self) -> MutexGuard<'_, BTreeMap<SecretId, SealedSecret>> {
        self.rows.lock().unwrap()
    }
}

#[async_trait]
impl SealedStore for Rows {
    async fn list(&self) -> Result<Vec<SealedSecret>, StoreFailure> {
        Ok(self.all().values().cloned().collect())
    }

    async fn named(&self, name: &SecretName) -> Result<Vec<SealedSecret>, StoreFailure> {
        Ok(self.all().values().filter(|secret| secret.id.name == *name).cloned().collect())
    }

    async fn put(&self, secret: &SealedSecret) -> Result<SealedSecret, StoreFailure> {
        let mut secret = secret.clone();
        if let Some(old) = self.all().get(&secret.id) {
            secret.version = old.version + 1;
            secret.created_at = old.created_at;
        }
        self.all().insert(secret.id.clone(), secret.clone());
        Ok(secret)
    }

    async fn reseal(&self, secret: &SealedSecret) -> Result<bool, StoreFailure> {
        if self.reseals.fetch_sub(1, Ordering::Relaxed) == 1 {
            return Err("the process is gone".into());
        }
        self.all().insert(secret.id.clone(), secret.clone());
        Ok(true)
    }

    async fn remove(&self, id: &SecretId) -> Result<bool, StoreFailure> {
        Ok(self.all().remove(id).is_some())
    }
}
