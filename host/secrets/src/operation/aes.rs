//! AES in the two modes that Feishu and WeChat use.
//!
//! Whoever may call these reads and writes what the key protects, and learns no bit of the key: also where a protocol
//! takes the start of the key for the IV. There a chosen text would come back mixed with the key, so its first block,
//! which those protocols fill at random, is made and cut off here.

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{OperationError, bounded};
use crate::value::SecretValue;

/// The block of AES, in bytes.
pub const BLOCK: usize = 16;
/// The block that WeCom pads to.
const WIDE: usize = 32;

/// WeCom's keys have 43 characters, whose last one may have bits that belong to no byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// How the value becomes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// It is the key: 16, 24 or 32 bytes.
    Raw,
    /// Its SHA-256 is the key: Feishu.
    Sha256,
    /// It is the key in base64, with padding or without: WeCom.
    Base64,
    /// It is the key in hex.
    Hex,
}

/// Where the first block is mixed with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Iv<'a> {
    /// 16 bytes of the guest's.
    Given(&'a [u8]),
    /// 16 random bytes before the sealed text: Feishu.
    Prefix,
    /// The first 16 bytes of the key: WeCom. The first block of the text is random, made and cut off by the host.
    FromKey,
}

/// How a text is filled up to whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// PKCS#7, as everywhere.
    Pkcs7,
    /// PKCS#7 for blocks of 32 bytes: WeCom.
    Pkcs7Wide,
    /// Not at all: the text has whole blocks.
    None,
}

/// The text in `sealed`, which AES-CBC made.
pub fn cbc_decrypt(
    value: &SecretValue,
    form: KeyForm,
    iv: Iv<'_>,
    padding: Padding,
    sealed: &[u8],
) -> Result<Vec<u8>, OperationError> {
    bounded(&[sealed])?;
    let key = key(value, form)?;
    let (start, body) = match iv {
        Iv::Given(iv) => (given(iv)?, sealed),
        Iv::Prefix => {
            let (iv, body) = sealed.split_first_chunk::<BLOCK>().ok_or(SHORT)?;
            (*iv, body)
        }
        Iv::FromKey => (*start_of(&key)?, sealed),
    };
    let start = Zeroizing::new(start);
    let mut text = body.to_vec();
    let blocks = whole_blocks(&mut text)?;
    let done =
        match key.len() {
            16 => cbc::Decryptor::<Aes128>::new_from_slices(&key, &start[..])
                .map(|mut m| m.decrypt_blocks(blocks)),
            24 => cbc::Decryptor::<Aes192>::new_from_slices(&key, &start[..])
                .map(|mut m| m.decrypt_blocks(blocks)),
            _ => cbc::Decryptor::<Aes256>::new_from_slices(&key, &start[..])
                .map(|mut m| m.decrypt_blocks(blocks)),
        };
    done.map_err(|_| BAD_KEY)?;
    if iv == Iv::FromKey {
        text.drain(..BLOCK);
    }
    unpadded(text, padding)
}

/// AES-CBC of `text`. With [`Iv::Prefix`] the IV is random and stands before the answer.
pub fn cbc_encrypt(
    value: &SecretValue,
    form: KeyForm,
    iv: Iv<'_>,
    padding: Padding,
    text: &[u8],
) -> Result<Vec<u8>, OperationError> {
    encrypt_with(value, form, iv, padding, text, rand::random())
}

fn encrypt_with(
    value: &SecretValue,
    form: KeyForm,
    iv: Iv<'_>,
    padding: Padding,
    text: &[u8],
    random: [u8; BLOCK],
) -> Result<Vec<u8>, OperationError> {
    bounded(&[text])?;
    let key = key(value, form)?;
    let (start, before, head) = match iv {
        Iv::Given(iv) => (given(iv)?, &[][..], &[][..]),
        Iv::Prefix => (random, &random[..], &[][..]),
        Iv::FromKey => (*start_of(&key)?, &[][..], &random[..]),
    };
    let start = Zeroizing::new(start);
    let mut body = padded(&[head, text].concat(), padding)?;
    let blocks = whole_blocks(&mut body)?;
    let done =
        match key.len() {
            16 => cbc::Encryptor::<Aes128>::new_from_slices(&key, &start[..])
                .map(|mut m| m.encrypt_blocks(blocks)),
            24 => cbc::Encryptor::<Aes192>::new_from_slices(&key, &start[..])
                .map(|mut m| m.encrypt_blocks(blocks)),
            _ => cbc::Encryptor::<Aes256>::new_from_slices(&key, &start[..])
                .map(|mut m| m.encrypt_blocks(blocks)),
        };
    done.map_err(|_| BAD_KEY)?;
    Ok([before, &body].concat())
}

