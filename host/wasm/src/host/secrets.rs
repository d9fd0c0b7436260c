//! Core's store as the vault sees it.

use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::store::Store;
use berth_model::Timestamp;
use berth_model::secret::{SecretKey, SecretRow};
use berth_secrets::{Owner, SealedSecret, SealedStore, SecretId, SecretName, StoreFailure};

/// Keeps sealed secrets among everything else, so that one backup has them.
pub struct StoredSecrets(Arc<dyn Store>);

impl StoredSecrets {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

fn row(secret: &SealedSecret) -> SecretRow {
    SecretRow {
        key: key(&secret.id),
        plugins: secret.plugins.clone(),
        sealed: secret.sealed.clone(),
        recipient: secret.recipient.clone(),
        version: secret.version,
        created_at: Timestamp::from_micros(secret.created_at),
        updated_at: Timestamp::from_micros(secret.updated_at),
    }
}

fn key(id: &SecretId) -> SecretKey {
    SecretKey {
        owner: id.owner.as_str().to_owned(),
        name: id.name.to_string(),
        workspace: id.workspace.clone().unwrap_or_default(),
    }
}

fn secret(row: SecretRow) -> Result<SealedSecret, StoreFailure> {
    let workspace = Some(row.key.workspace).filter(|workspace| !workspace.is_empty());
    Ok(SealedSecret {
        id: SecretId { owner: Owner::of(&row.key.owner), name: row.key.name.parse()?, workspace },
        plugins: row.plugins,
        sealed: row.sealed,
        recipient: row.recipient,
        version: row.version,
        created_at: row.created_at.as_micros(),
        updated_at: row.updated_at.as_micros(),
    })
}

#[async_trait]
impl SealedStore for StoredSecrets {
    async fn list(&self) -> Result<Vec<SealedSecret>, StoreFailure> {
        self.0.read().await?.list_secrets(None).await?.into_iter().map(secret).collect()
    }

    async fn named(&self, name: &SecretName) -> Result<Vec<SealedSecret>, StoreFailure> {
        let rows = self.0.read().await?.list_secrets(Some(name.as_str())).await?;
        rows.into_iter().map(secret).collect()
    }

    async fn put(&self, new: &SealedSecret) -> Result<SealedSecret, StoreFailure> {
        let row = row(new);
        let mut tx = self.0.write().await?;
        tx.put_secret(&row).await?;
        let stored = tx.lookup_secret(&row.key).await?.ok_or("a secret was gone as soon as it was stored")?;
        tx.commit().await?;
        secret(stored)
    }

    async fn reseal(&self, secret: &SealedSecret) -> Result<bool, StoreFailure> {
        let mut tx = self.0.write().await?;
        let done = tx.reseal_secret(&row(secret)).await?;
        tx.commit().await?;
        Ok(done)
    }

    async fn remove(&self, id: &SecretId) -> Result<bool, StoreFailure> {
        let mut tx = self.0.write().await?;
        let removed = tx.remove_secret(&key(id)).await?;
        tx.commit().await?;
        Ok(removed)
    }
}
