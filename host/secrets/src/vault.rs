//! Keeps, opens and forgets secrets.

pub mod store;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::x25519::Identity;

use crate::envelope::{self, Unopened};
use crate::key::{Existing, KeyError, KeyPlace};
use crate::name::{Asker, BadName, Owner, SHARERS, SecretId, SecretName};
use crate::value::{BadValue, SecretValue};
use store::{SealedSecret, SealedStore, StoreFailure};

/// Tells the time in microseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The vault. Cheap to share; every method may be called by many at once.
pub struct Vault {
    store: Arc<dyn SealedStore>,
    place: KeyPlace,
    clock: Clock,
    keys: Mutex<Option<Arc<Vec<Identity>>>>,
    opened: Mutex<HashMap<SecretId, (String, Arc<SecretValue>)>>,
    /// Changes come one after another.
    changes: tokio::sync::Mutex<()>,
}

/// A secret of the vault that is open inside the host.
#[derive(Clone)]
pub struct Opened {
    pub id: SecretId,
    pub version: i64,
    pub value: Arc<SecretValue>,
}

/// Whether a secret can be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Ok,
    /// There is no key that may be used.
    NoKey,
    /// It was sealed for another key.
    OtherKey,
    Damaged,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoKey => "no_key",
            Self::OtherKey => "other_key",
            Self::Damaged => "damaged",
        }
    }
}

/// What may be shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub secret: SealedSecret,
    pub standing: Standing,
}

/// Whether a value may be a first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Makes the secret, or replaces its value.
    Set,
    /// Replaces the value of a secret that is there.
    Rotate,
}

/// Why the vault did not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(transparent)]
    Name(#[from] BadName),
    #[error(transparent)]
    Value(#[from] BadValue),
    #[error("there is no secret {id}")]
    NotFound { id: SecretId },
    #[error(
        "there is no secret `{name}` for the plugin `{plugin}`: the operator sets it with `berth secret set {name} --plugin {plugin}`"
    )]
    Unknown { name: SecretName, plugin: String },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(
        "the secret {id} is sealed for the key {recipient}, and the one at hand is another: put that key back, or set the secret anew"
    )]
    OtherKey { id: SecretId, recipient: String },
    #[error(
        "the secret {id} is damaged where it is stored: set it anew, or put the database back from a backup"
    )]
    Damaged { id: SecretId },
    #[error(
        "{count} of the secrets cannot be opened, so the key stays: see `berth secret list`, and set or remove them first"
    )]
    Unopened { count: usize },
    #[error("the value could not be sealed")]
    Seal { source: std::io::Error },
    #[error("the secrets cannot be read or stored: {message}")]
    Store { message: String, source: StoreFailure },
}

impl VaultError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "SECRET_NAME_INVALID",
            Self::Value(_) => "SECRET_VALUE_INVALID",
            Self::NotFound { .. } | Self::Unknown { .. } => "SECRET_NOT_FOUND",
            Self::Key(error) => error.code(),
            Self::OtherKey { .. } => "SECRET_OTHER_KEY",
            Self::Damaged { .. } => "SECRET_DAMAGED",
            Self::Unopened { .. } => "SECRET_KEY_IN_USE",
            Self::Seal { .. } => "SECRET_SEAL_FAILED",
            Self::Store { .. } => "SECRET_STORE_UNAVAILABLE",
        }
    }

    fn store(source: StoreFailure) -> Self {
        Self::Store { message: source.to_string(), source }
    }
}

impl Vault {
    /// A vault over `store`. Nothing is read or made before it is needed.
    pub fn new(store: Arc<dyn SealedStore>, place: KeyPlace, clock: Clock) -> Self {
        Self {
            store,
            place,
            clock,
            keys: Mutex::new(None),
            opened: Mutex::new(HashMap::new()),
            changes: tokio::sync::Mutex::new(()),
        }
    }

    pub fn place(&self) -> &KeyPlace {
        &self.place
    }

