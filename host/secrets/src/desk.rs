//! Where the host uses secrets for plugins: stored ones, those that an exchange yielded, and how often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::key::KeyPlace;
use crate::name::{Asker, SecretId, SecretName};
use crate::rate::{Limiter, Rate};
use crate::value::SecretValue;
use crate::vault::store::{SealedSecret, SealedStore, StoreFailure};
use crate::vault::{Vault, VaultError};

/// Operations on one secret of one plugin.
pub const OPERATIONS: Rate = Rate { burst: 120, per_minute: 600 };
/// Guesses at one secret that were wrong. While there is none left no guess is answered, right or wrong.
pub const GUESSES: Rate = Rate { burst: 60, per_minute: 60 };
/// Secrets from exchanges that a plugin may have at once in a workspace.
pub const DERIVED: usize = 16;
/// How long a secret from an exchange lives at most.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// See the module.
pub struct Desk {
    vault: Arc<Vault>,
    operations: Limiter<Place>,
    guesses: Limiter<Place>,
    derived: Mutex<HashMap<Place, Derived>>,
}

/// A name, as one plugin means it in one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    plugin: String,
    workspace: String,
    name: SecretName,
}

impl Place {
    fn new(asker: Asker<'_>, name: &SecretName) -> Self {
        Self { plugin: asker.plugin.to_owned(), workspace: asker.workspace.to_owned(), name: name.clone() }
    }
}

struct Derived {
    value: Arc<SecretValue>,
    from: From,
    expires_at: i64,
    audience: Vec<String>,
}

/// The stored secret that an exchange was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct From {
    name: SecretName,
    id: SecretId,
    version: i64,
}

/// A secret in the hands of the host.
#[derive(Clone)]
pub struct Found {
    pub value: Arc<SecretValue>,
    /// Of a secret from an exchange: what it came from, until when it lives, and where it may be sent.
    pub derived: Option<DerivedFrom>,
}

/// Where a secret from an exchange came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedFrom {
    pub name: SecretName,
    /// Microseconds since the Unix epoch.
    pub expires_at: i64,
    /// Origins; no wider than those of what it came from.
    pub audience: Vec<String>,
}

/// A token that an exchange yielded.
pub struct NewDerived {
    pub name: SecretName,
    pub value: SecretValue,
    /// The stored secret that paid for it.
    pub from: SecretName,
    pub lifetime: Duration,
    pub audience: Vec<String>,
}

/// Why a secret was not used.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("`{name}` is used too often: try again in {} ms", after.as_millis())]
    Limited { name: SecretName, after: Duration },
    #[error("`{name}` is the name of a stored secret: choose another for what the exchange yields")]
    NameTaken { name: SecretName },
    #[error("the plugin has {DERIVED} secrets from exchanges already: they end by themselves")]
    TooMany,
}

impl DeskError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Vault(error) => error.code(),
            Self::Limited { .. } => "SECRET_RATE_LIMITED",
            Self::NameTaken { .. } => "SECRET_NAME_TAKEN",
            Self::TooMany => "SECRET_TOO_MANY",
        }
    }
}

impl Desk {
    pub fn new(vault: Arc<Vault>) -> Self {
        Self {
            vault,
            operations: Limiter::new(OPERATIONS),
            guesses: Limiter::new(GUESSES),
            derived: Mutex::new(HashMap::new()),
        }
    }

    /// A desk without any secret.
    pub fn closed() -> Self {
        let place = KeyPlace::Credential("none".into());
        Self::new(Arc::new(Vault::new(Arc::new(Nothing), place, Arc::new(|| 0))))
    }

    pub fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Counts one operation on a secret.
    pub fn count(&self, asker: Asker<'_>, name: &SecretName, now: Instant) -> Result<(), DeskError> {
        let limited = |after| DeskError::Limited { name: name.clone(), after };
        self.operations.take(Place::new(asker, name), now).map_err(limited)
    }

