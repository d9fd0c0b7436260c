//! The folders that calls may touch, and the way from a path to an open handle in one of them.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use berth_provider::CallError;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::Deserialize;

/// What calls may do below a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Access {
    #[default]
    #[serde(rename = "ro")]
    ReadOnly,
    #[serde(rename = "rw")]
    ReadWrite,
}

/// How much one call moves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest piece of a file that `file.read` answers with.
    pub max_read_bytes: usize,
    /// The largest file that `file.write` leaves behind.
    pub max_write_bytes: usize,
    /// The most entries that `file.list` answers with.
    pub max_list_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_read_bytes: 1024 * 1024, max_write_bytes: 1024 * 1024, max_list_entries: 1000 }
    }
}

/// A folder with the name that calls know it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootSpec {
    pub name: String,
    pub path: PathBuf,
    pub access: Access,
}

impl FromStr for RootSpec {
    type Err = String;

    /// Reads `NAME=PATH`, `NAME=PATH:rw` or `NAME=PATH:ro`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text.split_once('=').ok_or("a root is NAME=PATH or NAME=PATH:rw")?;
        let (path, access) = match path.rsplit_once(':') {
            Some((path, "rw")) => (path, Access::ReadWrite),
            Some((path, "ro")) => (path, Access::ReadOnly),
            _ => (path, Access::ReadOnly),
        };
        if path.is_empty() {
            return Err(format!("the root `{name}` has no path"));
        }
        Ok(Self { name: name.to_owned(), path: PathBuf::from(path), access })
    }
}

/// Why the roots cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("the root name `{name}` must be 1 to 64 letters, digits, `-` or `_`")]
    Name { name: String },
    #[error("the root `{name}` is given twice")]
    Twice { name: String },
    #[error("the root `{name}` cannot be opened at {}", path.display())]
    Open { name: String, path: PathBuf, source: io::Error },
}

/// The open roots.
pub struct Roots {
    by_name: BTreeMap<String, Root>,
    pub(crate) limits: Limits,
}

pub(crate) struct Root {
    pub name: String,
    pub access: Access,
    pub dir: Dir,
}

/// A path that has been checked: where it starts, and what is below.
pub(crate) struct Place<'a> {
    pub root: &'a Root,
    /// Without `..`, never absolute; `.` for the root itself.
    pub below: PathBuf,
}

impl Roots {
    /// Opens every folder now, so that a later change of the path changes nothing.
    pub fn open(specs: &[RootSpec], limits: Limits) -> Result<Self, RootError> {
        let mut by_name = BTreeMap::new();
        for RootSpec { name, path, access } in specs {
            let plain = |character: char| character.is_ascii_alphanumeric() || "-_".contains(character);
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                return Err(RootError::Name { name: name.clone() });
            }
            let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(|source| RootError::Open {
                name: name.clone(),
                path: path.clone(),
                source,
            })?;
            let root = Root { name: name.clone(), access: *access, dir };
            if by_name.insert(name.clone(), root).is_some() {
                return Err(RootError::Twice { name: name.clone() });
            }
        }
        Ok(Self { by_name, limits })
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether any root may be written to.
    pub fn any_writable(&self) -> bool {
        self.by_name.values().any(|root| root.access == Access::ReadWrite)
    }

    /// The names with their access, sorted.
    pub fn names(&self) -> impl Iterator<Item = (&str, Access)> {
        self.by_name.iter().map(|(name, root)| (name.as_str(), root.access))
    }

    /// Finds the root that `path` starts with.
    ///
    /// Fails with `path_required` or `path_not_allowed`, naming the roots that there are.
    pub(crate) fn place(&self, path: &str) -> Result<Place<'_>, CallError> {
        if path.trim().is_empty() {
            return Err(CallError::new("path_required", format!("a path is needed; it starts with {self}")));
        }
        if path.starts_with('/') {
            return Err(refused(format!("`{path}` is absolute; a path starts with {self}")));
        }
        if path.contains('\0') {
            return Err(refused("a path holds no zero byte".to_owned()));
        }
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let root = self
            .by_name
            .get(name)
            .ok_or_else(|| refused(format!("`{path}` is in no root; a path starts with {self}")))?;
        let mut below = PathBuf::new();
        for component in Path::new(rest).components() {
            match component {
                Component::Normal(part) => below.push(part),
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(refused(format!(
                        "`{path}` holds `..`, which the root `{name}` does not allow"
                    )));
                }
            }
        }
        if below.as_os_str().is_empty() {
            below.push(".");
        }
        Ok(Place { root, below })
    }
}

impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("the name of a root, and there is none");
        }
        let names: Vec<String> = self.by_name.keys().map(|name| format!("`{name}/`")).collect();
        f.write_str(&names.join(" or "))
    }
}