    /// Microseconds since the Unix epoch.
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Seals and stores `value`. `plugins` are those that share it, for the owner [`Owner::Shared`] alone.
    pub async fn put(
        &self,
        id: SecretId,
        plugins: Vec<String>,
        value: SecretValue,
        change: Change,
    ) -> Result<SealedSecret, VaultError> {
        let _turn = self.changes.lock().await;
        let stored = self.store.named(&id.name).await.map_err(VaultError::store)?;
        let old = stored.into_iter().find(|secret| secret.id == id);
        let plugins = match (&id.owner, change, &old) {
            (_, Change::Rotate, None) => return Err(VaultError::NotFound { id }),
            (Owner::Plugin(_), ..) => Vec::new(),
            // Who has it stays who has it when nobody says otherwise.
            (Owner::Shared, _, Some(old)) if plugins.is_empty() => old.plugins.clone(),
            (Owner::Shared, ..) if (1..=SHARERS).contains(&plugins.len()) => plugins,
            (Owner::Shared, ..) => return Err(BadName::Sharers.into()),
        };
        let recipient = self.sealing_key().await?[0].to_public();
        let sealed = envelope::seal(&id, &plugins, &value, &recipient)
            .map_err(|source| VaultError::Seal { source })?;
        let now = self.now();
        let secret = SealedSecret {
            id,
            plugins,
            sealed,
            recipient: recipient.to_string(),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        self.store.put(&secret).await.map_err(VaultError::store)
    }

    /// Everything that may be shown, and whether it can be opened. One that cannot hides no other.
    pub async fn list(&self) -> Result<Vec<Known>, VaultError> {
        let secrets = self.store.list().await.map_err(VaultError::store)?;
        let keys = self.keys().ok();
        let known = |secret: SealedSecret| {
            let standing = match &keys {
                None => Standing::NoKey,
                Some(keys) => match envelope::open(&secret.id, &secret.plugins, &secret.sealed, keys) {
                    Ok(_) => Standing::Ok,
                    Err(Unopened::Damaged) => Standing::Damaged,
                    Err(Unopened::OtherKey) => standing(&secret, keys),
                },
            };
            Known { secret, standing }
        };
        Ok(secrets.into_iter().map(known).collect())
    }

    /// Forgets a secret.
    pub async fn remove(&self, id: &SecretId) -> Result<(), VaultError> {
        let _turn = self.changes.lock().await;
        if !self.store.remove(id).await.map_err(VaultError::store)? {
            return Err(VaultError::NotFound { id: id.clone() });
        }
        self.cache().remove(id);
        Ok(())
    }

    /// Opens the secret that `asker` means with `name`: its own before a shared one, that of the workspace before the
    /// one that counts in all.
    ///
    /// What is stored is looked at each time, so a removal and a new value count at the next use, in every host that
    /// shares the database.
    pub async fn open(&self, asker: Asker<'_>, name: &SecretName) -> Result<Opened, VaultError> {
        let stored = self.store.named(name).await.map_err(VaultError::store)?;
        let found = stored.into_iter().filter_map(|secret| Some((rank(&secret, asker)?, secret)));
        let Some((_, secret)) = found.min_by_key(|(rank, _)| *rank) else {
            return Err(VaultError::Unknown { name: name.clone(), plugin: asker.plugin.to_owned() });
        };
        let value = self.value(&secret)?;
        Ok(Opened { id: secret.id, version: secret.version, value })
    }

    /// Puts every secret under a new key. At any moment each can be opened with what the key file holds, so that a
    /// crash in between costs nothing: the next try goes on.
    pub async fn renew_key(&self) -> Result<(), VaultError> {
        let _turn = self.changes.lock().await;
        let old = self.keys()?;
        let secrets = self.store.list().await.map_err(VaultError::store)?;
        let open =
            |secret: &SealedSecret| envelope::open(&secret.id, &secret.plugins, &secret.sealed, &old).ok();
        let unopened = secrets.iter().filter(|secret| open(secret).is_none()).count();
        if unopened > 0 {
            return Err(VaultError::Unopened { count: unopened });
        }
        let new = Identity::generate();
        let all: Vec<&Identity> = std::iter::once(&new).chain(old.iter()).collect();
        self.place.write(&all, Existing::Replace)?;
        *lock(&self.keys) = None;
        let recipient = new.to_public();
        let mut unopened = 0;
        for mut secret in secrets {
            let value = open(&secret).ok_or(VaultError::Unopened { count: 1 })?;
            secret.sealed = envelope::seal(&secret.id, &secret.plugins, &value, &recipient)
                .map_err(|source| VaultError::Seal { source })?;
            secret.recipient = recipient.to_string();
            // Another host may have given it a new value meanwhile, under the old key.
            if !self.store.reseal(&secret).await.map_err(VaultError::store)? {
                unopened += 1;
            }
        }
        if unopened > 0 {
            return Err(VaultError::Unopened { count: unopened });
        }
        self.place.write(&[&new], Existing::Replace)?;
        *lock(&self.keys) = None;
        Ok(())
    }

    fn value(&self, secret: &SealedSecret) -> Result<Arc<SecretValue>, VaultError> {
        if let Some((sealed, value)) = self.cache().get(&secret.id)
            && *sealed == secret.sealed
        {
            return Ok(value.clone());
        }
        let keys = self.keys()?;
        let value =
            envelope::open(&secret.id, &secret.plugins, &secret.sealed, &keys).map_err(|unopened| {
                let id = secret.id.clone();
                match (unopened, standing(secret, &keys)) {
                    (Unopened::OtherKey, Standing::OtherKey) => {
                        VaultError::OtherKey { id, recipient: secret.recipient.clone() }
                    }
                    _ => VaultError::Damaged { id },
                }
            })?;
        let value = Arc::new(value);
        self.cache().insert(secret.id.clone(), (secret.sealed.clone(), value.clone()));
        Ok(value)
    }

    /// The keys that open; read once.
    fn keys(&self) -> Result<Arc<Vec<Identity>>, VaultError> {
        let mut known = lock(&self.keys);
        if let Some(keys) = &*known {
            return Ok(keys.clone());
        }
        let keys = self.place.read()?;
        let keys = Arc::new(keys.ok_or_else(|| KeyError::Missing { path: self.place.path().to_owned() })?);
        *known = Some(keys.clone());
        Ok(keys)
    }

    /// The keys with the one that seals first. One is made only while there is no secret: a key that is lost must not
    /// be replaced by one that opens nothing.
    async fn sealing_key(&self) -> Result<Arc<Vec<Identity>>, VaultError> {
        match self.keys() {
            Err(VaultError::Key(KeyError::Missing { .. })) => {}
            other => return other,
        }
        let empty = self.store.list().await.map_err(VaultError::store)?.is_empty();
        if empty {
            self.place.read_or_make()?;
        }
        self.keys()
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<SecretId, (String, Arc<SecretValue>)>> {
        lock(&self.opened)
    }
}

/// How well a secret fits who asks, the best first; `None` when it is not for him.
fn rank(secret: &SealedSecret, asker: Asker<'_>) -> Option<u8> {
    let place = match &secret.id.workspace {
        Some(workspace) if workspace == asker.workspace => 0,
        Some(_) => return None,
        None => 1,
    };
    match &secret.id.owner {
        Owner::Plugin(id) if id == asker.plugin => Some(place),
        Owner::Shared if secret.plugins.iter().any(|id| id == asker.plugin) => Some(2 + place),
        _ => None,
    }
}

/// What an envelope that no key opens is: one for another key, or one whose own key finds it changed.
fn standing(secret: &SealedSecret, keys: &[Identity]) -> Standing {
    let ours = keys.iter().any(|key| key.to_public().to_string() == secret.recipient);
    if ours { Standing::Damaged } else { Standing::OtherKey }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
