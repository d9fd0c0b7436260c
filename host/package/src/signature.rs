//! A signature over the index of a package, and the statements by which a publisher changes keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;

use crate::index::Index;
use crate::{PackageError, PublisherKey, SigningKey};

/// The name of the signature in an archive.
pub const FILE: &str = "berth.sig";
/// Its first line; another form is another number.
const FORM: &str = "berth signature 1";
/// The most changes of key that a package tells.
pub const MAX_ROTATIONS: usize = 16;

/// The statement of a publisher that another key speaks for a plugin from now on, signed with the key of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    pub from: PublisherKey,
    pub to: PublisherKey,
    signature: [u8; 64],
}

impl Rotation {
    /// States that `to` speaks for the plugin in the place of `from`.
    pub fn new(id: &str, from: &SigningKey, to: PublisherKey) -> Self {
        let signature = from.sign(Self::statement(id, &from.public(), &to).as_bytes());
        Self { from: from.public(), to, signature }
    }

    fn statement(id: &str, from: &PublisherKey, to: &PublisherKey) -> String {
        format!("berth rotation 1\nid {id}\nfrom {from}\nto {to}\n")
    }

    fn holds(&self, id: &str) -> bool {
        self.from.signed(Self::statement(id, &self.from, &self.to).as_bytes(), &self.signature)
    }
}

/// Two keys and a signature, apart by spaces.
impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.from, self.to, BASE64.encode(self.signature))
    }
}

impl FromStr for Rotation {
    type Err = PackageError;

    fn from_str(line: &str) -> Result<Self, PackageError> {
        let bad = || PackageError::signature("what should be a change of keys is none");
        let words: Vec<&str> = line.split(' ').collect();
        let [from, to, signature] = words[..] else { return Err(bad()) };
        let signature =
            BASE64.decode(signature).ok().and_then(|bytes| bytes.try_into().ok()).ok_or_else(bad)?;
        Ok(Self { from: from.parse()?, to: to.parse()?, signature })
    }
}

/// Who vouches for a package: his key, his signature, and how he came to that key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub key: PublisherKey,
    /// Oldest first; each begins at the key where the one before it ended, and the last ends at [`Self::key`].
    pub rotations: Vec<Rotation>,
    signature: [u8; 64],
}

impl Signature {
    pub fn new(index: &Index, key: &SigningKey, rotations: Vec<Rotation>) -> Result<Self, PackageError> {
        let signature = Self { key: key.public(), rotations, signature: key.sign(index.text().as_bytes()) };
        signature.check(index)?;
        Ok(signature)
    }

    /// Reads a signature and checks it and each change of keys; there is one form of text for it.
    pub fn read(text: &[u8], index: &Index) -> Result<Self, PackageError> {
        let bad = |reason: &str| PackageError::signature(reason);
        let said = std::str::from_utf8(text).map_err(|_| bad("it is no text"))?;
        let mut lines = said.lines();
        if lines.next() != Some(FORM) {
            return Err(bad("it is of a form that this version of berth does not know"));
        }
        let key =
            lines.next().and_then(|line| line.strip_prefix("key ")).ok_or_else(|| bad("it names no key"))?;
        let made = lines.next().and_then(|line| line.strip_prefix("signature "));
        let made = made.and_then(|word| BASE64.decode(word).ok()).and_then(|bytes| bytes.try_into().ok());
        let mut rotations = Vec::new();
        for line in lines {
            let line = line.strip_prefix("rotation ").ok_or_else(|| bad("it says more than it may"))?;
            rotations.push(line.parse()?);
        }
        let signature = made.ok_or_else(|| bad("it holds no signature"))?;
        let read = Self { key: key.parse()?, rotations, signature };
        read.check(index)?;
        if read.text() == said { Ok(read) } else { Err(bad("it is not in the form that it must have")) }
    }

    fn check(&self, index: &Index) -> Result<(), PackageError> {
        if !self.key.signed(index.text().as_bytes(), &self.signature) {
            return Err(PackageError::signature(format!("it is not one by {} of these files", self.key)));
        }
        if self.rotations.len() > MAX_ROTATIONS {
            return Err(PackageError::signature("it tells more changes of keys than 16"));
        }
        let ends = self.rotations.iter().skip(1).map(|next| next.from).chain([self.key]);
        for (rotation, end) in self.rotations.iter().zip(ends) {
            if rotation.to != end || !rotation.holds(&index.id) {
                return Err(PackageError::signature(format!(
                    "the change of keys from {} was not signed with that key, or leads elsewhere",
                    rotation.from
                )));
            }
        }
        Ok(())
    }

    /// Whether the publisher was `key` before, by statements signed with it.
    pub fn descends_from(&self, key: &PublisherKey) -> bool {
        self.rotations.iter().any(|rotation| rotation.from == *key)
    }

    /// What stands in an archive.
    pub fn text(&self) -> String {
        let mut text = format!("{FORM}\nkey {}\nsignature {}\n", self.key, BASE64.encode(self.signature));
        for rotation in &self.rotations {
            text.push_str(&format!("rotation {rotation}\n"));
        }
        text
    }
}
