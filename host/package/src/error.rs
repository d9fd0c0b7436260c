//! Why a package is not taken.

use std::io;
use std::path::PathBuf;

/// Why a package is not taken, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{} cannot be read or written", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the package has {found} {what}, the limit is {limit}")]
    TooLarge { what: &'static str, found: u64, limit: u64 },
    #[error("a package cannot hold a file named `{name}`: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("the package has no {name}")]
    Missing { name: String },
    #[error(
        "the package is damaged: {reason}. Get it again, and compare its digest with what the publisher says"
    )]
    Damaged { reason: String },
    #[error(
        "the signature of the package does not fit: {reason}. Do not use it; get it from its publisher again"
    )]
    Signature { reason: String },
    #[error(
        "{what} is no key of a publisher: one is `ed25519:` and 43 characters of base64, from `berth plugin key`"
    )]
    Key { what: String },
    #[error("the signing key {} may be read by others: run `chmod 600 {}`", path.display(), path.display())]
    KeyMode { path: PathBuf },
    #[error("{} is no signing key: make one with `berth plugin key new`", path.display())]
    KeyFile { path: PathBuf },
    #[error("publishers.toml{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
    Policy { message: String, line: Option<usize> },
    #[error("{what} is revoked: {reason}")]
    Revoked { what: String, reason: String },
    #[error(
        "`{id}` is not signed, and the policy takes signed packages only. Ask its publisher, or allow it in publishers.toml"
    )]
    Unsigned { id: String },
    #[error(
        "the policy names who may publish `{id}`, and {key} is not among them. Add it to publishers.toml if it should be"
    )]
    NotAllowed { id: String, key: String },
    #[error(
        "nobody here knows {key}, which signed `{id}`. Add it to publishers.toml after comparing it with what the publisher says"
    )]
    Unknown { id: String, key: String },
    #[error(
        "`{id}` {offered} is older than {there}, which is in place. To go back: berth plugin rollback {id}"
    )]
    Downgrade { id: String, offered: String, there: String },
    #[error(
        "berth.lock is damaged: {reason}. Take it from a backup, or remove it to pin anew what is installed"
    )]
    Lock { reason: String },
    #[error(
        "berth.lock pins `{id}` to {wanted}, and the package is {found}. Without --locked it would be pinned anew"
    )]
    Locked { id: String, wanted: String, found: String },
}

impl PackageError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "PACKAGE_UNREADABLE",
            Self::TooLarge { .. } => "PACKAGE_TOO_LARGE",
            Self::Name { .. } => "PACKAGE_NAME_REFUSED",
            Self::Missing { .. } => "PACKAGE_INCOMPLETE",
            Self::Damaged { .. } => "PACKAGE_DAMAGED",
            Self::Signature { .. } => "PACKAGE_SIGNATURE_INVALID",
            Self::Key { .. } => "PUBLISHER_KEY_INVALID",
            Self::KeyMode { .. } => "SIGNING_KEY_MODE",
            Self::KeyFile { .. } => "SIGNING_KEY_INVALID",
            Self::Policy { .. } => "PUBLISHERS_INVALID",
            Self::Revoked { .. } => "PACKAGE_REVOKED",
            Self::Unsigned { .. } => "PACKAGE_UNSIGNED",
            Self::NotAllowed { .. } => "PUBLISHER_NOT_ALLOWED",
            Self::Unknown { .. } => "PUBLISHER_UNKNOWN",
            Self::Downgrade { .. } => "PACKAGE_DOWNGRADE",
            Self::Lock { .. } => "LOCK_DAMAGED",
            Self::Locked { .. } => "LOCK_MISMATCH",
        }
    }

    pub(crate) fn damaged(reason: impl Into<String>) -> Self {
        Self::Damaged { reason: reason.into() }
    }

    pub(crate) fn signature(reason: impl Into<String>) -> Self {
        Self::Signature { reason: reason.into() }
    }
}
