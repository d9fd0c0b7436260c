//! Secrets that a plugin uses and never holds.

pub mod exchange;
pub mod fields;
mod scope;
pub mod uses;

pub use scope::{
    DEFAULT_OPERATIONS, NAMED_OPERATIONS, check_request, check_scope, covers, wanted_name, wanted_operation,
    wanted_placement,
};

use berth_secrets::{Asker, DeskError, OperationError, SecretName};

use super::CapabilityError;

/// A handle of a guest: which secret it means, and nothing of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    pub name: SecretName,
}

/// Reads a name that a guest gave.
pub fn name(text: &str) -> Result<SecretName, CapabilityError> {
    text.parse().map_err(|error: berth_secrets::BadName| {
        CapabilityError::new("SECRET_NAME_INVALID", error.to_string())
    })
}

/// Who asks in a call of `plugin`.
pub fn asker<'a>(plugin: &'a str, workspace: &'a str) -> Asker<'a> {
    Asker { plugin, workspace }
}

impl From<OperationError> for CapabilityError {
    fn from(error: OperationError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// What the vault says to a guest: that a secret cannot be opened, and not why. The operator finds that in the log and
/// in `berth secret list`.
impl From<DeskError> for CapabilityError {
    fn from(error: DeskError) -> Self {
        let code = error.code();
        match &error {
            DeskError::Limited { after, .. } => {
                let mut limited = Self::new(code, error.to_string());
                limited.retryable = true;
                limited.retry_after_ms = Some(u32::try_from(after.as_millis()).unwrap_or(u32::MAX).max(1));
                limited
            }
            DeskError::Vault(berth_secrets::VaultError::Unknown { .. })
            | DeskError::NameTaken { .. }
            | DeskError::TooMany => Self::new(code, error.to_string()),
            DeskError::Vault(inner) => {
                tracing::error!(code, error = inner as &dyn std::error::Error, "a secret cannot be used");
                let mut hidden = Self::new(
                    "SECRET_UNAVAILABLE",
                    "the secret cannot be opened: the operator finds out why with `berth secret list`",
                );
                hidden.retryable = matches!(inner, berth_secrets::VaultError::Store { .. });
                hidden
            }
        }
    }
}
