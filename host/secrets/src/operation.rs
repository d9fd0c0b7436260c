//! What the host does with a value for a guest that must not learn it.
//!
//! Each function says what its answer tells of the value. Two hold for all of them: whoever has a digest can try weak
//! values against it at leisure, so a secret that people made up is no secret here; and what is encrypted or decrypted
//! shows that, and never the key.

pub mod aes;
pub mod digest;
pub mod sorted;

/// The most bytes that an operation takes.
pub const INPUT_BYTES: usize = 1 << 20;

/// Why an operation was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    #[error("the input has more than {INPUT_BYTES} bytes")]
    TooLarge,
    #[error("the secret is no key of this form: {0}")]
    KeyForm(&'static str),
    #[error("the input is not right: {0}")]
    Input(&'static str),
    #[error("the text cannot be decrypted")]
    Undecryptable,
}

impl OperationError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "SECRET_INPUT_TOO_LARGE",
            Self::KeyForm(_) => "SECRET_KEY_FORM",
            Self::Input(_) => "SECRET_INPUT_INVALID",
            Self::Undecryptable => "SECRET_UNDECRYPTABLE",
        }
    }
}

/// Refuses what is too large, all pieces together.
pub(crate) fn bounded(pieces: &[&[u8]]) -> Result<(), OperationError> {
    let total = pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
    if total > INPUT_BYTES { Err(OperationError::TooLarge) } else { Ok(()) }
}
