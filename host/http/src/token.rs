//! The access token of the host.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A token to be checked against. Only its SHA-256 is kept, so it can neither be printed nor read back.
#[derive(Clone, Copy)]
pub struct AccessToken([u8; 32]);

impl AccessToken {
    /// `None` for an empty one: a host is never open.
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        (!token.is_empty()).then(|| Self(digest(token)))
    }

    /// Whether `token` is the same. Takes equally long for every answer; digests are compared, so that the length of
    /// the token does not show either.
    pub fn verify(&self, token: &str) -> bool {
        self.0.ct_eq(&digest(token)).into()
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_is_right() {
        let token = AccessToken::new(" s3cret\n").unwrap();

        assert!(token.verify("s3cret"));
        for wrong in ["", "s3cre", "s3cret1", "S3CRET", "s3cret "] {
            assert!(!token.verify(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn an_empty_token_is_none() {
        assert!(AccessToken::new("").is_none());
        assert!(AccessToken::new(" \n").is_none());
    }

    #[test]
    fn a_token_never_prints() {
        let token = AccessToken::new("s3cret").unwrap();

        assert_eq!(format!("{token:?}"), "AccessToken(…)");
    }
}
