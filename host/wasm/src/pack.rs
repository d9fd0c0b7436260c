//! Packing: from the folder of a plugin to the files of a package.

use std::path::{Path, PathBuf};

use berth_package::{Contents, SignedPackage, contents};
use bytes::Bytes;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::host::{HostError, package};
use crate::inspect::{Docs, Inspection, inspect};
use crate::manifest::{Manifest, ManifestError};

/// Files that go along when they are there.
const BESIDE: [&str; 5] = ["README.md", "CHANGELOG.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT"];
/// The folder of the interfaces.
const WIT: &str = "wit";

/// A package, and what its inspection said.
#[derive(Debug)]
pub struct Packed {
    pub package: SignedPackage,
    pub inspection: Inspection,
    /// What a publisher would want to put right first.
    pub warnings: Vec<String>,
}

/// Packs the folder of a plugin: its manifest, component, schema of settings, WIT, readme and licences.
///
/// The doc comments of `wit/` go into the component, which has lost its own, and the digest of the component into
/// `plugin.toml`. Fails as an install of the folder would. Reads and compares bytes: call it on a blocking thread.
pub fn pack(folder: &Path) -> Result<Packed, HostError> {
    let (text, manifest) = package::manifest(folder)?;
    let file = package::component_name(&manifest);
    let docs = package::docs(folder)?;
    let component = Bytes::from(embedded(&docs, &package::component(&folder.join(&file))?));
    let inspection = inspect(&component, &manifest, &Docs::default())?;

    let mut contents = Contents::default();
    contents.add(contents::MANIFEST, with_digest(&text, &file, &inspection.digest)?.into())?;
    contents.add(&file, component)?;
    let schema = package::config_schema(folder, &manifest)?;
    if let (Some(name), Some(schema)) = (&manifest.config_schema, schema) {
        contents.add(name, schema.into())?;
    }
    let mut names: Vec<String> =
        BESIDE.iter().filter(|name| folder.join(name).is_file()).map(|name| (*name).to_owned()).collect();
    wit_files(folder, Path::new(WIT), &mut names)?;
    for (name, content) in Contents::from_folder(folder, names.iter().map(String::as_str))?.iter() {
        contents.add(name, content.clone())?;
    }
    let package = SignedPackage::pack(&manifest.id, &manifest.version, contents)?;
    let warnings = warnings(&manifest, &inspection);
    Ok(Packed { package, inspection, warnings })
}

/// The component with the doc comments that it does not have yet.
fn embedded(docs: &Docs, component: &[u8]) -> Vec<u8> {
    let mut there = Docs::default();
    there.add_sections(component);
    if there.is_empty() { docs.embed(component) } else { component.to_vec() }
}

/// The manifest with the name and the digest of its component, and all else as its author wrote it.
fn with_digest(text: &str, file: &str, digest: &str) -> Result<String, ManifestError> {
    // It was read as TOML before.
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| ManifestError::unreadable(error.message()))?;
    let component = document.entry("component").or_insert(Item::Table(Table::new()));
    component["file"] = value(file);
    component["sha256"] = value(digest);
    Ok(document.to_string())
}

/// The paths of all WIT files under `at`, which is relative to `folder`.
fn wit_files(folder: &Path, at: &Path, names: &mut Vec<String>) -> Result<(), HostError> {
    let place: PathBuf = folder.join(at);
    if !place.is_dir() {
        return Ok(());
    }
    for entry in place.read_dir().map_err(|error| package::unreadable(&place, error))? {
        let entry = entry.map_err(|error| package::unreadable(&place, error))?;
        let path = at.join(entry.file_name());
        if folder.join(&path).is_dir() {
            wit_files(folder, &path, names)?;
        } else if path.extension().is_some_and(|ending| ending == "wit") {
            let name = path.to_str().ok_or_else(|| package::unreadable(&path, "its name is no UTF-8"))?;
            names.push(name.to_owned());
        }
    }
    Ok(())
}

fn warnings(manifest: &Manifest, inspection: &Inspection) -> Vec<String> {
    let mut warnings = inspection.warnings.clone();
    for tool in inspection.tools.iter().filter(|tool| tool.description.trim().is_empty()) {
        warnings.push(format!("{} has no doc comment: a model is told nothing of it", tool.name));
    }
    if manifest.description.trim().is_empty() {
        warnings.push("plugin.toml has no description".to_owned());
    }
    for wish in manifest.requests.iter().filter(|wish| wish.reason.trim().is_empty()) {
        warnings.push(format!("plugin.toml gives no reason why it asks for {}", wish.capability.as_str()));
    }
    warnings
}
