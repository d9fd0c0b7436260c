//! Why a use case could not be carried out.

use berth_model::tool::ToolFailure;
use serde_json::Value;

use crate::port::store::StoreError;

/// The one error of core's use cases.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// Nothing has this id, or it was deleted. `code` is such as `thread_not_found`.
    #[error("unknown {kind}: {id}")]
    NotFound { kind: &'static str, id: String },
    /// The request itself is wrong.
    #[error("{message}")]
    Invalid { code: &'static str, message: String },
    /// The request is right, but not now.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// The actor may not do this.
    #[error("{message}")]
    Forbidden { code: &'static str, message: String },
    /// A queue is full or the host is stopping.
    #[error("{message}")]
    Busy { code: &'static str, message: String },
    /// A tool call did not yield a result.
    #[error(transparent)]
    Tool(#[from] ToolFailure),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CoreError {
    /// The code on the wire, in logs and in `docs/errors.md`. Never renamed, never reused.
    pub fn code(&self) -> String {
        match self {
            Self::NotFound { kind, .. } => format!("{kind}_not_found"),
            Self::Invalid { code, .. }
            | Self::Conflict { code, .. }
            | Self::Forbidden { code, .. }
            | Self::Busy { code, .. } => (*code).to_owned(),
            Self::Tool(failure) => failure.code.clone(),
            Self::Store(StoreError::DiskFull { .. }) => "disk_full".to_owned(),
            Self::Store(_) => "store_unavailable".to_owned(),
        }
    }

    pub fn retryable(&self) -> bool {
        match self {
            Self::Busy { .. } => true,
            Self::Tool(failure) => failure.retryable,
            Self::Store(error) => {
                matches!(error, StoreError::Unavailable { .. } | StoreError::DiskFull { .. })
            }
            _ => false,
        }
    }

    /// Facts for programs.
    pub fn details(&self) -> Value {
        match self {
            Self::Tool(failure) => failure.details.clone(),
            _ => Value::Null,
        }
    }
}
