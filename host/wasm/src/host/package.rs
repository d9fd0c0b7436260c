//! A plugin on its way in: a folder with `plugin.toml`, or a bare component.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::HostError;
use crate::inspect::Docs;
use crate::limits;
use crate::manifest::Manifest;

/// The longest `plugin.toml`.
const MANIFEST_BYTES: u64 = 256 << 10;

/// What an install needs.
#[derive(Debug, Clone)]
pub struct Package {
    /// The text of `plugin.toml`.
    pub manifest: String,
    pub component: Bytes,
    pub docs: Docs,
}

impl Package {
    /// Reads a folder with `plugin.toml`, its component and perhaps `wit/`, or a bare `.wasm` with perhaps `wit/`
    /// beside it, which is named after its file.
    pub fn read(path: &Path) -> Result<Self, HostError> {
        if path.is_dir() { Self::folder(path) } else { Self::bare(path) }
    }

    fn folder(path: &Path) -> Result<Self, HostError> {
        let file = path.join("plugin.toml");
        let manifest = String::from_utf8(read(&file, MANIFEST_BYTES)?)
            .map_err(|_| unreadable(&file, "it is no UTF-8"))?;
        let parsed = Manifest::parse(&manifest)?;
        let name = parsed.component.unwrap_or_else(|| format!("{}.wasm", parsed.id));
        let component = read(&path.join(name), limits::COMPONENT_BYTES as u64)?;
        Ok(Self { manifest, component: component.into(), docs: docs(path)? })
    }

    fn bare(path: &Path) -> Result<Self, HostError> {
        let component = read(path, limits::COMPONENT_BYTES as u64)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_ascii_lowercase();
        let id: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .take(40)
            .collect();
        let manifest = format!("[plugin]\nid = \"{id}\"\nversion = \"0.0.0\"\n");
        let beside = path.parent().unwrap_or_else(|| Path::new("."));
        Ok(Self { manifest, component: component.into(), docs: docs(beside)? })
    }
}

fn docs(folder: &Path) -> Result<Docs, HostError> {
    let wit = folder.join("wit");
    if wit.is_dir() { Ok(Docs::from_folder(&wit)?) } else { Ok(Docs::default()) }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, HostError> {
    let size = fs::metadata(path).map_err(|error| unreadable(path, error))?.len();
    if size > limit {
        return Err(unreadable(path, format!("it has {size} bytes, the limit is {limit}")));
    }
    fs::read(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, message: impl ToString) -> HostError {
    HostError::Package { path: path.display().to_string(), message: message.to_string() }
}

/// The file of a component in the data folder.
pub(super) fn path(folder: &Path, digest: &str) -> PathBuf {
    folder.join(format!("{digest}.wasm"))
}

/// Writes a component into the data folder, unless it is there.
pub(super) async fn keep(folder: &Path, digest: &str, component: Bytes) -> Result<(), HostError> {
    let path = path(folder, digest);
    let temp = folder.join(format!(".{digest}.tmp"));
    let folder = folder.to_owned();
    let digest = digest.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        if fs::read(&path).is_ok_and(|there| crate::digest(&there) == digest) {
            return Ok(());
        }
        fs::create_dir_all(&folder)?;
        let mut file = fs::File::create(&temp)?;
        file.write_all(&component)?;
        file.sync_all()?;
        fs::rename(&temp, &path)?;
        fs::File::open(&folder)?.sync_all()
    })
    .await
    .map_err(|_| HostError::Inspector)?;
    written.map_err(|source| HostError::Folder { source })
}
