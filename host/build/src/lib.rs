//! Builds plugins: finds the tool chain of a language on this machine, or says what is missing, and makes a component.
//!
//! [`Project`] is a plugin in one of the languages, [`Workshop`] what it is built with and who hears how it goes on;
//! [`Project::build`] yields the bytes of the component. No command goes through a shell, and nothing is fetched but
//! from the registries of the languages (crates, npm, PyPI, rustup, and Debian's where that is allowed).
//!
//! To add a language: a file like [`c`], its word in [`Language`], its tell-tale file in [`Language::of`], its template.

pub mod c;
pub mod command;
mod component;
pub mod debian;
mod error;
pub mod files;
pub mod javascript;
mod language;
pub mod npm;
pub mod python;
pub mod rust;
pub mod toolchain;
mod wit;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

pub use component::encode;
pub use error::BuildError;
pub use language::Language;
pub use rust::Crate;
pub use toolchain::{Choice, Toolchain};

/// Whether what Debian packages may be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packages {
    /// As root, or by a `sudo` that asks nothing.
    Install,
    /// A missing one ends the build with the command that installs it.
    Explain,
}

/// What plugins are built with.
pub struct Workshop<'a> {
    /// Where the tool chains from npm and PyPI are kept, for all plugins.
    pub cache: PathBuf,
    pub packages: Packages,
    /// The compiler for Rust; the first that works when it is not said.
    pub choice: Option<Choice>,
    /// Whether cargo tells what it compiles.
    pub verbose: bool,
    /// Hears each step, in one line.
    pub say: &'a dyn Fn(&str),
}

impl Workshop<'_> {
    fn say(&self, line: &str) {
        (self.say)(line);
    }

    /// Holds `folder`, of a tool chain in the cache, against other builds until the file is dropped. Waits for them.
    fn hold(&self, folder: &Path) -> Result<File, BuildError> {
        let path = folder.join("lock");
        let failed = || BuildError::io(format!("{} cannot be locked", path.display()));
        std::fs::create_dir_all(folder)
            .map_err(BuildError::io(format!("{} cannot be made", folder.display())))?;
        let file = File::options().create(true).append(true).open(&path).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                self.say(&format!("waiting for another build that installs into {}", folder.display()));
                file.lock().map_err(failed())?;
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        }
        Ok(file)
    }

    /// Sees to it that Debian packages are there. `why` begins the refusal, such as `a plugin in C needs clang`.
    pub fn need(&self, why: &str, packages: &[&str]) -> Result<(), BuildError> {
        if self.packages == Packages::Install {
            return debian::install(packages, self.say);
        }
        let fix = format!("run `apt-get install {}`", packages.join(" "));
        Err(BuildError::Missing { what: why.to_owned(), fix })
    }
}

/// A plugin to build.
#[derive(Debug, Clone)]
pub struct Project {
    /// An absolute path.
    pub folder: PathBuf,
    pub language: Language,
    /// The world of `wit/` that the component is of; the only one when it is not said.
    pub world: Option<String>,
    /// The file that the build begins at, where the language has a choice: a module of JavaScript or Python.
    pub source: Option<PathBuf>,
    /// Whether the manifest asks for `http`: a runtime that brings it along imports it then, and only then.
    pub http: bool,
}

impl Project {
    /// Builds the component.
    ///
    /// What comes in between goes into `target/` of the folder, or into `CARGO_TARGET_DIR` for Rust. Blocks, from
    /// a second to minutes when a tool chain is fetched first. Fails with `BUILD_PROJECT` (a file of the plugin is not
    /// as it must be), `BUILD_TOOL_MISSING` (with the fix), `BUILD_FAILED` (with what the compiler says),
    /// `BUILD_COMPONENT` and `BUILD_IO`.
    pub fn build(&self, workshop: &Workshop<'_>) -> Result<Vec<u8>, BuildError> {
        match self.language {
            Language::Rust => rust::build(&Crate::read(self.folder.clone())?, workshop),
            Language::JavaScript => javascript::build(self, workshop),
            Language::Python => python::build(self, workshop),
            Language::C => c::build(self, workshop),
        }
    }

    /// The folder of what comes in between.
    fn target(&self) -> PathBuf {
        self.folder.join("target")
    }

    fn wit(&self) -> PathBuf {
        self.folder.join("wit")
    }
}

/// The cache of this user: `BERTH_CACHE`, else `berth` below the cache folder that the system has for users.
pub fn user_cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let below = |folder: PathBuf| folder.join("berth");
    set("BERTH_CACHE").or_else(|| set("XDG_CACHE_HOME").map(below)).or_else(|| {
        if cfg!(target_os = "macos") {
            set("HOME").map(|home| home.join("Library/Caches/berth"))
        } else {
            set("LOCALAPPDATA").map(below).or_else(|| set("HOME").map(|home| home.join(".cache/berth")))
        }
    })
}

/// The text of a path for an argument or a file that others read.
fn utf8(path: &Path) -> Result<&str, BuildError> {
    path.to_str().ok_or_else(|| BuildError::project(path, "its name is no UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    fn workshop<'a>(cache: &Path, say: &'a dyn Fn(&str)) -> Workshop<'a> {
        Workshop { cache: cache.to_owned(), packages: Packages::Explain, choice: None, verbose: false, say }
    }

    #[test]
    fn two_builds_install_a_tool_chain_one_after_the_other() {
        let cache = std::env::temp_dir().join(format!("berth-build-hold-{}", std::process::id()));
        let folder = cache.join("npm/tool");
        let first = workshop(&cache, &|_| {}).hold(&folder).unwrap();
        let (told, hears) = mpsc::channel();

        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let say = |line: &str| told.send(line.to_owned()).unwrap();
                workshop(&cache, &say).hold(&folder).unwrap();
                told.send("held".to_owned()).unwrap();
            });
            assert!(hears.recv().unwrap().starts_with("waiting for another build"));
            assert!(hears.try_recv().is_err());
            drop(first);
            assert_eq!(hears.recv().unwrap(), "held");
            second.join().unwrap();
        });
        std::fs::remove_dir_all(&cache).unwrap();
    }
}
