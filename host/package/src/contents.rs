//! The files of a package.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use crate::PackageError;

/// The manifest, which every package has.
pub const MANIFEST: &str = "plugin.toml";
/// The most files of a package.
pub const MAX_FILES: usize = 1_000;
/// The longest path inside a package: what the oldest form of a tar header takes.
pub const MAX_NAME_BYTES: usize = 100;
/// The most bytes of a package, and so of each file: a component of the largest size, and as much beside it.
pub const MAX_BYTES: u64 = 64 << 20;
/// What a package says of itself, and no file of a plugin is named.
const RESERVED: &str = "berth.";

/// The files of a package, by their path, as plain bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    files: BTreeMap<String, Bytes>,
    bytes: u64,
}

impl Contents {
    /// Adds a file; fails with `PACKAGE_NAME_REFUSED` or `PACKAGE_TOO_LARGE`, and then holds what it held before.
    pub fn add(&mut self, name: &str, content: Bytes) -> Result<(), PackageError> {
        check_name(name)?;
        let refused = |reason| PackageError::Name { name: name.to_owned(), reason };
        if self.files.contains_key(name) {
            return Err(refused("there is one of that name already"));
        }
        // Some systems that a package is unpacked on see one file where we see two.
        if self.files.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(refused("there is one that differs in capitals only"));
        }
        let found = self.files.len() as u64 + 1;
        if self.files.len() == MAX_FILES {
            return Err(PackageError::TooLarge { what: "files", found, limit: MAX_FILES as u64 });
        }
        let bytes = self.bytes.saturating_add(content.len() as u64);
        if bytes > MAX_BYTES {
            return Err(PackageError::TooLarge { what: "bytes", found: bytes, limit: MAX_BYTES });
        }
        self.bytes = bytes;
        self.files.insert(name.to_owned(), content);
        Ok(())
    }

    /// Reads the named files of a folder. What is no regular file, a symbolic link too, is refused.
    pub fn from_folder<'a>(
        folder: &Path,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, PackageError> {
        let mut contents = Self::default();
        for name in names {
            check_name(name)?;
            let path = folder.join(name);
            let failed = |source| PackageError::Io { path: path.clone(), source };
            if !path.symlink_metadata().map_err(failed)?.is_file() {
                return Err(PackageError::Name { name: name.to_owned(), reason: "it is no regular file" });
            }
            let mut content = Vec::new();
            let file = File::open(&path).map_err(failed)?;
            file.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
            contents.add(name, content.into())?;
        }
        Ok(contents)
    }

    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    /// The file, or `PACKAGE_INCOMPLETE`.
    pub fn require(&self, name: &str) -> Result<&Bytes, PackageError> {
        self.get(name).ok_or_else(|| PackageError::Missing { name: name.to_owned() })
    }

    /// Paths and bytes, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(name, content)| (name.as_str(), content))
    }

    /// How many bytes all files have together.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A path of plain names: nothing that leads out of a folder, is hidden, or means something to a shell.
fn check_name(name: &str) -> Result<(), PackageError> {
    let refused = |reason| Err(PackageError::Name { name: name.escape_default().to_string(), reason });
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return refused("a path has 1 to 100 bytes");
    }
    if name.starts_with(RESERVED) {
        return refused("names that begin with `berth.` belong to the package itself");
    }
    for part in name.split('/') {
        if part.is_empty() || part.starts_with('.') || part.starts_with('-') {
            return refused("each part of a path begins with a letter, a digit or `_`");
        }
        if !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte)) {
            return refused("paths are of letters, digits, `.`, `_`, `-`, `+` and `/`");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_path_that_leads_anywhere_else_is_refused() {
        let mut contents = Contents::default();
        for name in
            ["", "/etc/passwd", "../up", "a/../b", ".hidden", "a//b", "a b", "a\\b", "-rf", "berth.sig", "ü"]
        {
            assert_eq!(
                contents.add(name, Bytes::new()).unwrap_err().code(),
                "PACKAGE_NAME_REFUSED",
                "{name}"
            );
        }
        contents.add(&"a".repeat(MAX_NAME_BYTES), Bytes::new()).unwrap();
        assert!(contents.add(&"a".repeat(MAX_NAME_BYTES + 1), Bytes::new()).is_err());
    }

    #[test]
    fn two_names_that_some_disk_takes_for_one_are_refused() {
        let mut contents = Contents::default();
        contents.add("wit/a.wit", Bytes::new()).unwrap();
        assert!(contents.add("wit/a.wit", Bytes::new()).is_err());
        assert!(contents.add("wit/A.wit", Bytes::new()).is_err());
    }

    #[test]
    fn no_more_files_and_no_more_bytes_than_the_limit() {
        let mut contents = Contents::default();
        contents.add("big", vec![0; usize::try_from(MAX_BYTES).unwrap()].into()).unwrap();
        assert_eq!(contents.add("one", vec![0].into()).unwrap_err().code(), "PACKAGE_TOO_LARGE");

        let mut contents = Contents::default();
        for number in 0..MAX_FILES {
            contents.add(&format!("f{number}"), Bytes::new()).unwrap();
        }
        assert_eq!(contents.add("more", Bytes::new()).unwrap_err().code(), "PACKAGE_TOO_LARGE");
    }

    #[test]
    fn a_link_in_the_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("real"), "x").unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();

        assert!(Contents::from_folder(folder.path(), ["real"]).is_ok());
        assert_eq!(
            Contents::from_folder(folder.path(), ["link"]).unwrap_err().code(),
            "PACKAGE_NAME_REFUSED"
        );
        assert_eq!(Contents::from_folder(folder.path(), ["none"]).unwrap_err().code(), "PACKAGE_UNREADABLE");
    }
}
