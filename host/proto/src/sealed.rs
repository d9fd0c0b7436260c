//! Tool arguments that only the two ends can read.
//!
//! When a call carries a value under a sensitive name, its whole argument object is encrypted with a key that both ends
//! derive from a secret they share, and a copy without the sensitive values stands beside it.
//! Source: MeetYou V4, encrypted tool arguments.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::JsonMap;
use crate::tool::EncryptedArguments;

/// Bytes of the initialisation vector.
pub const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const VERSION: &str = "v1";
const ALGORITHM: &str = "aes-256-gcm";
const PURPOSE: &str = "endpoint.tool.arguments.v4";
const SALT: &[u8] = b"MeetYouCredentialTransportV1";

/// Why arguments could not be opened. It says nothing of what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the two ends share no secret for sensitive arguments")]
    NoSecret,
    #[error("the encrypted arguments cannot be opened: is the secret the same at both ends?")]
    Unreadable,
}

impl SealError {
    /// The code in `tool.call.error`, or of a call that was never sent.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoSecret => "credential_key_unavailable",
            Self::Unreadable => "credential_decrypt_failed",
        }
    }
}

fn cipher(secret: &str) -> Result<Aes256Gcm, SealError> {
    if secret.is_empty() {
        return Err(SealError::NoSecret);
    }
    let mut key = [0; 32];
    let derived = Hkdf::<Sha256>::new(Some(SALT), secret.as_bytes()).expand(PURPOSE.as_bytes(), &mut key);
    derived.map_err(|_| SealError::Unreadable)?;
    Ok(Aes256Gcm::new(&Key::<Aes256Gcm>::from(key)))
}

/// Encrypts `arguments`. `iv` must be random and never used twice with the same secret.
pub fn seal(secret: &str, iv: [u8; IV_BYTES], arguments: &JsonMap) -> Result<EncryptedArguments, SealError> {
    let plain = serde_json::to_vec(arguments).map_err(|_| SealError::Unreadable)?;
    let payload = Payload { msg: &plain, aad: PURPOSE.as_bytes() };
    let sealed = cipher(secret)?.encrypt(&Nonce::from(iv), payload).map_err(|_| SealError::Unreadable)?;
    let (ciphertext, tag) = sealed.split_at(sealed.len() - TAG_BYTES);
    Ok(EncryptedArguments {
        version: VERSION.to_owned(),
        alg: ALGORITHM.to_owned(),
        purpose: PURPOSE.to_owned(),
        iv: STANDARD.encode(iv),
        ciphertext: STANDARD.encode(ciphertext),
        tag: STANDARD.encode(tag),
    })
}

/// Decrypts what [`seal`] made with the same secret.
pub fn open(secret: &str, sealed: &EncryptedArguments) -> Result<JsonMap, SealError> {
    let cipher = cipher(secret)?;
    if sealed.version != VERSION || sealed.alg != ALGORITHM || sealed.purpose != PURPOSE {
        return Err(SealError::Unreadable);
    }
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| SealError::Unreadable);
    let iv: [u8; IV_BYTES] = bytes(&sealed.iv)?.try_into().map_err(|_| SealError::Unreadable)?;
    let mut msg = bytes(&sealed.ciphertext)?;
    msg.extend(bytes(&sealed.tag)?);
    let payload = Payload { msg: &msg, aad: PURPOSE.as_bytes() };
    let plain = cipher.decrypt(&Nonce::from(iv), payload).map_err(|_| SealError::Unreadable)?;
    serde_json::from_slice(&plain).map_err(|_| SealError::Unreadable)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "correct-horse";

    fn arguments() -> JsonMap {
        json!({ "url": "https://a.b", "token": "t0p" }).as_object().unwrap().clone()
    }

    fn iv() -> [u8; IV_BYTES] {
        std::array::from_fn(|at| at as u8)
    }

    /// The wanted values come from another implementation of the same scheme.
    #[test]
    fn what_is_sealed_is_what_other_implementations_seal() {
        let sealed = seal(SECRET, iv(), &arguments()).unwrap();

        assert_eq!(
            (sealed.iv.as_str(), sealed.ciphertext.as_str(), sealed.tag.as_str()),
            (
                "AAECAwQFBgcICQoL",
                "F8qwsaVTY4lEArvhK1WOZNh//xEHz4QCvbhVV+pocOzKua4=",
                "ejGK58EJYk854IDvgTBrfA=="
            )
        );
    }

    #[test]
    fn the_same_secret_opens_and_nothing_else_does() {
        let sealed = seal(SECRET, iv(), &arguments()).unwrap();

        assert_eq!(open(SECRET, &sealed), Ok(arguments()));
        assert_eq!(open("wrong", &sealed), Err(SealError::Unreadable));
        assert_eq!(open("", &sealed), Err(SealError::NoSecret));
        for broken in [
            EncryptedArguments { tag: STANDARD.encode([0; 16]), ..sealed.clone() },
            EncryptedArguments { tag: String::new(), ..sealed.clone() },
            EncryptedArguments { iv: "AAAA".to_owned(), ..sealed.clone() },
            EncryptedArguments { ciphertext: "?".to_owned(), ..sealed.clone() },
            EncryptedArguments { alg: "none".to_owned(), ..sealed.clone() },
        ] {
            assert_eq!(open(SECRET, &broken), Err(SealError::Unreadable), "{broken:?}");
        }
    }
}
