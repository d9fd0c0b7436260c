//! The vault behind the operator's routes.

use std::sync::Arc;

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_core::port::store::Store;
use berth_http::{AdminError, NewSecret, SecretAdmin, SecretView, Which};
use berth_model::{PluginId, Timestamp, WorkspaceId};
use berth_secrets::{
    Change, KeyPlace, Owner, SealedSecret, SecretId, SecretValue, Standing, Vault, VaultError,
};
use berth_wasm::host::secrets::StoredSecrets;

/// A vault whose secrets lie in `store`.
pub fn vault(store: Arc<dyn Store>, place: KeyPlace, clock: Arc<dyn Clock>) -> Vault {
    Vault::new(Arc::new(StoredSecrets::new(store)), place, Arc::new(move || clock.now().as_micros()))
}

/// Keeps the secrets of a host.
pub struct Keeper(pub Arc<Vault>);

#[async_trait]
impl SecretAdmin for Keeper {
    async fn list(&self) -> Result<Vec<SecretView>, AdminError> {
        let known = self.0.list().await.map_err(|error| refused(&error))?;
        known.into_iter().map(|known| view(known.secret, known.standing)).collect()
    }

    async fn put(&self, new: NewSecret) -> Result<SecretView, AdminError> {
        let id = id(new.which)?;
        let mut bytes = new.value;
        let value = SecretValue::new(std::mem::take(&mut *bytes))
            .map_err(|error| refused(&VaultError::Value(error)))?;
        let plugins = new.plugins.iter().map(ToString::to_string).collect();
        let change = if new.must_exist { Change::Rotate } else { Change::Set };
        let stored = self.0.put(id, plugins, value, change).await.map_err(|error| refused(&error))?;
        view(stored, Standing::Ok)
    }

    async fn remove(&self, which: Which) -> Result<(), AdminError> {
        self.0.remove(&id(which)?).await.map_err(|error| refused(&error))
    }

    async fn renew_key(&self) -> Result<(), AdminError> {
        self.0.renew_key().await.map_err(|error| refused(&error))
    }
}

fn id(which: Which) -> Result<SecretId, AdminError> {
    Ok(SecretId {
        owner: which.plugin.map_or(Owner::Shared, |plugin| Owner::Plugin(plugin.to_string())),
        name: which.name.parse().map_err(|error| refused(&VaultError::Name(error)))?,
        workspace: which.workspace.map(|workspace| workspace.to_string()),
    })
}

fn view(secret: SealedSecret, standing: Standing) -> Result<SecretView, AdminError> {
    let bad = |error: &dyn std::fmt::Display| AdminError {
        code: "SECRET_DAMAGED".to_owned(),
        message: format!("the secret {} is stored for nobody that there can be: {error}", secret.id),
        retryable: false,
    };
    let plugin = match &secret.id.owner {
        Owner::Shared => None,
        Owner::Plugin(plugin) => Some(PluginId::new(plugin).map_err(|error| bad(&error))?),
    };
    let workspace = secret.id.workspace.as_deref().map(WorkspaceId::new).transpose();
    let workspace = workspace.map_err(|error| bad(&error))?;
    Ok(SecretView {
        which: Which { name: secret.id.name.to_string(), plugin, workspace },
        plugins: secret.plugins,
        state: standing.as_str().to_owned(),
        version: secret.version,
        created_at: Timestamp::from_micros(secret.created_at),
        updated_at: Timestamp::from_micros(secret.updated_at),
    })
}

/// The source of a failure is for the log alone.
fn refused(error: &VaultError) -> AdminError {
    let retryable = matches!(error, VaultError::Store { .. });
    if retryable {
        tracing::error!(error = error as &dyn std::error::Error, "the secrets cannot be read or stored");
    }
    AdminError { code: error.code().to_owned(), message: error.to_string(), retryable }
}
