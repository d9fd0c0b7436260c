//! A plugin on its way in: a folder with `plugin.toml`, a bare component, or an archive.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_package::{PackageError, SignedPackage, archive, contents};
use bytes::Bytes;

use super::HostError;
use crate::error::InstallError;
use crate::inspect::Docs;
use crate::limits;
use crate::manifest::Manifest;

/// The file beside a component that says what the plugin asks for.
const MANIFEST: &str = contents::MANIFEST;
/// The longest `plugin.toml`.
const MANIFEST_BYTES: u64 = 256 << 10;
/// The longest schema of settings.
const SCHEMA_BYTES: u64 = 256 << 10;

/// What an install needs.
#[derive(Debug, Clone)]
pub struct Package {
    /// The text of `plugin.toml`.
    pub manifest: String,
    pub component: Bytes,
    pub docs: Docs,
    /// The text of the JSON Schema that the settings of the plugin must fit.
    pub config_schema: Option<String>,
    /// Where it was read from; empty when nobody said.
    pub source: String,
    /// The archive that it came in, whose every byte was checked.
    pub shipped: Option<Arc<SignedPackage>>,
    /// Whether it comes with the host itself, and is as trusted.
    pub is_bundled: bool,
}

impl Package {
    /// A manifest and a component, and nothing beside them.
    pub fn new(manifest: impl Into<String>, component: impl Into<Bytes>) -> Self {
        Self {
            manifest: manifest.into(),
            component: component.into(),
            docs: Docs::default(),
            config_schema: None,
            source: String::new(),
            shipped: None,
            is_bundled: false,
        }
    }

    /// Reads a folder with `plugin.toml`, its component and perhaps `wit/`, a `.berth` archive, or a `.wasm` file.
    ///
    /// The file is what its folder says when a `plugin.toml` beside it names it, and else a bare component with perhaps
    /// `wit/` beside it, which is named after its file.
    pub fn read(path: &Path) -> Result<Self, HostError> {
        let package = if path.is_dir() {
            Self::folder(path)?
        } else if path.extension().is_some_and(|ending| ending == archive::ENDING) {
            Self::archive(path)?
        } else {
            Self::file(path)?
        };
        Ok(Self { source: path.display().to_string(), ..package })
    }

    fn file(path: &Path) -> Result<Self, HostError> {
        let beside = path.parent().unwrap_or_else(|| Path::new("."));
        if beside.join(MANIFEST).is_file() {
            let (manifest, parsed) = manifest(beside)?;
            if path.file_name() == Some(component_name(&parsed).as_ref()) {
                let config_schema = config_schema(beside, &parsed)?;
                let docs = docs(beside)?;
                return Ok(Self { docs, config_schema, ..Self::new(manifest, component(path)?) });
            }
        }
        Self::bare(path, beside)
    }

    /// The manifest as it is kept: its last line names the schema, so that packages that differ in nothing else are two,
    /// and each has a schema of its own for as long as it may be put in place.
    pub fn kept_manifest(&self) -> String {
        match &self.config_schema {
            None => self.manifest.clone(),
            Some(schema) => {
                let line = format!("# schema sha256:{}\n", crate::digest(schema.as_bytes()));
                if self.manifest.ends_with(&line) {
                    return self.manifest.clone();
                }
                format!("{}\n{line}", self.manifest.trim_end_matches('\n'))
            }
        }
    }

    /// What an operator agrees to, in lower-case hex: the digest of the archive, else one of the component, the manifest
    /// and the schema of the settings together.
    pub fn digest(&self) -> String {
        match &self.shipped {
            Some(shipped) => shipped.digest(),
            None => whole_digest(&self.kept_manifest(), &crate::digest(&self.component)),
        }
    }

    /// Refuses a package that has another [`Self::digest`] than `wanted`, which is hex with or without `sha256:`. Makes
    /// digests: call it on a blocking thread.
    pub fn check_digest(&self, wanted: &str) -> Result<(), HostError> {
        same_digest(wanted, self.digest(), || crate::digest(&self.component))
    }

