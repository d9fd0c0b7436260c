//! Where things lie: the data folder, the access token in it, the address of the host that uses it.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Overrides the data folder.
pub const DATA_VARIABLE: &str = "BERTH_DATA";
/// Overrides the token.
pub const TOKEN_VARIABLE: &str = "BERTH_ACCESS_TOKEN";

/// The access token. It has no `Display`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A data folder that is in use. The lock ends with the process, however that ends.
pub struct FolderLock {
    _file: std::fs::File,
}

/// The folder that a host keeps everything in.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// `--data`, else `BERTH_DATA`, else `./.berth` where there is one, else the user's data folder.
    pub fn find(flag: Option<PathBuf>) -> anyhow::Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = flag.or_else(|| set(DATA_VARIABLE)) {
            return Ok(Self(path));
        }
        let here = PathBuf::from(".berth");
        if here.is_dir() {
            return Ok(Self(here));
        }
        set("XDG_DATA_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".local/share")))
            .or_else(|| set("APPDATA"))
            .map(|base| Self(base.join("berth")))
            .context("no data folder is known: name one with --data DIR")
    }

    /// Makes the folder, closed to other users.
    pub fn create(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.0).with_context(|| format!("{} cannot be made", self.0.display()))?;
        restrict(&self.0, 0o700)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn token_file(&self) -> PathBuf {
        self.0.join("access-token")
    }

    fn address_file(&self) -> PathBuf {
        self.0.join("address")
    }

    /// The token from the environment or the file, if there is one.
    pub fn lookup_token(&self) -> anyhow::Result<Option<Token>> {
        if let Some(token) = std::env::var(TOKEN_VARIABLE).ok().filter(|token| !token.trim().is_empty()) {
            return Ok(Some(Token(token.trim().to_owned())));
        }
        let path = self.token_file();
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                anyhow::bail!("{} is empty: remove it and start the host again", path.display())
            }
            Ok(text) => Ok(Some(Token(text.trim().to_owned()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// The token; made and kept in a file of mode 0600 when there is none.
    pub fn ensure_token(&self) -> anyhow::Result<Token> {
        if let Some(token) = self.lookup_token()? {
            return Ok(token);
        }
        self.renew_token()
    }

    /// Makes a new token in place of the old one.
    pub fn renew_token(&self) -> anyhow::Result<Token> {
        let token = hex::encode(rand::random::<[u8; 32]>());
        write_private(&self.token_file(), &token)?;
        Ok(Token(token))
    }

    /// Keeps other hosts out of the folder while the lock lives.
    pub fn lock(&self) -> Result<FolderLock, crate::failure::Failure> {
        let path = self.0.join("lock");
        let failed = || format!("{} cannot be opened", path.display());
        let file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(crate::failure::Failure::failed(
                "data_folder_in_use",
                format!("another berth uses {}: stop it, or give this one its own --data", self.0.display()),
            )),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(anyhow::Error::from(error).context(failed()).into())
            }
        }
    }

    /// Leaves the address of the running host for the other commands.
    pub fn write_address(&self, url: &str) -> anyhow::Result<()> {
        write_private(&self.address_file(), url)
    }

    /// The address that the last host on this folder left.
    pub fn lookup_address(&self) -> Option<String> {
        std::fs::read_to_string(self.address_file())
            .ok()
            .map(|text| text.trim().to_owned())
            .filter(|url| !url.is_empty())
    }
}

/// Writes beside and renames, so that a reader sees the old text or the new one.
fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let failed = || format!("{} cannot be written", path.display());
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).with_context(failed)?;
    restrict(&beside, 0o600)?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).with_context(failed)?;
    std::fs::rename(&beside, path).with_context(failed)
}

#[cfg(unix)]
fn restrict(path: &Path, mode: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("the mode of {} cannot be set", path.display()))
}

#[cfg(not(unix))]
fn restrict(_: &Path, _: u32) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir(folder.path().join("data"));
        data.create().unwrap();

        let first = data.renew_token().unwrap();

        let path = data.token_file();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(data.path()).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_to_string(path).unwrap().trim(), first.expose());
        assert_eq!(first.expose().len(), 64);
        assert_eq!(format!("{first:?}"), "Token(…)");
    }
}