    /// Whether a guess at a secret may be answered.
    pub fn may_guess(&self, asker: Asker<'_>, name: &SecretName, now: Instant) -> Result<(), DeskError> {
        let limited = |after| DeskError::Limited { name: name.clone(), after };
        self.guesses.look(Place::new(asker, name), now).map_err(limited)
    }

    /// Counts a guess that was wrong.
    pub fn wrong_guess(&self, asker: Asker<'_>, name: &SecretName, now: Instant) -> Result<(), DeskError> {
        let limited = |after| DeskError::Limited { name: name.clone(), after };
        self.guesses.take(Place::new(asker, name), now).map_err(limited)
    }

    /// The secret that `asker` means: a stored one, else one from an exchange that still counts.
    ///
    /// One from an exchange ends with its time, and with the value that it was paid with.
    pub async fn find(&self, asker: Asker<'_>, name: &SecretName) -> Result<Found, DeskError> {
        let unknown = match self.vault.open(asker, name).await {
            Ok(opened) => return Ok(Found { value: opened.value, derived: None }),
            Err(error @ VaultError::Unknown { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        let place = Place::new(asker, name);
        let Some((found, from)) = self.living(&place) else { return Err(unknown.into()) };
        let paid = self.vault.open(asker, &from.name).await;
        if paid.is_ok_and(|paid| paid.id == from.id && paid.version == from.version) {
            return Ok(found);
        }
        self.lock().remove(&place);
        Err(unknown.into())
    }

    /// Keeps what an exchange yielded, in memory alone; it takes the place of an older one of its name.
    ///
    /// Gives back until when it counts.
    pub async fn keep(&self, asker: Asker<'_>, new: NewDerived) -> Result<i64, DeskError> {
        match self.vault.open(asker, &new.name).await {
            Err(VaultError::Unknown { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(DeskError::NameTaken { name: new.name }),
        }
        let paid = self.vault.open(asker, &new.from).await?;
        let now = self.vault.now();
        let lifetime = i64::try_from(new.lifetime.min(LIFETIME).as_micros()).unwrap_or(i64::MAX);
        let expires_at = now.saturating_add(lifetime);
        let place = Place::new(asker, &new.name);
        let mut derived = self.lock();
        derived.retain(|_, kept| kept.expires_at > now);
        let others = derived.keys().filter(|other| {
            other.plugin == place.plugin && other.workspace == place.workspace && **other != place
        });
        if others.count() >= DERIVED {
            return Err(DeskError::TooMany);
        }
        let kept = Derived {
            value: Arc::new(new.value),
            from: From { name: new.from, id: paid.id, version: paid.version },
            expires_at,
            audience: new.audience,
        };
        derived.insert(place, kept);
        Ok(expires_at)
    }

    fn living(&self, place: &Place) -> Option<(Found, From)> {
        let now = self.vault.now();
        let mut derived = self.lock();
        derived.retain(|_, kept| kept.expires_at > now);
        let kept = derived.get(place)?;
        let origin = DerivedFrom {
            name: kept.from.name.clone(),
            expires_at: kept.expires_at,
            audience: kept.audience.clone(),
        };
        Some((Found { value: kept.value.clone(), derived: Some(origin) }, kept.from.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Derived>> {
        self.derived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store that has nothing and takes nothing.
struct Nothing;

#[async_trait]
impl SealedStore for Nothing {
    async fn list(&self) -> Result<Vec<SealedSecret>, StoreFailure> {
        Ok(Vec::new())
    }

    async fn named(&self, _: &SecretName) -> Result<Vec<SealedSecret>, StoreFailure> {
        Ok(Vec::new())
    }

    async fn put(&self, _: &SealedSecret) -> Result<SealedSecret, StoreFailure> {
        Err("this host keeps no secrets".into())
    }

    async fn reseal(&self, _: &SealedSecret) -> Result<bool, StoreFailure> {
        Ok(false)
    }

    async fn remove(&self, _: &SecretId) -> Result<bool, StoreFailure> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
