//! The folders that the probe is given, and what lies around them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder of the system's temporary ones; it goes away with this.
pub(super) struct Folders(PathBuf);

impl Folders {
    /// `rw` and `keep` to be granted, and beside them a file that no guest may see.
    pub fn make() -> io::Result<Self> {
        let root = std::env::temp_dir().join(format!("berth-probe-{:016x}", rand::random::<u64>()));
        // Fails when it is there already: nobody else has prepared it.
        fs::create_dir(&root)?;
        let folders = Self(root.canonicalize()?);
        for folder in ["rw", "keep"] {
            fs::create_dir(folders.0.join(folder))?;
        }
        fs::write(folders.0.join("outside.txt"), "not for guests")?;
        fs::write(folders.0.join("rw/mine.txt"), "mine")?;
        fs::write(folders.0.join("keep/kept.txt"), "kept")?;
        #[cfg(unix)]
        std::os::unix::fs::symlink("../outside.txt", folders.0.join("rw/escape"))?;
        Ok(folders)
    }

    /// The folder that a guest knows as `guest`.
    pub fn path(&self, guest: &str) -> PathBuf {
        self.0.join(Path::new(guest).file_name().unwrap_or_default())
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder of the self-test is left behind");
        }
    }
}