    fn folder(path: &Path) -> Result<Self, HostError> {
        let (manifest, parsed) = manifest(path)?;
        let component = component(&path.join(component_name(&parsed)))?;
        let config_schema = config_schema(path, &parsed)?;
        Ok(Self { docs: docs(path)?, config_schema, ..Self::new(manifest, component) })
    }

    fn bare(path: &Path, beside: &Path) -> Result<Self, HostError> {
        let component = component(path)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_ascii_lowercase();
        let id: String = stem
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
            .take(40)
            .collect();
        let manifest = format!("[plugin]\nid = \"{id}\"\nversion = \"0.0.0\"\n");
        Ok(Self { docs: docs(beside)?, ..Self::new(manifest, component) })
    }

    /// Reads an archive and checks every byte of it; its manifest must say what its index does.
    fn archive(path: &Path) -> Result<Self, HostError> {
        let bytes = size(path)?;
        if bytes > archive::MAX_ARCHIVE_BYTES {
            let limit = archive::MAX_ARCHIVE_BYTES;
            return Err(unreadable(path, format!("it has {bytes} bytes, the limit is {limit}")));
        }
        let bytes = fs::read(path).map_err(|error| unreadable(path, error))?;
        Self::shipped(SignedPackage::from_archive(&bytes)?)
    }

    /// What a checked archive holds. The doc comments stand in the component, where packing put them.
    pub fn shipped(shipped: SignedPackage) -> Result<Self, HostError> {
        let files = shipped.contents();
        let manifest = utf8(files.require(MANIFEST)?, MANIFEST)?;
        let parsed = Manifest::parse(&manifest)?;
        if parsed.id != shipped.id() || parsed.version != *shipped.version() {
            return Err(PackageError::Damaged {
                reason: format!(
                    "it says that it is {} {}, and its plugin.toml is of {} {}",
                    shipped.id(),
                    shipped.version(),
                    parsed.id,
                    parsed.version
                ),
            }
            .into());
        }
        let component = files.require(&component_name(&parsed))?.clone();
        let schema =
            parsed.config_schema.as_ref().map(|name| utf8(files.require(name)?, name)).transpose()?;
        let package = Self { config_schema: schema, ..Self::new(manifest, component) };
        Ok(Self { shipped: Some(Arc::new(shipped)), ..package })
    }
}

/// The digest of a component with the manifest as it is kept, which names the schema of the settings by its digest.
pub(super) fn whole_digest(kept_manifest: &str, component: &str) -> String {
    crate::digest(format!("{component}\n{kept_manifest}").as_bytes())
}

/// Refuses `found` where it is not what was `wanted`, and says when that is its component alone.
pub(super) fn same_digest(
    wanted: &str,
    found: String,
    component: impl FnOnce() -> String,
) -> Result<(), HostError> {
    let wanted = wanted.strip_prefix("sha256:").unwrap_or(wanted).to_ascii_lowercase();
    if wanted == found {
        return Ok(());
    }
    Err(HostError::OtherDigest { wanted, found, component: component() })
}

/// The text of a file of an archive.
fn utf8(bytes: &[u8], name: &str) -> Result<String, PackageError> {
    let text = std::str::from_utf8(bytes);
    let reason = || format!("its {name} is no text");
    text.map(str::to_owned).map_err(|_| PackageError::Damaged { reason: reason() })
}

/// Reads and checks the manifest of a folder.
pub fn manifest(folder: &Path) -> Result<(String, Manifest), HostError> {
    let text = text(&folder.join(MANIFEST), MANIFEST_BYTES)?;
    let parsed = Manifest::parse(&text)?;
    Ok((text, parsed))
}

/// Reads the schema of the settings that the manifest names, a file beside it.
pub(crate) fn config_schema(folder: &Path, manifest: &Manifest) -> Result<Option<String>, HostError> {
    let Some(name) = &manifest.config_schema else { return Ok(None) };
    let file = folder.join(name);
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Err(unreadable(&file, "`schema_file` must name a file beside plugin.toml"));
    }
    text(&file, SCHEMA_BYTES).map(Some)
}

