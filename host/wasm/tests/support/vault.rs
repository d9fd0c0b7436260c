//! A vault over the store of a test.

use std::path::Path;
use std::sync::Arc;

use berth_core::port::clock::Clock;
use berth_core::port::store::Store;
use berth_secrets::{Change, Desk, KeyPlace, Owner, SecretId, SecretValue, Vault};
use berth_wasm::host::secrets::StoredSecrets;

use super::StoppedClock;

/// A desk whose secrets lie in `store` and whose key lies in `folder`.
pub fn desk(store: Arc<dyn Store>, folder: &Path) -> Arc<Desk> {
    let place = KeyPlace::find(folder, None, None);
    let clock = Arc::new(|| StoppedClock.now().as_micros());
    Arc::new(Desk::new(Arc::new(Vault::new(Arc::new(StoredSecrets::new(store)), place, clock))))
}

/// A secret of one plugin, in every workspace.
pub fn id(plugin: &str, name: &str) -> SecretId {
    SecretId { owner: Owner::of(plugin), name: name.parse().unwrap(), workspace: None }
}

/// Keeps a value for a plugin.
pub async fn keep(desk: &Desk, plugin: &str, name: &str, value: &[u8]) {
    let value = SecretValue::new(value.to_vec()).unwrap();
    desk.vault().put(id(plugin, name), Vec::new(), value, Change::Set).await.unwrap();
}
