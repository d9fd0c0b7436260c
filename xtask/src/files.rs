//! Folders of files: listed, hashed, copied.

use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// Every file below `folder`, sorted; none when there is no such folder. Build folders are left out.
pub fn below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot list {}", folder.display())),
        };
        for entry in entries {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                files.push(entry.path());
            } else if entry.file_name() != "target" && entry.file_name() != "node_modules" {
                folders.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A hash over names and contents of files.
#[derive(Clone)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// `version` changes when the way of building does.
    pub fn new(version: &str) -> Self {
        Self(Sha256::new().chain_update(version))
    }

    /// Adds the file `path`, or every file below it.
    pub fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let files = if path.is_file() { vec![path.to_path_buf()] } else { below(path)? };
        for file in files {
            let content = read(&file)?;
            let name = file.to_string_lossy();
            // Both lengths go first, so that no two sets of files read the same.
            self.0.update((name.len() as u64).to_le_bytes());
            self.0.update((content.len() as u64).to_le_bytes());
            self.0.update(name.as_bytes());
            self.0.update(content);
        }
        Ok(())
    }

    /// The hash as text.
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// Reads `path`; the error names it.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads `path` as text; the error names it.
pub fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes `path` in one step, with its folders: a reader sees the old file or the new one.
pub fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut file, content)?;
    make_readable(file.as_file())?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// A temporary file is its owner's alone, the file that it becomes is not.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// Makes `to` the same folder as `from`: what is not there any more goes away.
pub fn mirror(from: &Path, to: &Path) -> anyhow::Result<()> {
    remove(to)?;
    for file in below(from)? {
        let relative = file.strip_prefix(from)?;
        write(&to.join(relative), &read(&file)?)?;
    }
    Ok(())
}

/// Removes a file or a folder, if it is there.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
