//! Signatures over what the guest says.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{OperationError, bounded};
use crate::value::SecretValue;

/// HMAC-SHA-256 with the value as the key. Chosen data tells nothing of the key.
pub fn hmac_sha256(key: &SecretValue, data: &[u8]) -> Result<[u8; 32], OperationError> {
    bounded(&[data])?;
    // HMAC takes a key of any length.
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|_| OperationError::KeyForm("hmac"))?;
    mac.update(data);
    Ok(mac.finalize().into_bytes().into())
}

/// SHA-256 over `before`, the value and `after`, as Feishu signs its calls.
///
/// `before` must not be empty: the digest of the bare value is the AES key that other messages are sealed with. No
/// choice of the two tells a part of the value.
pub fn sha256_joined(value: &SecretValue, before: &[u8], after: &[u8]) -> Result<[u8; 32], OperationError> {
    bounded(&[before, after])?;
    if before.is_empty() {
        return Err(OperationError::Input("nothing stands before the secret"));
    }
    let mut digest = Sha256::new();
    digest.update(before);
    digest.update(value.expose());
    digest.update(after);
    Ok(digest.finalize().into())
}

/// The ed25519 signature of `data`. The value is the seed: 32 bytes, or those in hex or base64.
pub fn sign_ed25519(seed: &SecretValue, data: &[u8]) -> Result<[u8; 64], OperationError> {
    bounded(&[data])?;
    let seed = seed_of(seed.expose()).ok_or(OperationError::KeyForm("ed25519 wants 32 bytes"))?;
    Ok(SigningKey::from_bytes(&seed).sign(data).to_bytes())
}

/// Whether `guess` is the value, in a time that tells nothing but the length.
pub fn equals(value: &SecretValue, guess: &[u8]) -> bool {
    value.expose().ct_eq(guess).into()
}

fn seed_of(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut seed = Zeroizing::new([0; 32]);
    match bytes.len() {
        32 => seed.copy_from_slice(bytes),
        64 => hex::decode_to_slice(bytes, seed.as_mut()).ok()?,
        _ => {
            let bare = bytes.trim_ascii_end().strip_suffix(b"=").unwrap_or(bytes);
            // The decoder wants more room than it fills.
            let mut room = Zeroizing::new([0; 36]);
            let decoded = STANDARD_NO_PAD
                .decode_slice(bare, room.as_mut())
                .or_else(|_| URL_SAFE_NO_PAD.decode_slice(bare, room.as_mut()));
            if decoded.ok()? != 32 {
                return None;
            }
            seed.copy_from_slice(&room[..32]);
        }
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn value(bytes: &[u8]) -> SecretValue {
        SecretValue::new(bytes.to_vec()).unwrap()
    }

    /// RFC 4231, test cases 1, 2 and 6.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        for (key, data, mac) in [
            (
                vec![0x0b; 20],
                &b"Hi There"[..],
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe".to_vec(),
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                vec![0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex::encode(hmac_sha256(&value(&key), data).unwrap()), mac);
        }
    }

    /// RFC 8032, section 7.1, tests 1 and 2.
    #[test]
    fn ed25519_is_that_of_the_rfc_in_each_form_of_the_seed() {
        let empty = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        let raw = hex::decode(empty).unwrap();
        let base64 = base64::engine::general_purpose::STANDARD.encode(&raw);
        for seed in
            [raw.as_slice(), empty.as_bytes(), base64.as_bytes(), base64.trim_end_matches('=').as_bytes()]
        {
            assert_eq!(hex::encode(sign_ed25519(&value(seed), b"").unwrap()), signature);
        }
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        assert_eq!(
            hex::encode(sign_ed25519(&value(seed.as_bytes()), &[0x72]).unwrap()),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
        for no_seed in [&b"short"[..], &[b'x'; 64], &[b'A'; 44], &[b'A'; 40]] {
            assert!(matches!(sign_ed25519(&value(no_seed), b""), Err(OperationError::KeyForm(_))));
        }
    }

    #[test]
    fn feishus_signature_is_made_around_the_key() {
        let body = r#"{"encrypt":"AAECAwQFBgcICQoLDA0OD2Ogh0kHQAsWrEatYemRM1GWEz1pujH8q/KsVnptjEa4Y8CBOkgnwPMzIDSd3O03t0bptg2dy3MWAPFGvalGnqE="}"#;

        let signature = sha256_joined(&value(b"berth-test-key"), b"1700000000n1", body.as_bytes()).unwrap();

        assert_eq!(
            hex::encode(signature),
            "21683a3b1887a1d7c306207f018f7c4641cbbe265a8757266779cf48e6f9720a"
        );
    }

    #[test]
    fn the_digest_of_the_bare_value_is_not_given_away() {
        let refused = sha256_joined(&value(b"key"), b"", b"after").unwrap_err();

        assert_eq!(refused.code(), "SECRET_INPUT_INVALID");
    }

    #[test]
    fn only_the_whole_value_is_equal() {
        let token = value(b"token");

        assert!(equals(&token, b"token"));
        for guess in [&b""[..], b"toke", b"tokem", b"token1"] {
            assert!(!equals(&token, guess));
        }
    }

    #[test]
    fn an_input_has_a_size() {
        let large = vec![0; super::super::INPUT_BYTES];

        assert!(hmac_sha256(&value(b"k"), &large).is_ok());
        assert_eq!(sha256_joined(&value(b"k"), b"1", &large), Err(OperationError::TooLarge));
    }
}
