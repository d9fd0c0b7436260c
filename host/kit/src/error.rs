//! Why a plugin could not be tested at all. What a test finds is no error: see [`crate::report`].

use std::path::PathBuf;

use berth_wasm::{DescribeError, EngineError, HostError, InstallError, LoadError};

/// Why no case was run.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    #[error(
        "{} has no stories: write one in tests/NAME.toml, docs/plugin-testing.md begins with a short one",
        folder.display()
    )]
    NoStories { folder: PathBuf },
    #[error("no case of {} has `{filter}` in its name or file", folder.display())]
    NothingFits { folder: PathBuf, filter: String },
    #[error("{} is not built: run `berth plugin build` first ({message})", folder.display())]
    NotBuilt { folder: PathBuf, message: String },
    /// Of a story or a cassette.
    #[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    Story {
        file: PathBuf,
        /// Counted from 1.
        line: Option<usize>,
        message: String,
    },
    #[error("{} cannot be read or written", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the test kit cannot play its part: {message}")]
    Kit { message: String },
    #[error(transparent)]
    Package(#[from] HostError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Describe(#[from] DescribeError),
}

impl KitError {
    /// The code in JSON and in `docs/errors.md`.
    pub fn code(&self) -> &str {
        match self {
            Self::NoStories { .. } => "KIT_NO_STORIES",
            Self::NothingFits { .. } => "KIT_NOTHING_FITS",
            Self::NotBuilt { .. } => "KIT_NOT_BUILT",
            Self::Story { .. } => "KIT_STORY_INVALID",
            Self::Io { .. } => "KIT_FILE",
            Self::Kit { .. } => "KIT_FAILURE",
            Self::Package(error) => error.code(),
            Self::Install(error) => error.code(),
            Self::Engine(error) => error.code(),
            Self::Load(error) => error.code(),
            Self::Describe(error) => error.code(),
        }
    }

    pub(crate) fn kit(message: impl ToString) -> Self {
        Self::Kit { message: message.to_string() }
    }
}