/// Reads a text of at most `limit` bytes.
fn text(file: &Path, limit: u64) -> Result<String, HostError> {
    let size = size(file)?;
    if size > limit {
        return Err(unreadable(file, format!("it has {size} bytes, the limit is {limit}")));
    }
    let bytes = fs::read(file).map_err(|error| unreadable(file, error))?;
    String::from_utf8(bytes).map_err(|_| unreadable(file, "it is no UTF-8"))
}

/// The file of the component beside the manifest.
pub fn component_name(manifest: &Manifest) -> String {
    manifest.component.clone().unwrap_or_else(|| format!("{}.wasm", manifest.id))
}

/// Reads a component, unless it is larger than any host takes.
pub(crate) fn component(path: &Path) -> Result<Bytes, HostError> {
    let bytes = usize::try_from(size(path)?).unwrap_or(usize::MAX);
    if bytes > limits::MAX_COMPONENT_BYTES {
        return Err(InstallError::TooLarge { bytes, limit: limits::MAX_COMPONENT_BYTES }.into());
    }
    Ok(fs::read(path).map_err(|error| unreadable(path, error))?.into())
}

pub(crate) fn docs(folder: &Path) -> Result<Docs, HostError> {
    let wit = folder.join("wit");
    if wit.is_dir() { Ok(Docs::from_folder(&wit)?) } else { Ok(Docs::default()) }
}

fn size(path: &Path) -> Result<u64, HostError> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, error))?;
    if metadata.is_file() { Ok(metadata.len()) } else { Err(unreadable(path, "it is no file")) }
}

pub(crate) fn unreadable(path: &Path, message: impl ToString) -> HostError {
    HostError::Package { path: path.display().to_string(), message: message.to_string() }
}

/// The file of a component in the data folder.
pub(super) fn path(folder: &Path, digest: &str) -> PathBuf {
    folder.join(format!("{digest}.wasm"))
}

/// The file of the schema of a package in the data folder: each manifest of a component has its own.
pub(super) fn schema_path(folder: &Path, manifest: &str, component: &str) -> PathBuf {
    folder.join(format!("{}.config.json", whole_digest(manifest, component)))
}

/// Writes a component into the data folder, unless it is there.
pub(super) async fn keep(folder: &Path, digest: &str, component: Bytes) -> Result<(), HostError> {
    keep_file(folder, path(folder, digest), component).await
}

/// Writes a file into the data folder, unless it is there as it should be.
pub(super) async fn keep_file(folder: &Path, path: PathBuf, content: Bytes) -> Result<(), HostError> {
    let mut temp = path.clone();
    temp.add_extension("tmp");
    let folder = folder.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        if fs::read(&path).is_ok_and(|there| crate::digest(&there) == crate::digest(&content)) {
            return Ok(());
        }
        fs::create_dir_all(&folder)?;
        let written = fs::File::create(&temp).and_then(|mut file| {
            file.write_all(&content)?;
            file.sync_all()
        });
        if let Err(error) = written {
            // A full disk is not made fuller.
            let _ = fs::remove_file(&temp);
            return Err(error);
        }
        fs::rename(&temp, &path)?;
        fs::File::open(&folder)?.sync_all()
    })
    .await
    .map_err(|_| HostError::Inspector)?;
    written.map_err(|source| HostError::Folder { source })
}

/// The files that a version of a plugin has in the data folder.
pub(super) fn files_of(folder: &Path, manifest: &str, digest: &str) -> [PathBuf; 2] {
    [path(folder, digest), schema_path(folder, manifest, digest)]
}

/// Removes what is not `needed` from the data folder, unfinished files too, and says whose components are gone.
pub(super) fn sweep(folder: &Path, needed: &HashSet<PathBuf>) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut gone = Vec::new();
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().into_string().unwrap_or_default();
        let whole = name.strip_suffix(".tmp").unwrap_or(&name);
        let is_ours = whole.ends_with(".wasm") || whole.ends_with(".config.json");
        if !is_ours || needed.contains(&folder.join(whole)) {
            continue;
        }
        fs::remove_file(&path)?;
        gone.extend(whole.strip_suffix(".wasm").map(str::to_owned));
    }
    Ok(gone)
}