/// The text in `sealed`, which AES-ECB made.
pub fn ecb_decrypt(
    value: &SecretValue,
    form: KeyForm,
    padding: Padding,
    sealed: &[u8],
) -> Result<Vec<u8>, OperationError> {
    bounded(&[sealed])?;
    let key = key(value, form)?;
    let mut text = sealed.to_vec();
    let blocks = whole_blocks(&mut text)?;
    let done = match key.len() {
        16 => ecb::Decryptor::<Aes128>::new_from_slice(&key).map(|mut m| m.decrypt_blocks(blocks)),
        24 => ecb::Decryptor::<Aes192>::new_from_slice(&key).map(|mut m| m.decrypt_blocks(blocks)),
        _ => ecb::Decryptor::<Aes256>::new_from_slice(&key).map(|mut m| m.decrypt_blocks(blocks)),
    };
    done.map_err(|_| BAD_KEY)?;
    unpadded(text, padding)
}

/// AES-ECB of `text`.
pub fn ecb_encrypt(
    value: &SecretValue,
    form: KeyForm,
    padding: Padding,
    text: &[u8],
) -> Result<Vec<u8>, OperationError> {
    bounded(&[text])?;
    let key = key(value, form)?;
    let mut body = padded(text, padding)?;
    let blocks = whole_blocks(&mut body)?;
    let done = match key.len() {
        16 => ecb::Encryptor::<Aes128>::new_from_slice(&key).map(|mut m| m.encrypt_blocks(blocks)),
        24 => ecb::Encryptor::<Aes192>::new_from_slice(&key).map(|mut m| m.encrypt_blocks(blocks)),
        _ => ecb::Encryptor::<Aes256>::new_from_slice(&key).map(|mut m| m.encrypt_blocks(blocks)),
    };
    done.map_err(|_| BAD_KEY)?;
    Ok(body)
}

const SHORT: OperationError = OperationError::Input("there is less than one block");
const BAD_KEY: OperationError = OperationError::KeyForm("AES wants 16, 24 or 32 bytes");

/// 16, 24 or 32 bytes.
fn key(value: &SecretValue, form: KeyForm) -> Result<Zeroizing<Vec<u8>>, OperationError> {
    let value = value.expose();
    let key = match form {
        KeyForm::Raw => Zeroizing::new(value.to_vec()),
        KeyForm::Sha256 => Zeroizing::new(Sha256::digest(value).to_vec()),
        KeyForm::Base64 => {
            Zeroizing::new(BASE64.decode(value).map_err(|_| OperationError::KeyForm("it is no base64"))?)
        }
        KeyForm::Hex => {
            Zeroizing::new(hex::decode(value).map_err(|_| OperationError::KeyForm("it is no hex"))?)
        }
    };
    if matches!(key.len(), 16 | 24 | 32) { Ok(key) } else { Err(BAD_KEY) }
}

fn start_of(key: &[u8]) -> Result<&[u8; BLOCK], OperationError> {
    key.first_chunk().ok_or(BAD_KEY)
}

fn given(iv: &[u8]) -> Result<[u8; BLOCK], OperationError> {
    iv.try_into().map_err(|_| OperationError::Input("the IV has not 16 bytes"))
}

fn whole_blocks(text: &mut [u8]) -> Result<&mut [aes::Block], OperationError> {
    if text.is_empty() {
        return Err(SHORT);
    }
    match Array::slice_as_chunks_mut(text) {
        (blocks, []) => Ok(blocks),
        _ => Err(OperationError::Input("the text does not end with a block")),
    }
}

fn padded(text: &[u8], padding: Padding) -> Result<Vec<u8>, OperationError> {
    let size = match padding {
        Padding::Pkcs7 => BLOCK,
        Padding::Pkcs7Wide => WIDE,
        Padding::None => return Ok(text.to_vec()),
    };
    let fill = size - text.len() % size;
    let byte = u8::try_from(fill).map_err(|_| OperationError::Input("the padding"))?;
    Ok([text, &[byte; WIDE][..fill]].concat())
}

