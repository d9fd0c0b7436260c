//! Why a provider cannot be built, and why it stopped for good.

/// What is wrong with a provider that shall be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("the address `{address}` of Core cannot be used: {reason}")]
    Address { address: String, reason: &'static str },
    #[error("the access token holds characters that no header can carry, or none at all")]
    Token,
    #[error("the {what} `{id}` must have 1 to 255 characters without white space")]
    Identity { what: &'static str, id: String },
    #[error("the list of tools has {bytes} bytes, Core takes {limit}")]
    TooManyTools { bytes: usize, limit: usize },
}

impl BuildError {
    /// The code in logs and in `docs/errors.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Address { .. } => "provider_address",
            Self::Token => "provider_token",
            Self::Identity { .. } => "provider_identity",
            Self::TooManyTools { .. } => "provider_too_many_tools",
        }
    }
}

/// Why a provider gives up: Core would say the same again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    #[error("core refuses the access token ({told})")]
    Unauthorized { told: String },
    #[error("core refuses the connection: {code}: {message}")]
    Refused { code: String, message: String },
    #[error("core does not take this endpoint: {code}: {message}")]
    Rejected { code: String, message: String },
    #[error("core answers with schema `{schema}`, version {version}, not with the ones that were offered")]
    Protocol { schema: String, version: u64 },
}

impl Stopped {
    /// The code in logs and in `docs/errors.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "provider_unauthorized",
            Self::Refused { .. } => "provider_refused",
            Self::Rejected { .. } => "provider_rejected",
            Self::Protocol { .. } => "provider_protocol",
        }
    }

    /// What a process that ends for this reason returns: 3, not authorised.
    pub const fn exit_code(&self) -> u8 {
        3
    }
}
