//! Folders of files: listed, hashed, copied.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::BuildError;

/// Every file below `folder`, sorted; none when there is no such folder. Build folders are left out.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(listing(&folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(listing(&folder))?;
            if !entry.file_type().map_err(listing(&folder))?.is_dir() {
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

    /// Adds a word, such as the version of a tool.
    pub fn with(mut self, word: &str) -> Self {
        self.0.update((word.len() as u64).to_le_bytes());
        self.0.update(word);
        self
    }

    /// Adds the file `path`, or every file below it.
    pub fn add(&mut self, path: &Path) -> Result<(), BuildError> {
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
pub fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    std::fs::read(path).map_err(reading(path))
}

/// Reads `path` as text; the error names it.
pub fn read_text(path: &Path) -> Result<String, BuildError> {
    std::fs::read_to_string(path).map_err(reading(path))
}

/// Writes `path` in one step, with its folders: a reader sees the old file or the new one.
pub fn write(path: &Path, content: &[u8]) -> Result<(), BuildError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .map_err(BuildError::io(format!("{} cannot be made", folder.display())))?;
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        std::io::Write::write_all(&mut file, content)?;
        make_readable(file.as_file())?;
        file.persist(path)?;
        Ok(())
    });
    written.map_err(BuildError::io(format!("{} cannot be written", path.display())))
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
pub fn mirror(from: &Path, to: &Path) -> Result<(), BuildError> {
    remove(to)?;
    for file in below(from)? {
        let relative = file.strip_prefix(from).unwrap_or(&file);
        write(&to.join(relative), &read(&file)?)?;
    }
    Ok(())
}

/// Removes a file or a folder, if it is there.
pub fn remove(path: &Path) -> Result<(), BuildError> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BuildError::io(format!("{} cannot be removed", path.display()))(error))
        }
        _ => Ok(()),
    }
}

fn listing(folder: &Path) -> impl FnOnce(std::io::Error) -> BuildError {
    BuildError::io(format!("{} cannot be listed", folder.display()))
}

fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> BuildError {
    BuildError::io(format!("{} cannot be read", path.display()))
}
