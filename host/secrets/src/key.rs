//! The key of the vault: a file of mode 0600, or a credential of systemd.
//!
//! The file is an age identity file. Its first key seals, all of them open: while the key is changed there are two.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use age::x25519::Identity;
use zeroize::Zeroizing;

/// The file in the data folder.
pub const FILE_NAME: &str = "secrets.key";
/// The name of the credential under `CREDENTIALS_DIRECTORY`.
pub const CREDENTIAL: &str = "berth-secrets-key";
/// A larger file is no key file.
const FILE_BYTES: u64 = 64 << 10;

/// Where the key lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file that is made at first need.
    File(PathBuf),
    /// A file that the service manager lays out and that is only read.
    Credential(PathBuf),
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key of the secrets, {}, is not there: put it back from a backup, or remove the secrets and set them anew", path.display())]
    Missing { path: PathBuf },
    #[error("the key of the secrets, {}, has the mode {mode:04o} and may be read by others: run `chmod 600 {}`", path.display(), path.display())]
    Mode { path: PathBuf, mode: u32 },
    #[error("the key of the secrets, {}, belongs to the user {owner}, who is not the one that runs berth: run `chown` on it", path.display())]
    Owner { path: PathBuf, owner: u32 },
    #[error("the key of the secrets, {}, is no regular file with age keys: put the right one back from a backup", path.display())]
    Invalid { path: PathBuf },
    #[error("the key of the secrets, {}, is a credential of the service manager, which only reads it: put an age key there", path.display())]
    ReadOnly { path: PathBuf },
    #[error("the key of the secrets, {}, cannot be read or written", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl KeyError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "SECRET_KEY_MISSING",
            Self::Mode { .. } | Self::Owner { .. } => "SECRET_KEY_MODE",
            Self::Invalid { .. } => "SECRET_KEY_INVALID",
            Self::ReadOnly { .. } => "SECRET_KEY_READ_ONLY",
            Self::Io { .. } => "SECRET_KEY_UNREADABLE",
        }
    }
}

impl KeyPlace {
    /// The configured file, else the credential where there is one, else a file in the data folder.
    ///
    /// `credentials` is the value of `CREDENTIALS_DIRECTORY`.
    pub fn find(data: &Path, configured: Option<&Path>, credentials: Option<&OsStr>) -> Self {
        if let Some(path) = configured {
            return Self::File(path.to_owned());
        }
        let credential = credentials.map(|folder| Path::new(folder).join(CREDENTIAL));
        match credential.filter(|path| path.exists()) {
            Some(path) => Self::Credential(path),
            None => Self::File(data.join(FILE_NAME)),
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }

    /// Looks at the file without keeping anything of it; `Ok(false)` when there is none yet.
    pub fn check(&self) -> Result<bool, KeyError> {
        Ok(self.read()?.is_some())
    }

    /// The keys, the one that seals first; `None` when there is no file.
    pub(crate) fn read(&self) -> Result<Option<Vec<Identity>>, KeyError> {
        let path = self.path();
        let unreadable = |source| KeyError::Io { path: path.to_owned(), source };
        let file = match open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        // What was opened is looked at, not what the path names by then.
        let entry = file.metadata().map_err(unreadable)?;
        let invalid = || KeyError::Invalid { path: path.to_owned() };
        if !entry.is_file() || entry.len() > FILE_BYTES {
            return Err(invalid());
        }
        closed_to_others(path, &entry)?;
        let room = usize::try_from(entry.len()).map_err(|_| invalid())? + 1;
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        file.take(FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| invalid())?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys: Vec<Identity> = lines.map(str::parse).collect::<Result<_, _>>().map_err(|_| invalid())?;
        if keys.is_empty() { Err(invalid()) } else { Ok(Some(keys)) }
    }

    /// The keys; a new one when there is none and the place is ours to write.
    pub(crate) fn read_or_make(&self) -> Result<Vec<Identity>, KeyError> {
        if let Some(keys) = self.read()? {
            return Ok(keys);
        }
        self.write(&[&Identity::generate()], Existing::Keep)?;
        // Whoever was first, his key is the one that counts.
        self.read()?.ok_or_else(|| KeyError::Missing { path: self.path().to_owned() })
    }

    /// Puts `keys` in the place of what is there, all at once.
    pub(crate) fn write(&self, keys: &[&Identity], existing: Existing) -> Result<(), KeyError> {
        let Self::File(path) = self else {
            return Err(KeyError::ReadOnly { path: self.path().to_owned() });
        };
        put(path, keys, existing).map_err(|source| KeyError::Io { path: path.clone(), source })
    }
}

/// What happens to a key that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

/// Writes beside, to the disk, and then takes the name: a reader and the next start see the old keys or the new ones.
fn put(path: &Path, keys: &[&Identity], existing: Existing) -> std::io::Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(256 * (keys.len() + 1)));
    text.push_str("# The key of berth's secrets. Whoever has it and the database has every secret.\n");
    for key in keys {
        text.push_str(&format!("# public key: {}\n", key.to_public()));
        text.push_str(key.to_string().expose_secret());
        text.push('\n');
    }
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let placed = match existing {
        Existing::Replace => std::fs::rename(&beside, path),
        Existing::Keep => {
            // A link does not replace what another process made in the meantime.
            let linked = match std::fs::hard_link(&beside, path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                other => other,
            };
            let removed = std::fs::remove_file(&beside);
            linked.and(removed)
        }
    };
    placed?;
    // The name itself has to survive a loss of power, before anything is sealed with the key.
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Opens without waiting: a pipe in the place of the file would hold the host up.
#[cfg(unix)]
fn open(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits();
    let flags = i32::try_from(flags).map_err(std::io::Error::other)?;
    let mut options = OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    options.read(true).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

/// Nobody but the user that runs the host may read the key; the service manager owns the credentials that it lays out.
#[cfg(unix)]
fn closed_to_others(path: &Path, entry: &std::fs::Metadata) -> Result<(), KeyError> {
    use std::os::unix::fs::MetadataExt;
    let mode = entry.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: path.to_owned(), mode });
    }
    let owner = entry.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(KeyError::Owner { path: path.to_owned(), owner });
    }
    Ok(())
}