fn unpadded(mut text: Vec<u8>, padding: Padding) -> Result<Vec<u8>, OperationError> {
    let size = match padding {
        Padding::Pkcs7 => BLOCK,
        Padding::Pkcs7Wide => WIDE,
        Padding::None => return Ok(text),
    };
    let last = *text.last().ok_or(OperationError::Undecryptable)?;
    let fill = usize::from(last);
    let whole = (1..=size).contains(&fill) && text.len() >= fill;
    if !whole || text[text.len() - fill..].iter().any(|byte| *byte != last) {
        return Err(OperationError::Undecryptable);
    }
    text.truncate(text.len() - fill);
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn value(bytes: &[u8]) -> SecretValue {
        SecretValue::new(bytes.to_vec()).unwrap()
    }

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    const BLOCK_1: &str = "6bc1bee22e409f96e93d7e117393172a";
    const WECOM_KEY: &[u8] = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    const WECOM_SEALED: &str = "4j/AuRx71kQlxVlzbpsMWNi7mNlY8U+34EsImDbYjac=";

    /// NIST SP 800-38A, F.1 and F.2: the first block with each size of key.
    #[test]
    fn both_modes_are_those_of_the_standard() {
        let iv = hex("000102030405060708090a0b0c0d0e0f");
        for (key, ecb, cbc) in [
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "3ad77bb40d7a3660a89ecaf32466ef97",
                "7649abac8119b246cee98e9b12e9197d",
            ),
            (
                "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
                "bd334f1d6e45f25ff712a214571fa5cc",
                "4f021db243bc633d7178183a9fa071e8",
            ),
            (
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "f3eed1bdb5d2a03c064b5a7e3db181f8",
                "f58c4c04d6e5f1ba779eabfb5f7bfbd6",
            ),
        ] {
            for (secret, form) in [(value(&hex(key)), KeyForm::Raw), (value(key.as_bytes()), KeyForm::Hex)] {
                let (none, iv) = (Padding::None, Iv::Given(&iv));
                assert_eq!(ecb_encrypt(&secret, form, none, &hex(BLOCK_1)).unwrap(), hex(ecb));
                assert_eq!(ecb_decrypt(&secret, form, none, &hex(ecb)).unwrap(), hex(BLOCK_1));
                assert_eq!(cbc_encrypt(&secret, form, iv, none, &hex(BLOCK_1)).unwrap(), hex(cbc));
                assert_eq!(cbc_decrypt(&secret, form, iv, none, &hex(cbc)).unwrap(), hex(BLOCK_1));
            }
        }
    }

    #[test]
    fn wechat_media_are_sealed_and_opened() {
        let secret = value(&hex("000102030405060708090a0b0c0d0e0f"));

        let sealed = ecb_encrypt(&secret, KeyForm::Raw, Padding::Pkcs7, b"hello").unwrap();

        assert_eq!(hex::encode(&sealed), "5d8749e2af7531b2bf6661e9e5daf012");
        assert_eq!(ecb_decrypt(&secret, KeyForm::Raw, Padding::Pkcs7, &sealed).unwrap(), b"hello");
    }

    #[test]
    fn feishus_events_are_opened_and_sealed() {
        let secret = value(b"berth-test-key");
        let sealed = STANDARD.decode("AAECAwQFBgcICQoLDA0OD2Ogh0kHQAsWrEatYemRM1GWEz1pujH8q/KsVnptjEa4Y8CBOkgnwPMzIDSd3O03t0bptg2dy3MWAPFGvalGnqE=").unwrap();

        let text = cbc_decrypt(&secret, KeyForm::Sha256, Iv::Prefix, Padding::Pkcs7, &sealed).unwrap();
        let random = *sealed.first_chunk().unwrap();
        let again =
            encrypt_with(&secret, KeyForm::Sha256, Iv::Prefix, Padding::Pkcs7, &text, random).unwrap();

        assert_eq!(text, br#"{"challenge":"c1","token":"vt","type":"url_verification"}"#);
        assert_eq!(again, sealed);
    }

    #[test]
    fn wecoms_messages_are_opened_and_sealed_without_their_random_block() {
        let secret = value(WECOM_KEY);
        let sealed = STANDARD.decode(WECOM_SEALED).unwrap();
        let (form, iv, padding) = (KeyForm::Base64, Iv::FromKey, Padding::Pkcs7Wide);

        let text = cbc_decrypt(&secret, form, iv, padding, &sealed).unwrap();
        let again = encrypt_with(&secret, form, iv, padding, &text, *b"0123456789abcdef").unwrap();

        assert_eq!(text, b"\0\0\0\x05hellowwcorp");
        assert_eq!(again, sealed);
    }

    /// With the IV in the key, `decrypt(C, 0, C)` and every text that one may both seal and open give it away in the
    /// textbook: there the first block is the text mixed with the key.
    #[test]
    fn no_choice_of_texts_gives_the_start_of_the_key_away() {
        let secret = value(b"0123456789abcdef");
        let key = secret.expose();
        let (raw, none) = (KeyForm::Raw, Padding::None);
        let zero = [0; BLOCK];
        let open = |iv, sealed: &[u8]| cbc_decrypt(&secret, raw, iv, none, sealed).unwrap();
        let mixed =
            |left: &[u8], right: &[u8]| -> Vec<u8> { left.iter().zip(right).map(|(a, b)| a ^ b).collect() };

        let chosen = [7; BLOCK];
        let twice = [chosen, zero, chosen].concat();
        let by_key = open(Iv::FromKey, &twice);
        let by_zero = open(Iv::Given(&zero), &twice);
        let sealed = cbc_encrypt(&secret, raw, Iv::FromKey, none, &chosen).unwrap();
        let opened = open(Iv::Given(&zero), &sealed);
        let electronic = ecb_decrypt(&secret, raw, none, &sealed).unwrap();

        assert_eq!(by_key.len(), 2 * BLOCK);
        let answers = [&by_key[..], &by_zero, &sealed, &opened, &electronic, &chosen, &zero];
        let known: Vec<&[u8]> = answers.iter().flat_map(|answer| answer.chunks(BLOCK)).collect();
        for left in &known {
            assert_ne!(*left, key);
            for right in &known {
                assert_ne!(mixed(left, right), key);
            }
        }
    }

    #[test]
    fn what_is_no_key_and_what_is_no_text_are_refused() {
        let key = value(&[1; 16]);
        let none = Padding::None;
        let decrypt = |secret: &SecretValue, form, text: &[u8]| {
            ecb_decrypt(secret, form, Padding::Pkcs7, text).unwrap_err().code()
        };

        assert_eq!(decrypt(&value(b"short"), KeyForm::Raw, &[0; 16]), "SECRET_KEY_FORM");
        assert_eq!(decrypt(&value(b"no hex"), KeyForm::Hex, &[0; 16]), "SECRET_KEY_FORM");
        assert_eq!(decrypt(&value(b"!"), KeyForm::Base64, &[0; 16]), "SECRET_KEY_FORM");
        assert_eq!(decrypt(&key, KeyForm::Raw, &[0; 15]), "SECRET_INPUT_INVALID");
        assert_eq!(decrypt(&key, KeyForm::Raw, &[]), "SECRET_INPUT_INVALID");
        assert_eq!(decrypt(&key, KeyForm::Raw, &[0; 16]), "SECRET_UNDECRYPTABLE");
        assert_eq!(
            decrypt(&key, KeyForm::Raw, &vec![0; super::super::INPUT_BYTES + 16]),
            "SECRET_INPUT_TOO_LARGE"
        );
        for iv in [Iv::Given(&[0; 15]), Iv::Given(&[0; 17])] {
            assert_eq!(
                cbc_encrypt(&key, KeyForm::Raw, iv, none, &[0; 16]).unwrap_err().code(),
                "SECRET_INPUT_INVALID"
            );
        }
        assert_eq!(cbc_decrypt(&key, KeyForm::Raw, Iv::Prefix, none, &[0; 15]), Err(SHORT));
        assert_eq!(cbc_decrypt(&key, KeyForm::Raw, Iv::Prefix, none, &[0; 16]), Err(SHORT));
    }

    #[test]
    fn what_is_sealed_opens_again_whatever_its_length() {
        let secret = value(&[9; 32]);
        for length in 0..=65 {
            let text = vec![length as u8; length];
            for (iv, padding) in [
                (Iv::Prefix, Padding::Pkcs7),
                (Iv::FromKey, Padding::Pkcs7Wide),
                (Iv::FromKey, Padding::Pkcs7),
                (Iv::Given(&[3; 16]), Padding::Pkcs7),
            ] {
                let sealed = cbc_encrypt(&secret, KeyForm::Raw, iv, padding, &text).unwrap();
                assert_eq!(cbc_decrypt(&secret, KeyForm::Raw, iv, padding, &sealed).unwrap(), text);
            }
        }
    }
}
