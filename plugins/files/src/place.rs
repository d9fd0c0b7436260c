//! A path as the model names it, and where it is for the standard library.

use std::path::PathBuf;

use crate::Error;
use crate::failure::{failure, grant_hint};

/// A path below the root, free of `.` and `..`.
#[derive(Clone, Debug)]
pub struct Place {
    /// Absolute, for people: `/notes/today.md`.
    pub path: String,
    /// For the standard library.
    pub real: PathBuf,
    /// Whether it was named from `/` on, as places of the whole machine are.
    is_absolute: bool,
}

impl Place {
    /// Relative paths start at `/`. Fails with `invalid_path`, or `denied` when `..` leads above `/`.
    pub fn new(path: &str) -> Result<Self, Error> {
        if path.is_empty() || path.contains('\0') {
            return Err(failure("invalid_path", "a path must not be empty and holds no NUL".into()));
        }
        let mut parts = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        let message = format!(
                            "`{path}` leads out of the granted folders, which all lie below `/`. {}",
                            grant_hint("/NAME", "ro")
                        );
                        return Err(failure("denied", message));
                    }
                }
                name => parts.push(name),
            }
        }
        let mut real = root();
        real.extend(&parts);
        Ok(Self { path: format!("/{}", parts.join("/")), real, is_absolute: path.starts_with('/') })
    }

    /// An entry of this folder.
    pub fn join(&self, name: &str) -> Self {
        let path = format!("{}/{name}", self.path.trim_end_matches('/'));
        Self { path, real: self.real.join(name), is_absolute: self.is_absolute }
    }

    /// Whether a folder above it can be seen, as one of those that are granted.
    pub fn is_granted(&self) -> bool {
        let above = self.path.split('/').filter(|part| !part.is_empty()).count();
        self.real.ancestors().skip(1).take(above).any(|folder| folder.metadata().is_ok())
    }

    /// The folder right below `/` that would hold it, when it was named from `/` on and no such folder is there.
    pub fn foreign_folder(&self) -> Option<String> {
        let (top, _) = self.path.strip_prefix('/')?.split_once('/')?;
        let is_foreign = self.is_absolute && root().join(top).symlink_metadata().is_err();
        is_foreign.then(|| format!("/{top}"))
    }

    /// The folder it is in, or `/`.
    pub fn folder(&self) -> &str {
        match self.path.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((folder, _)) => folder,
        }
    }

    /// The last part, empty for `/`.
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(_, name)| name)
    }
}

#[cfg(not(test))]
fn root() -> PathBuf {
    PathBuf::from("/")
}

#[cfg(test)]
fn root() -> PathBuf {
    crate::tests::root()
}
