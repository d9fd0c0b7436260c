//! Why a program did not run, or not to its end.

use crate::layers::Layer;
use crate::rule::Refused;

/// Why a program did not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("the command is not allowed: {0}")]
    Refused(Refused),
    #[error("`{program}` is not installed on this host: {paths}")]
    NotInstalled { program: String, paths: String },
    #[error("the file of `{program}` can be changed by others: {path}")]
    Changeable { program: String, path: String },
    #[error("`{program}` runs in a granted folder only: name one")]
    FolderNeeded { program: String },
    #[error("`{program}` works in no folder")]
    FolderUnused { program: String },
    #[error("the folder cannot be used: {message}")]
    Folder { message: String },
    #[error("the input has {bytes} bytes, the limit is {limit}")]
    InputTooLarge { bytes: usize, limit: usize },
    #[error("{what} is busy: {limit} programs are running")]
    Busy { what: &'static str, limit: usize },
    #[error(
        "this machine lacks {}: the policy must say `allow_weaker = true` to run without",
        layers.iter().map(|layer| layer.as_str()).collect::<Vec<_>>().join(" and ")
    )]
    Weaker { layers: Vec<Layer> },
    #[error("the program could not be started: {message}")]
    Start { message: String },
    #[error("the program did not end within {seconds} s")]
    Timeout { seconds: f64 },
    #[error("the call was cancelled")]
    Cancelled,
    #[error("the launcher of programs failed: {message}")]
    Launcher { message: String },
}

impl ProcessError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "COMMAND_REFUSED",
            Self::NotInstalled { .. } => "PROGRAM_NOT_INSTALLED",
            Self::Changeable { .. } => "PROGRAM_CHANGEABLE",
            Self::FolderNeeded { .. } => "PROGRAM_FOLDER_NEEDED",
            Self::FolderUnused { .. } => "PROGRAM_FOLDER_UNUSED",
            Self::Folder { .. } => "PROGRAM_FOLDER",
            Self::InputTooLarge { .. } => "PROGRAM_INPUT_TOO_LARGE",
            Self::Busy { .. } => "PROGRAM_BUSY",
            Self::Weaker { .. } => "PROGRAM_SANDBOX_WEAKER",
            Self::Start { .. } => "PROGRAM_START",
            Self::Timeout { .. } => "PROGRAM_TIMEOUT",
            Self::Cancelled => "PROGRAM_CANCELLED",
            Self::Launcher { .. } => "PROGRAM_LAUNCHER",
        }
    }

    /// Whether the same may work a little later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}
