//! Whose packages are taken: the policy of publishers, what each plugin is pinned to, and `berth.lock`.
//!
//! The database says what each plugin is. The lock says the same in a file, for people and for other hosts; it is
//! written after each change, and one that somebody has damaged stops every install until it is put right.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use berth_model::generation::{Generation, Provenance};
use berth_package::{Admission, Lock, Locked, PackageError, PublisherKey, SignedPackage, Trust};

use super::{HostError, Package, PluginHost};
use crate::capability::diff::PublisherChange;
use crate::manifest::Manifest;

/// The policy, and where the lock lies. Without a place no lock is kept.
#[derive(Default)]
pub(super) struct Custody {
    trust: RwLock<Arc<Trust>>,
    lock: RwLock<Option<PathBuf>>,
}

impl Custody {
    fn trust(&self) -> Arc<Trust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock_file(&self) -> Option<PathBuf> {
        self.lock.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl PluginHost {
    /// Takes packages by this policy from now on, and keeps the lock in this file.
    pub fn set_custody(&self, trust: Trust, lock: PathBuf) {
        *self.custody.trust.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trust);
        *self.custody.lock.write().unwrap_or_else(PoisonError::into_inner) = Some(lock);
    }

    /// Says where a package comes from, and whether its publisher is another than that of the generation in place.
    ///
    /// Refuses what the policy does, and every package while the lock is damaged.
    pub(super) fn vouch(
        &self,
        package: &Package,
        id: &str,
        digest: &str,
        current: Option<&Generation>,
    ) -> Result<(Provenance, Option<PublisherChange>), HostError> {
        let trust = self.custody.trust();
        trust.check_component(digest)?;
        if let Some(file) = self.custody.lock_file() {
            read_lock(&file)?;
        }
        let mut provenance = Provenance { source: package.source.clone(), ..Provenance::default() };
        // What comes with the host is as trusted as the host.
        if package.is_bundled {
            return Ok((provenance, None));
        }
        let pin = current.and_then(pin);
        let admission = match &package.shipped {
            Some(shipped) => {
                provenance.package = shipped.digest();
                provenance.publisher = shipped.publisher().map(ToString::to_string).unwrap_or_default();
                trust.admit(shipped, digest, pin.as_ref())?
            }
            None => trust.admit_unsigned(id, pin.as_ref())?,
        };
        let change = match admission {
            Admission::Changed { from, to } => Some(PublisherChange {
                before: from.to_string(),
                after: to.as_ref().map(PublisherKey::to_string),
            }),
            Admission::Rotated { from } => {
                tracing::info!(plugin.id = id, %from, to = provenance.publisher, "the publisher has another key");
                None
            }
            Admission::FirstUse => {
                tracing::info!(
                    plugin.id = id,
                    key = provenance.publisher,
                    "the first key of the plugin counts"
                );
                None
            }
            Admission::Known | Admission::Unsigned => None,
        };
        Ok((provenance, change))
    }

    /// Refuses a package that `berth.lock`, or `file` in its place, does not pin to what it is: version, package, component,
    /// source and publisher. Reads files and makes digests: call it on a blocking thread.
    pub fn check_pinned(&self, package: &Package, file: Option<&Path>) -> Result<(), HostError> {
        let own = self.custody.lock_file();
        let lock = match file.or(own.as_deref()) {
            Some(file) => read_lock(file)?,
            None => Lock::default(),
        };
        let manifest = Manifest::parse(&package.manifest)?;
        let shipped = package.shipped.as_deref();
        lock.require(&Locked {
            id: manifest.id.clone(),
            version: manifest.version.clone(),
            package: shipped.map(SignedPackage::digest).unwrap_or_default(),
            component: crate::digest(&package.component),
            source: package.source.clone(),
            publisher: shipped.and_then(|shipped| shipped.publisher().copied()),
        })?;
        Ok(())
    }

    /// Writes the lock as the database has it. What goes wrong is logged: the database counts.
    pub(super) async fn write_lock(&self) {
        let Some(file) = self.custody.lock_file() else { return };
        let written = async {
            let generations = self.parts.store.read().await?.current_generations().await?;
            let mut lock = Lock::default();
            generations.iter().filter_map(pin).for_each(|pin| lock.pin(pin));
            tokio::task::spawn_blocking(move || replace_lock(&file, &lock))
                .await
                .map_err(|_| HostError::Inspector)?
        };
        if let Err(error) = written.await {
            tracing::warn!(code = error.code(), %error, "berth.lock could not be written");
        }
    }
}

/// What the plugin of a generation is pinned to; nothing for a version that an older host took and that is none.
fn pin(generation: &Generation) -> Option<Locked> {
    Some(Locked {
        id: generation.plugin.to_string(),
        version: generation.version.parse().ok()?,
        package: generation.provenance.package.clone(),
        component: generation.digest.clone(),
        source: generation.provenance.source.clone(),
        publisher: generation.provenance.publisher.parse().ok(),
    })
}

/// The lock; an empty one when there is none yet.
fn read_lock(file: &Path) -> Result<Lock, PackageError> {
    match fs::read_to_string(file) {
        Ok(text) => Lock::read(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Lock::default()),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err(PackageError::Lock { reason: "it is no text".to_owned() })
        }
        Err(source) => Err(PackageError::Io { path: file.to_owned(), source }),
    }
}

/// A crash leaves the old lock or the new one. A damaged one stays for whoever looks into it.
fn replace_lock(file: &Path, lock: &Lock) -> Result<(), HostError> {
    if read_lock(file)? == *lock && file.exists() {
        return Ok(());
    }
    let temp = file.with_extension("lock.tmp");
    let written = fs::File::create(&temp)
        .and_then(|mut out| out.write_all(lock.to_text().as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| fs::rename(&temp, file));
    written.map_err(|source| PackageError::Io { path: file.to_owned(), source }.into())
}
