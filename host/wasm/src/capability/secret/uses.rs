//! The operations on a secret, by their names in grants.

use std::time::Instant;

use berth_secrets::operation::aes::{self, Iv, KeyForm, Padding};
use berth_secrets::operation::{digest, sorted};
use berth_secrets::{Asker, Desk, DeskError, Found, OperationError, SecretName, SecretValue};

use crate::capability::CapabilityError;

/// What a guest wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    HmacSha256 { data: &'a [u8] },
    SignEd25519 { data: &'a [u8] },
    Sha256Joined { before: &'a [u8], after: &'a [u8] },
    CbcDecrypt { sealed: &'a [u8], key: KeyForm, iv: Iv<'a>, padding: Padding },
    CbcEncrypt { text: &'a [u8], key: KeyForm, iv: Iv<'a>, padding: Padding },
    EcbDecrypt { sealed: &'a [u8], key: KeyForm, padding: Padding },
    EcbEncrypt { text: &'a [u8], key: KeyForm, padding: Padding },
}

/// What a guest wants to know of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess<'a> {
    Equals { guess: &'a [u8] },
    Sha1Sorted { texts: &'a [&'a str], signature: &'a str },
}

impl Operation<'_> {
    /// The word in grants.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::HmacSha256 { .. } => "hmac-sha256",
            Self::SignEd25519 { .. } => "sign-ed25519",
            Self::Sha256Joined { .. } => "sha256-joined",
            Self::CbcDecrypt { .. } => "aes-cbc-decrypt",
            Self::CbcEncrypt { .. } => "aes-cbc-encrypt",
            Self::EcbDecrypt { .. } => "aes-ecb-decrypt",
            Self::EcbEncrypt { .. } => "aes-ecb-encrypt",
        }
    }

    /// Does it.
    pub fn on(&self, value: &SecretValue) -> Result<Vec<u8>, OperationError> {
        match *self {
            Self::HmacSha256 { data } => digest::hmac_sha256(value, data).map(|mac| mac.to_vec()),
            Self::SignEd25519 { data } => {
                digest::sign_ed25519(value, data).map(|signature| signature.to_vec())
            }
            Self::Sha256Joined { before, after } => {
                digest::sha256_joined(value, before, after).map(|digest| digest.to_vec())
            }
            Self::CbcDecrypt { sealed, key, iv, padding } => {
                aes::cbc_decrypt(value, key, iv, padding, sealed)
            }
            Self::CbcEncrypt { text, key, iv, padding } => aes::cbc_encrypt(value, key, iv, padding, text),
            Self::EcbDecrypt { sealed, key, padding } => aes::ecb_decrypt(value, key, padding, sealed),
            Self::EcbEncrypt { text, key, padding } => aes::ecb_encrypt(value, key, padding, text),
        }
    }
}

impl Guess<'_> {
    /// The word in grants.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Equals { .. } => "equals",
            Self::Sha1Sorted { .. } => "sha1-sorted",
        }
    }

    fn on(&self, value: &SecretValue) -> Result<bool, OperationError> {
        match *self {
            Self::Equals { guess } => Ok(digest::equals(value, guess)),
            Self::Sha1Sorted { texts, signature } => sorted::check(value, texts, signature),
        }
    }
}

/// The secrets of one plugin in one workspace.
#[derive(Clone, Copy)]
pub struct Uses<'a> {
    pub desk: &'a Desk,
    pub asker: Asker<'a>,
}

impl Uses<'_> {
    /// The secret of this name, counted as one use.
    pub async fn find(&self, name: &SecretName) -> Result<Found, DeskError> {
        self.desk.count(self.asker, name, Instant::now())?;
        self.desk.find(self.asker, name).await
    }

    /// Answers a guess, as long as not too many were wrong.
    pub fn answer(
        &self,
        name: &SecretName,
        found: &Found,
        guess: Guess<'_>,
    ) -> Result<bool, CapabilityError> {
        let now = Instant::now();
        self.desk.may_guess(self.asker, name, now)?;
        let is_right = guess.on(&found.value)?;
        if !is_right {
            // Two wrong guesses at once can both have seen the last token; the second is not answered then.
            self.desk.wrong_guess(self.asker, name, now)?;
        }
        Ok(is_right)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::capability::secret::{DEFAULT_OPERATIONS, NAMED_OPERATIONS};
    use std::sync::Arc;

    fn found(text: &str) -> Found {
        let value = SecretValue::new(text.as_bytes().to_vec()).unwrap();
        Found { value: Arc::new(value), derived: None }
    }

    #[test]
    fn each_operation_has_a_word_that_grants_know() {
        let (raw, padding, data) = (KeyForm::Raw, Padding::Pkcs7, &[][..]);
        let known = [&DEFAULT_OPERATIONS[..], &NAMED_OPERATIONS[..]].concat();
        for (operation, must_be_named) in [
            (Operation::HmacSha256 { data }, false),
            (Operation::SignEd25519 { data }, false),
            (Operation::Sha256Joined { before: data, after: data }, false),
            (Operation::CbcDecrypt { sealed: data, key: raw, iv: Iv::Prefix, padding }, true),
            (Operation::CbcEncrypt { text: data, key: raw, iv: Iv::Prefix, padding }, true),
            (Operation::EcbDecrypt { sealed: data, key: raw, padding }, true),
            (Operation::EcbEncrypt { text: data, key: raw, padding }, true),
        ] {
            assert!(known.contains(&operation.word()), "{operation:?}");
            assert_eq!(NAMED_OPERATIONS.contains(&operation.word()), must_be_named, "{operation:?}");
        }
    }

    #[test]
    fn wrong_guesses_run_out_and_then_a_right_one_is_not_answered_either() {
        let desk = Desk::closed();
        let asker = Asker { plugin: "feishu", workspace: "home" };
        let uses = Uses { desk: &desk, asker };
        let (name, secret) = ("token".parse().unwrap(), found("right"));
        let guess = |guess: &str| uses.answer(&name, &secret, Guess::Equals { guess: guess.as_bytes() });

        for _ in 0..1000 {
            assert_eq!(guess("right"), Ok(true));
        }
        let mut answered = 0;
        let limited = loop {
            match guess("wrong") {
                Ok(is_right) => assert!(!is_right),
                Err(error) => break error,
            }
            answered += 1;
        };

        assert!(answered <= 70, "{answered}");
        assert_eq!(limited.code, "SECRET_RATE_LIMITED");
        assert!(limited.retryable && limited.retry_after_ms.is_some());
        assert_eq!(guess("right").unwrap_err().code, "SECRET_RATE_LIMITED");
    }
}
