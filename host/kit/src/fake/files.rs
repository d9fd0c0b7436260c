//! Folders that a guest sees, made for one case.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::error::KitError;
use crate::matching::shown_bytes;
use crate::report::Failure;
use crate::story::Content;

/// The folder of the machine that stands for the folder `guest`.
pub fn host_of(folder: &Path, guest: &str) -> PathBuf {
    let name: String = guest.trim_matches('/').replace('/', "_");
    folder.join(if name.is_empty() { "root".to_owned() } else { name })
}

/// Makes a folder with its files.
pub fn seed(folder: &Path, guest: &str, files: &BTreeMap<String, Content>) -> Result<(), KitError> {
    let root = host_of(folder, guest);
    make(&root)?;
    for (path, content) in files {
        let relative = Path::new(path);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(KitError::kit(format!("`files`: `{path}` is no path below `{guest}`")));
        }
        let at = root.join(relative);
        if let Some(parent) = at.parent() {
            make(parent)?;
        }
        std::fs::write(&at, &content.0).map_err(|source| KitError::Io { path: at, source })?;
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), KitError> {
    std::fs::create_dir_all(folder).map_err(|source| KitError::Io { path: folder.to_owned(), source })
}

/// How a folder differs from what it must hold.
pub fn differences(folder: &Path, guest: &str, wanted: &BTreeMap<String, Content>) -> Vec<Failure> {
    let mut there = BTreeMap::new();
    let root = host_of(folder, guest);
    collect(&root, &root, &mut there);
    let mut failures = Vec::new();
    for (path, content) in wanted {
        let failure = Failure::new(format!("the file {path} of {guest} differs"));
        match there.remove(path) {
            None => failures.push(failure.with(shown_bytes(&content.0), "no such file")),
            Some(bytes) if bytes != content.0 => {
                failures.push(failure.with(shown_bytes(&content.0), shown_bytes(&bytes)));
            }
            Some(_) => {}
        }
    }
    for (path, bytes) in there {
        let failure = Failure::new(format!("nobody expects the file {path} of {guest}"));
        failures.push(failure.with("no such file", shown_bytes(&bytes)));
    }
    failures
}

/// Every file below a folder; what cannot be read is empty.
fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(root, &path, files);
        } else if let Ok(relative) = path.strip_prefix(root) {
            let name = relative.to_string_lossy().replace('\\', "/");
            files.insert(name, std::fs::read(&path).unwrap_or_default());
        }
    }
}