impl Place<'_> {
    /// Fails with `path_not_allowed` when nothing may be written here.
    pub fn writable(&self) -> Result<(), CallError> {
        match self.root.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(refused(format!("the root `{}` is read-only", self.root.name))),
        }
    }

    /// The path as the caller writes it.
    pub fn shown(&self) -> String {
        if self.below.as_os_str() == "." {
            return self.root.name.clone();
        }
        format!("{}/{}", self.root.name, self.below.display())
    }

    /// An error of the file system in the words of a caller; `missing` is the code of what is not there.
    pub fn failed(&self, missing: &'static str, error: &io::Error) -> CallError {
        let path = self.shown();
        match error.kind() {
            io::ErrorKind::NotFound => CallError::new(missing, format!("`{path}` does not exist")),
            io::ErrorKind::NotADirectory => CallError::new(missing, format!("`{path}` is no directory")),
            io::ErrorKind::IsADirectory => CallError::new(missing, format!("`{path}` is a directory")),
            // The file system's own refusal has a number, cap-std's has none.
            io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => {
                refused(format!("`{path}` leads out of the root `{}`", self.root.name))
            }
            io::ErrorKind::PermissionDenied => {
                CallError::new("file_denied", format!("this machine's user may not touch `{path}`"))
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                CallError::new("file_failed", format!("no space is left for `{path}`")).retryable()
            }
            io::ErrorKind::FileTooLarge => {
                CallError::new("file_too_large", format!("this machine takes no file as large as `{path}`"))
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                CallError::new("file_denied", format!("`{path}` is on a disk that is read-only"))
            }
            io::ErrorKind::InvalidFilename => CallError::new(
                "path_not_allowed",
                format!("this machine takes no name like that of `{path}`"),
            ),
            _ => {
                tracing::warn!(path, %error, "a file operation failed");
                CallError::new("file_failed", format!("`{path}` cannot be used"))
            }
        }
    }
}

fn refused(message: String) -> CallError {
    CallError::new("path_not_allowed", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots() -> (tempfile::TempDir, Roots) {
        let dir = tempfile::tempdir().unwrap();
        let spec = |name: &str, access| RootSpec { name: name.into(), path: dir.path().into(), access };
        let specs = [spec("docs", Access::ReadOnly), spec("notes", Access::ReadWrite)];
        let roots = Roots::open(&specs, Limits::default()).unwrap();
        (dir, roots)
    }

    #[test]
    fn a_path_that_may_not_be_named_says_which_may() {
        let (_dir, roots) = roots();

        for (path, code, says) in [
            ("", "path_required", "`docs/` or `notes/`"),
            ("/etc/passwd", "path_not_allowed", "absolute; a path starts with `docs/` or `notes/`"),
            ("../etc/passwd", "path_not_allowed", "in no root"),
            ("other/a", "path_not_allowed", "in no root; a path starts with `docs/` or `notes/`"),
            ("docs/../notes/a", "path_not_allowed", "`..`, which the root `docs` does not allow"),
            ("docs/a/../b", "path_not_allowed", "the root `docs`"),
            ("docs/a\0b", "path_not_allowed", "zero byte"),
        ] {
            let error = roots.place(path).err().unwrap();
            assert_eq!(error.code, code, "{path}");
            assert!(error.message.contains(says), "{path}: {}", error.message);
        }
    }

    #[test]
    fn a_path_starts_with_the_name_of_its_root() {
        let (_dir, roots) = roots();

        for (path, shown) in
            [("docs", "docs"), ("docs/", "docs"), ("docs//a/./b", "docs/a/b"), ("notes/..a", "notes/..a")]
        {
            assert_eq!(roots.place(path).unwrap().shown(), shown);
        }
    }

    #[test]
    fn a_root_is_read_only_until_somebody_says_otherwise() {
        let (_dir, roots) = roots();

        assert_eq!(
            roots.place("docs/a").unwrap().writable().unwrap_err().message,
            "the root `docs` is read-only"
        );
        assert_eq!(roots.place("notes/a").unwrap().writable(), Ok(()));
    }

    #[test]
    fn a_root_on_the_command_line_is_a_name_a_path_and_maybe_its_access() {
        let read = |text: &str| text.parse::<RootSpec>().map(|spec| (spec.name, spec.path, spec.access));

        assert_eq!(read("a=/x"), Ok(("a".into(), "/x".into(), Access::ReadOnly)));
        assert_eq!(read("a=/x:y:rw"), Ok(("a".into(), "/x:y".into(), Access::ReadWrite)));
        assert!(read("/x").is_err() && read("a=:rw").is_err());
    }

    #[test]
    fn what_the_disk_says_becomes_a_code_and_a_sentence() {
        let (_dir, roots) = roots();
        let place = roots.place("notes/a").unwrap();
        use rustix::io::Errno;

        for (error, code, retryable, says) in [
            (Errno::NOSPC, "file_failed", true, "no space is left for `notes/a`"),
            (Errno::DQUOT, "file_failed", true, "no space is left for `notes/a`"),
            (Errno::FBIG, "file_too_large", false, "as large as `notes/a`"),
            (Errno::ROFS, "file_denied", false, "read-only"),
            (Errno::ACCESS, "file_denied", false, "this machine's user may not touch `notes/a`"),
            (Errno::NAMETOOLONG, "path_not_allowed", false, "no name like that of `notes/a`"),
            (Errno::NOENT, "missing", false, "does not exist"),
            (Errno::IO, "file_failed", false, "cannot be used"),
        ] {
            let failed = place.failed("missing", &error.into());
            assert_eq!((failed.code, failed.retryable), (code, retryable), "{error:?}: {failed}");
            assert!(failed.message.contains(says), "{failed}");
        }
    }

    #[test]
    fn a_root_that_is_not_there_stops_the_start_by_name() {
        let spec = |name: &str, path: &str| RootSpec {
            name: name.into(),
            path: path.into(),
            access: Access::ReadOnly,
        };

        let missing = Roots::open(&[spec("docs", "/no/such/folder")], Limits::default()).err().unwrap();
        let twice = Roots::open(&[spec("a", "/"), spec("a", "/")], Limits::default()).err().unwrap();
        let odd = Roots::open(&[spec("a/b", "/")], Limits::default()).err().unwrap();

        assert_eq!(missing.to_string(), "the root `docs` cannot be opened at /no/such/folder");
        assert_eq!(twice.to_string(), "the root `a` is given twice");
        assert!(odd.to_string().contains("`a/b`"));
    }
}
