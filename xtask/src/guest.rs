//! What there is to build: the crates that become components.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::files::{self, Fingerprint};

/// Changes when the same sources would be built in another way.
const WAY: &str = "3";

/// The stack of a guest that does not ask for more: a small one keeps the memory of a fresh instance small.
pub const STACK_BYTES: u32 = 32 * 1024;

/// What becomes of a component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder `target/plugins/<name>/` that the host installs.
    Plugin,
    /// A file `target/fixtures/<name>.wasm` for tests.
    Fixture,
}

/// A crate that becomes a component.
///
/// Its `Cargo.toml` may say under `[package.metadata.berth]`: `wasi = true` when the code uses files, clocks or the
/// environment of the standard library (default false), `stack_bytes` when 32 KiB do not do.
pub struct Guest {
    pub kind: Kind,
    /// The name of its folder.
    pub name: String,
    pub folder: PathBuf,
    /// The name of its cargo package.
    pub package: String,
    pub wasi: bool,
    pub stack_bytes: u32,
    /// Whether the crate is also a Rust library, which costs link-time optimisation unless it is told not to be.
    pub also_library: bool,
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
                    guests.push(Self::read(kind, folder.path())?);
                }
            }
        }
        Ok(guests)
    }

    /// Reads the `Cargo.toml` in `folder`.
    pub fn read(kind: Kind, folder: PathBuf) -> anyhow::Result<Self> {
        let path = folder.join("Cargo.toml");
        let manifest: toml::Table =
            files::read_text(&path)?.parse().with_context(|| format!("{} is no TOML", path.display()))?;
        let parse = || {
            let package = manifest.get("package").context("no [package]")?;
            let name = package.get("name").and_then(toml::Value::as_str).context("no package.name")?;
            let crate_types = manifest
                .get("lib")
                .and_then(|lib| lib.get("crate-type")?.as_array())
                .context("no lib.crate-type")?;
            if !crate_types.iter().any(|kind| kind.as_str() == Some("cdylib")) {
                bail!("lib.crate-type lacks \"cdylib\"");
            }
            let (mut wasi, mut stack_bytes) = (false, STACK_BYTES);
            let wishes = package.get("metadata").and_then(|all| all.get("berth")?.as_table());
            for (key, value) in wishes.into_iter().flatten() {
                match key.as_str() {
                    "wasi" => wasi = value.as_bool().context("berth.wasi is true or false")?,
                    "stack_bytes" => stack_bytes = stack(value)?,
                    other => bail!("unknown key `{other}` under [package.metadata.berth]"),
                }
            }
            let folder_name =
                folder.file_name().and_then(std::ffi::OsStr::to_str).context("no folder name")?;
            anyhow::Ok(Self {
                kind,
                name: folder_name.to_owned(),
                folder: folder.clone(),
                package: name.to_owned(),
                wasi,
                stack_bytes,
                also_library: crate_types.len() > 1,
            })
        };
        parse().with_context(|| path.display().to_string())
    }

    /// A hash of everything that the component is made of.
    pub fn fingerprint(&self, shared: &Fingerprint) -> anyhow::Result<String> {
        let mut hash = shared.clone();
        hash.add(&self.folder)?;
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

    /// The file that cargo makes of it.
    pub fn module_name(&self) -> String {
        format!("{}.wasm", self.package.replace('-', "_"))
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

fn stack(value: &toml::Value) -> anyhow::Result<u32> {
    let bytes = value.as_integer().and_then(|bytes| u32::try_from(bytes).ok());
    match bytes {
        Some(bytes) if bytes >= 4096 && bytes % 16 == 0 => Ok(bytes),
        _ => bail!("berth.stack_bytes is a multiple of 16, from 4096"),
    }
}
