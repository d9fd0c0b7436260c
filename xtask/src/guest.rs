//! What there is to build: the crates that become components.

use std::path::{Path, PathBuf};

use anyhow::Context;
use berth_build::Crate;
use berth_build::files::Fingerprint;

/// Changes when the same sources would be built in another way.
const WAY: &str = "3";

/// What becomes of a component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder `target/plugins/<name>/` that the host installs.
    Plugin,
    /// A file `target/fixtures/<name>.wasm` for tests.
    Fixture,
}

/// A crate of ours that becomes a component.
pub struct Guest {
    pub kind: Kind,
    /// The name of its folder.
    pub name: String,
    pub source: Crate,
}

impl Guest {
    /// All guests of the workspace, by name within a kind.
    pub fn all(root: &Path) -> anyhow::Result<Vec<Self>> {
        let mut guests = Vec::new();
        for (kind, parent) in [(Kind::Plugin, "plugins"), (Kind::Fixture, "tests/guests")] {
            let parent = root.join(parent);
            let mut folders: Vec<_> = match std::fs::read_dir(&parent) {
                Ok(entries) => entries.collect::<Result<_, _>>()?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot list {}", parent.display()));
                }
            };
            folders.sort_by_key(std::fs::DirEntry::file_name);
            for folder in folders {
                if folder.path().join("Cargo.toml").exists() {
                    let name = folder.file_name().to_string_lossy().into_owned();
                    guests.push(Self { kind, name, source: Crate::read(folder.path())? });
                }
            }
        }
        Ok(guests)
    }

    /// A hash of everything that the component is made of.
    pub fn fingerprint(&self, shared: &Fingerprint) -> anyhow::Result<String> {
        let mut hash = shared.clone();
        hash.add(&self.source.folder)?;
        Ok(hash.finish())
    }

    /// The part of the hash that all guests have in common.
    pub fn shared_fingerprint(root: &Path) -> anyhow::Result<Fingerprint> {
        let mut hash = Fingerprint::new(WAY);
        for path in ["sdk-guest", "wit", "Cargo.toml", "Cargo.lock"] {
            hash.add(&root.join(path))?;
        }
        Ok(hash)
    }

    /// Where the component goes.
    pub fn component(&self, target: &Path) -> PathBuf {
        let file = format!("{}.wasm", self.name);
        match self.kind {
            Kind::Plugin => target.join("plugins").join(&self.name).join(file),
            Kind::Fixture => target.join("fixtures").join(file),
        }
    }

    /// Where the hash of the last build is kept.
    pub fn stamp(&self, target: &Path) -> PathBuf {
        let kind = match self.kind {
            Kind::Plugin => "plugin",
            Kind::Fixture => "fixture",
        };
        target.join("guests/stamps").join(format!("{kind}-{}", self.name))
    }
}