#[cfg(not(unix))]
fn closed_to_others(_: &Path, _: &std::fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::find(folder.path(), None, None);
        assert!(!place.check().unwrap());

        let made = place.read_or_make().unwrap();
        let again = place.read_or_make().unwrap();

        assert_eq!(made[0].to_public().to_string(), again[0].to_public().to_string());
        let entries: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(entries, [FILE_NAME]);
        assert_eq!(std::fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn of_two_who_make_the_key_at_once_both_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::File(folder.path().join("k"));
        let (first, second) = (Identity::generate(), Identity::generate());

        place.write(&[&first], Existing::Keep).unwrap();
        place.write(&[&second], Existing::Keep).unwrap();

        let kept = place.read().unwrap().unwrap();
        assert_eq!(kept[0].to_public().to_string(), first.to_public().to_string());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_command_that_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = KeyPlace::find(folder.path(), None, None);
        place.read_or_make().unwrap();

        for open in [0o640, 0o604, 0o620, 0o677] {
            mode(place.path(), open);
            let error = place.read_or_make().err().unwrap();
            assert_eq!(error.code(), "SECRET_KEY_MODE");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        mode(place.path(), 0o400);
        assert!(place.check().unwrap());
    }

    #[test]
    fn what_is_no_key_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let place = KeyPlace::File(path.clone());
        for text in ["", "# nothing\n", "AGE-SECRET-KEY-1\n", "\u{0}\n", "age1abc\n"] {
            std::fs::write(&path, text).unwrap();
            mode(&path, 0o600);

            assert_eq!(place.read_or_make().err().unwrap().code(), "SECRET_KEY_INVALID", "{text:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(place.read_or_make().err().unwrap().code(), "SECRET_KEY_INVALID");
    }

    #[test]
    fn a_credential_of_the_service_manager_is_read_and_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let data = tempfile::tempdir().unwrap();
        let directory = Some(folder.path().as_os_str());
        let path = folder.path().join(CREDENTIAL);
        assert_eq!(KeyPlace::find(data.path(), None, directory), KeyPlace::File(data.path().join(FILE_NAME)));
        KeyPlace::File(path.clone()).read_or_make().unwrap();
        mode(&path, 0o400);

        let place = KeyPlace::find(data.path(), None, directory);
        let keys = place.read_or_make().unwrap();
        let refused = place.write(&[&keys[0]], Existing::Replace).unwrap_err();

        assert_eq!(place, KeyPlace::Credential(path));
        assert_eq!(refused.code(), "SECRET_KEY_READ_ONLY");
        let configured = Path::new("/elsewhere/key");
        assert_eq!(
            KeyPlace::find(data.path(), Some(configured), directory),
            KeyPlace::File(configured.into())
        );
    }
}
