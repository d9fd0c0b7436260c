//! Compiled components on disk.
//!
//! Loading one runs its machine code, so every entry carries a MAC under a key that only this host has, over its own
//! name and content. What does not verify, does not load or was made by other settings is a miss: it is compiled again.

use std::collections::HashSet;
use std::fs;
use std::hash::Hash;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt as _;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

const TAG: &[u8; 8] = b"berthc01";
const MAC_BYTES: usize = 32;
const KEY_FILE: &str = "key";
const ENDING: &str = ".bin";
/// Of an entry that is being written.
const UNFINISHED: &str = ".tmp";

/// A folder of compiled components.
pub struct ArtifactCache {
    dir: PathBuf,
    key: [u8; 32],
    /// Settings and version of the compiler, as hex.
    profile: String,
    temp: AtomicU64,
}

impl ArtifactCache {
    /// Opens the folder, mode 0700, and takes `key` or the one kept in it, mode 0600.
    pub fn open(dir: &Path, key: Option<[u8; 32]>, engine: &Engine) -> io::Result<Self> {
        private_dir(dir)?;
        let key = match key {
            Some(key) => key,
            None => kept_key(dir)?,
        };
        Ok(Self { dir: dir.to_owned(), key, profile: profile(engine), temp: AtomicU64::new(0) })
    }

    /// The compiled component with this digest, when there is a good one.
    pub fn lookup(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        let entry = match fs::read(&path) {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "compiled plugin is unreadable: compiling again");
                return None;
            }
        };
        let Some(code) = self.verified(digest, &entry) else {
            tracing::warn!(path = %path.display(), "compiled plugin is not ours or damaged: compiling again");
            return None;
        };
        // Only `store` makes a MAC with our key, and it does so over the output of our compiler.
        load(engine, code)
            .inspect_err(|error| {
                tracing::info!(path = %path.display(), %error, "compiled plugin is of another engine: compiling again");
            })
            .ok()
    }

    /// Keeps machine code that our compiler made. A failure is logged: the cache is never needed.
    pub fn store(&self, code: &[u8], digest: &str) {
        if let Err(error) = self.write(digest, code) {
            tracing::warn!(%error, "the compiled plugin could not be kept: the next start compiles it again");
        }
    }

    /// Forgets the machine code of a component.
    pub fn remove(&self, digest: &str) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what nobody will ask for: entries that a killed process left unfinished, those of another compiler, and those
    /// of components that are not `needed`.
    ///
    /// For a start, before anything is compiled: an entry that is being written looks like one that never will be.
    pub fn sweep(&self, needed: &HashSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            let is_left = match name.strip_suffix(ENDING).and_then(|whole| whole.split_once('-')) {
                Some((digest, profile)) => profile != self.profile || !needed.contains(digest),
                None => name.starts_with('.') && name.ends_with(UNFINISHED),
            };
            if is_left {
                fs::remove_file(self.dir.join(name))?;
            }
        }
        Ok(())
    }

    /// The file of a digest; for tests and for `doctor`.
    pub fn path(&self, digest: &str) -> PathBuf {
        self.dir.join(format!("{digest}-{}{ENDING}", self.profile))
    }

    fn write(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        let serial = self.temp.fetch_add(1, Ordering::Relaxed);
        let temp = self.dir.join(format!(".{digest}.{}.{serial}{UNFINISHED}", std::process::id()));
        let written = (|| {
            let mut file = private_file(&temp)?;
            file.write_all(TAG)?;
            file.write_all(&self.mac(digest, code).finalize().into_bytes())?;
            file.write_all(code)?;
            file.sync_all()?;
            fs::rename(&temp, self.path(digest))?;
            fs::File::open(&self.dir)?.sync_all()
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temp);
        }
        written
    }

    fn verified<'a>(&self, digest: &str, entry: &'a [u8]) -> Option<&'a [u8]> {
        let rest = entry.strip_prefix(TAG.as_slice())?;
        let (mac, code) = rest.split_at_checked(MAC_BYTES)?;
        self.mac(digest, code).verify_slice(mac).ok()?;
        Some(code)
    }

    fn mac(&self, digest: &str, code: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.key).expect("any key length fits");
        for part in [TAG.as_slice(), self.profile.as_bytes(), digest.as_bytes()] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.update(code);
        mac
    }
}

/// Makes machine code callable that our own compiler wrote: in this process, in its child, or once before a start.
pub(super) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "the callers have the code from our compiler, or a MAC that shows it")]
    // SAFETY: `deserialize` asks for bytes that `Engine::precompile_component` made. They come from the compiler that
    // this host runs, over its pipe or over an entry that only this host can have written; they are in our memory, so
    // nobody changes them on the way. Settings of another engine are found by wasmtime itself.
    let loaded = unsafe { Component::deserialize(engine, code) };
    loaded
}

/// Characters of a [`profile`].
pub const PROFILE_CHARS: usize = 32;

/// Settings and version of the compiler, as hex: what code of one profile means, it means to every engine of it.
pub fn profile(engine: &Engine) -> String {
    let mut hasher = StableHasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex::encode(&hasher.0.finalize()[..PROFILE_CHARS / 2])
}

/// Feeds `Hash` to SHA-256: the same on every machine and release.
struct StableHasher(Sha256);

impl std::hash::Hasher for StableHasher {
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes([
            digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7],
        ])
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}

fn kept_key(dir: &Path) -> io::Result<[u8; 32]> {
    let path = dir.join(KEY_FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            if let Ok(key) = <[u8; 32]>::try_from(bytes.as_slice())
                && is_private(&path)?
            {
                return Ok(key);
            }
            tracing::warn!(path = %path.display(), "the key of the compiled plugins is damaged or open to others: making a new one");
            fs::remove_file(&path)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let key: [u8; 32] = rand::rng().random();
    let mut file = private_file(&path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key)
}

#[cfg(unix)]
fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;

    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(unix)]
fn is_private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;

    Ok(fs::metadata(path)?.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn private_dir(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(not(unix))]
fn is_private(_path: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use wasmtime::{Config, ModuleVersionStrategy};

    use super::*;

    #[test]
    fn code_of_another_compiler_or_of_other_settings_has_another_name() {
        let of = |change: &dyn Fn(&mut Config)| {
            let mut config = Config::new();
            change(&mut config);
            profile(&Engine::new(&config).unwrap())
        };
        let version = |name: &str| ModuleVersionStrategy::Custom(name.to_owned());

        let plain = of(&|config| drop(config.module_version(version("48-b1"))));
        let tagged = of(&|config| drop(config.module_version(version("48-b2"))));
        let metered =
            of(&|config| drop(config.module_version(version("48-b1")).map(|it| it.consume_fuel(true))));

        assert_eq!(plain, of(&|config| drop(config.module_version(version("48-b1")))));
        assert!(plain != tagged && plain != metered && tagged != metered);
    }
}
