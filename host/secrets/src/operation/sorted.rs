//! SHA-1 over sorted texts, the signature of WeChat and WeCom.
//!
//! The value stands among the texts where its bytes sort it. Whoever may choose all the others, and compares digests,
//! learns of each two neighbours whether the value lies between them, and so by halving the whole value: `a`, `c` and
//! `ac` sign the same unless it does. So a signature is made over a nonce of the host's, and one that is so made is
//! checked no more: without a digest at hand for texts of his own choice nobody can compare.

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::{OperationError, bounded};
use crate::value::SecretValue;

/// How each nonce of the host begins; the rest is random.
pub const NONCE_MARK: &str = "berth-";
/// Texts beside the value, at most.
pub const TEXTS: usize = 8;

/// A signature and what it was made over beside the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Seconds since the Unix epoch, in digits.
    pub timestamp: String,
    pub nonce: String,
    /// Lower-case hex.
    pub signature: String,
}

/// Signs `texts` together with the time and a nonce of the host's. Tells nothing of the value.
pub fn sign(value: &SecretValue, texts: &[&str], now_seconds: i64) -> Result<Signed, OperationError> {
    checked(texts)?;
    let timestamp = now_seconds.to_string();
    let nonce = format!("{NONCE_MARK}{}", hex::encode(rand::random::<[u8; 16]>()));
    let mut all = texts.to_vec();
    all.extend([timestamp.as_str(), nonce.as_str()]);
    let signature = hex::encode(digest(value, &all));
    Ok(Signed { timestamp, nonce, signature })
}

/// Whether `signature`, in hex, is that of `texts` and the value.
///
/// Of a signature that somebody else made it tells how the value sorts among pieces of what was signed, which is a few
/// bits; of one of our own it tells nothing, for it is always false.
pub fn check(value: &SecretValue, texts: &[&str], signature: &str) -> Result<bool, OperationError> {
    checked(texts)?;
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    // Also where the texts are cut elsewhere: cut or not, what was signed holds the nonce in one piece.
    if sorted.concat().contains(NONCE_MARK) {
        return Ok(false);
    }
    let mut given = [0; 20];
    if hex::decode_to_slice(signature, &mut given).is_err() {
        return Ok(false);
    }
    Ok(digest(value, texts).ct_eq(&given).into())
}

fn checked(texts: &[&str]) -> Result<(), OperationError> {
    if texts.is_empty() || texts.len() > TEXTS {
        return Err(OperationError::Input("there are 1 to 8 texts"));
    }
    bounded(&texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>())
}

fn digest(value: &SecretValue, texts: &[&str]) -> [u8; 20] {
    let mut all: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    all.push(value.expose());
    all.sort_unstable();
    let mut sha = Sha1::new();
    for piece in all {
        sha.update(piece);
    }
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn value(text: &str) -> SecretValue {
        SecretValue::new(text.as_bytes().to_vec()).unwrap()
    }

    const SEALED: &str = "4j/AuRx71kQlxVlzbpsMWNi7mNlY8U+34EsImDbYjac=";
    const SIGNATURE: &str = "b32cc9530122f00f34b4bb6a1b41bbbe38b8f403";

    #[test]
    fn a_signature_of_wecom_is_known_and_a_changed_one_is_not() {
        let texts = ["1700000000", "nonce1", SEALED];

        assert!(check(&value("tok"), &texts, SIGNATURE).unwrap());
        assert!(check(&value("tok"), &[SEALED, "nonce1", "1700000000"], &SIGNATURE.to_uppercase()).unwrap());
        for wrong in ["", "zz", &SIGNATURE[1..], "b32cc9530122f00f34b4bb6a1b41bbbe38b8f404"] {
            assert!(!check(&value("tok"), &texts, wrong).unwrap(), "{wrong}");
        }
        assert!(!check(&value("tok2"), &texts, SIGNATURE).unwrap());
        assert!(!check(&value("tok"), &["1700000001", "nonce1", SEALED], SIGNATURE).unwrap());
    }

    #[test]
    fn what_is_signed_is_what_the_other_side_computes() {
        let signed = sign(&value("tok"), &["sealed"], 1_700_000_000).unwrap();

        let mut all = ["tok", "sealed", signed.timestamp.as_str(), signed.nonce.as_str()];
        all.sort_unstable();
        assert_eq!(signed.timestamp, "1700000000");
        assert_eq!(signed.signature, hex::encode(Sha1::digest(all.concat())));
        assert_ne!(sign(&value("tok"), &["sealed"], 1_700_000_000).unwrap().nonce, signed.nonce);
    }

    /// The attack that the module tells of: the same bytes, cut so that another text is a neighbour of the value.
    #[test]
    fn a_signature_of_ours_does_not_tell_where_the_value_sorts() {
        for token in ["a token", "m token", "z token"] {
            let token = value(token);
            let signed = sign(&token, &["n"], 1_700_000_000).unwrap();
            let (time, nonce) = (signed.timestamp.as_str(), signed.nonce.as_str());
            let joined = format!("{nonce}n");
            let (head, tail) = nonce.split_at(3);

            for texts in [
                vec![time, nonce, "n"],
                vec![time, joined.as_str()],
                vec![time, head, tail, "n"],
                vec![time, head, &joined[3..]],
            ] {
                assert!(!check(&token, &texts, &signed.signature).unwrap(), "{texts:?}");
            }
        }
    }

    #[test]
    fn there_are_some_texts_and_not_too_many() {
        assert_eq!(sign(&value("t"), &[], 0).unwrap_err().code(), "SECRET_INPUT_INVALID");
        assert_eq!(check(&value("t"), &["x"; 9], "").unwrap_err().code(), "SECRET_INPUT_INVALID");
        let long = "x".repeat(super::super::INPUT_BYTES);
        assert_eq!(sign(&value("t"), &[&long, "y"], 0), Err(OperationError::TooLarge));
    }
}
