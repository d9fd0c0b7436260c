//! The secrets of a test: what the host does with them is a script.

use super::host;
use crate::Error;
use crate::secrets::{Iv, KeyForm, Padding, Recipe, Signed};

/// Something that the plugin asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretUse {
    /// The name of the secret.
    pub name: String,
    /// The word in grants, such as `hmac-sha256`.
    pub operation: &'static str,
    /// What the plugin gave, in the order of the arguments; options of AES are left out.
    pub input: Vec<Vec<u8>>,
}

/// What the host answers.
#[derive(Clone, Debug)]
pub enum SecretAnswer {
    /// What was computed.
    Bytes(Vec<u8>),
    /// Whether it is so.
    Is(bool),
    /// A signature.
    Signed(Signed),
    /// The answer of the server without the token, which is a secret of the recipe's name for an hour.
    Exchanged(String),
}

/// What an exchange yielded.
#[derive(Debug)]
pub struct Exchanged {
    /// The token.
    pub secret: Secret,
    /// Milliseconds until it ends.
    pub expires_in_ms: u64,
    /// The HTTP status.
    pub status: u16,
    /// The answer as JSON, without the token.
    pub answer: String,
    /// Further facts.
    pub meta: Vec<(String, String)>,
}

pub(super) type Answer = Box<dyn FnMut(&SecretUse) -> Result<SecretAnswer, Error>>;

/// A secret as a test has it.
#[derive(Debug)]
pub struct Secret(String);

/// Opens every secret; the script says what comes of its use.
#[expect(clippy::unnecessary_wraps, reason = "as the host has it")]
pub(crate) fn open(name: &str) -> Result<Secret, Error> {
    Ok(Secret(name.to_owned()))
}

impl Secret {
    /// Its name.
    pub fn name(&self) -> String {
        self.0.clone()
    }

    /// HMAC-SHA-256 of `data`, by the script.
    pub fn hmac_sha256(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        self.bytes("hmac-sha256", &[data])
    }

    /// The ed25519 signature of `data`, by the script.
    pub fn sign_ed25519(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
        self.bytes("sign-ed25519", &[data])
    }

    /// SHA-256 of `before`, the secret and `after`, by the script.
    pub fn sha256_joined(&self, before: &[u8], after: &[u8]) -> Result<Vec<u8>, Error> {
        self.bytes("sha256-joined", &[before, after])
    }

    /// A signature over sorted texts, by the script.
    pub fn sha1_sorted(&self, texts: &[String]) -> Result<Signed, Error> {
        let input: Vec<_> = texts.iter().map(|text| text.as_bytes()).collect();
        match self.ask("sha1-sorted", &input)? {
            SecretAnswer::Signed(signed) => Ok(signed),
            _ => Err(wrong()),
        }
    }

    /// Whether a signature over sorted texts is right, by the script.
    pub fn check_sha1_sorted(&self, texts: &[String], signature: &str) -> Result<bool, Error> {
        let mut input: Vec<_> = texts.iter().map(|text| text.as_bytes()).collect();
        input.push(signature.as_bytes());
        self.is("sha1-sorted", &input)
    }

    /// Whether the secret is `guess`, by the script.
    pub fn equals(&self, guess: &[u8]) -> Result<bool, Error> {
        self.is("equals", &[guess])
    }

    /// Opens what AES-CBC sealed, by the script.
    pub fn aes_cbc_decrypt(&self, sealed: &[u8], _: &KeyForm, _: &Iv, _: &Padding) -> Result<Vec<u8>, Error> {
        self.bytes("aes-cbc-decrypt", &[sealed])
    }

    /// Seals with AES-CBC, by the script.
    pub fn aes_cbc_encrypt(&self, text: &[u8], _: &KeyForm, _: &Iv, _: &Padding) -> Result<Vec<u8>, Error> {
        self.bytes("aes-cbc-encrypt", &[text])
    }

    /// Opens what AES-ECB sealed, by the script.
    pub fn aes_ecb_decrypt(&self, sealed: &[u8], _: &KeyForm, _: &Padding) -> Result<Vec<u8>, Error> {
        self.bytes("aes-ecb-decrypt", &[sealed])
    }

    /// Seals with AES-ECB, by the script.
    pub fn aes_ecb_encrypt(&self, text: &[u8], _: &KeyForm, _: &Padding) -> Result<Vec<u8>, Error> {
        self.bytes("aes-ecb-encrypt", &[text])
    }

    /// Exchanges the secret for a token, by the script.
    pub fn exchange(&self, recipe: &Recipe) -> Result<Exchanged, Error> {
        match self.ask("exchange", &[recipe.url.as_bytes(), &recipe.body])? {
            SecretAnswer::Exchanged(answer) => Ok(Exchanged {
                secret: Secret(recipe.name.clone()),
                expires_in_ms: 3_600_000,
                status: 200,
                answer,
                meta: Vec::new(),
            }),
            _ => Err(wrong()),
        }
    }

    fn bytes(&self, operation: &'static str, input: &[&[u8]]) -> Result<Vec<u8>, Error> {
        match self.ask(operation, input)? {
            SecretAnswer::Bytes(bytes) => Ok(bytes),
            _ => Err(wrong()),
        }
    }

    fn is(&self, operation: &'static str, input: &[&[u8]]) -> Result<bool, Error> {
        match self.ask(operation, input)? {
            SecretAnswer::Is(is) => Ok(is),
            _ => Err(wrong()),
        }
    }

    fn ask(&self, operation: &'static str, input: &[&[u8]]) -> Result<SecretAnswer, Error> {
        let input = input.iter().map(|piece| piece.to_vec()).collect();
        let asked = SecretUse { name: self.0.clone(), operation, input };
        host(|host| {
            let answer = (host.secret_answer)(&asked);
            host.secret_uses.push(asked);
            answer
        })
    }
}

fn wrong() -> Error {
    Error::new("TEST_SCRIPT", "the script of the test answers with another kind of thing")
}
