//! Why a plugin was not built.

use std::io;
use std::path::Path;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file of the plugin is not as it must be.
    #[error("{path}: {message}")]
    Project { path: String, message: String },
    /// A piece of the tool chain is not on this machine; `fix` is what to do about it.
    #[error("{what}: {fix}")]
    Missing { what: String, fix: String },
    /// A compiler, or another program, did not do its work. `output` is what it said, where nobody has seen it yet.
    #[error("{what}{}{}", if output.is_empty() { "" } else { ":\n" }, output.trim_end())]
    Failed { what: String, output: String },
    /// What the compiler made is no component, and cannot be made one.
    #[error("no component can be made of what was compiled: {0}")]
    Component(String),
    /// A file or a program cannot be reached.
    #[error("{doing}")]
    Io { doing: String, source: io::Error },
}

impl BuildError {
    /// The code in `--json` and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Project { .. } => "BUILD_PROJECT",
            Self::Missing { .. } => "BUILD_TOOL_MISSING",
            Self::Failed { .. } => "BUILD_FAILED",
            Self::Component(_) => "BUILD_COMPONENT",
            Self::Io { .. } => "BUILD_IO",
        }
    }

    pub(crate) fn project(path: &Path, message: impl Into<String>) -> Self {
        Self::Project { path: path.display().to_string(), message: message.into() }
    }

    pub(crate) fn missing(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), fix: fix.into() }
    }

    pub(crate) fn failed(what: impl Into<String>, output: impl Into<String>) -> Self {
        Self::Failed { what: what.into(), output: output.into() }
    }

    /// Names what was tried in front of an error of the system.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
