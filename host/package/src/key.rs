//! The keys of publishers: ed25519, a seed in a file of mode 0600 and a public half that is one word of text.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use ed25519_dalek::{Signer, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::PackageError;

/// What the text of a public key begins with.
const SCHEME: &str = "ed25519:";
/// What the file of a signing key begins with.
const FILE_FORM: &str = "berth-signing-key-1:";
/// A larger file is no key file.
const FILE_BYTES: u64 = 4 << 10;

/// The public half of the key of a publisher, `ed25519:` and base64 as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublisherKey(VerifyingKey);

impl PublisherKey {
    /// Whether `signature` is one of `text` by this key. Keys and signatures that fit several texts are refused.
    pub(crate) fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(text, &signature).is_ok())
    }
}

impl fmt::Display for PublisherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", BASE64.encode(self.0.as_bytes()))
    }
}

impl FromStr for PublisherKey {
    type Err = PackageError;

    fn from_str(text: &str) -> Result<Self, PackageError> {
        let bad = || {
            let shown: String = text.chars().take(80).collect();
            PackageError::Key { what: format!("`{}`", shown.escape_default()) }
        };
        let bytes = text.strip_prefix(SCHEME).and_then(|word| BASE64.decode(word).ok()).ok_or_else(bad)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| bad())?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| bad())?;
        // Everybody can sign for a weak key.
        if key.is_weak() { Err(bad()) } else { Ok(Self(key)) }
    }
}

impl Serialize for PublisherKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublisherKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The key that a publisher signs with. It has no `Debug`, no `Display` and no `Serialize`.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key, from the randomness of the system.
    pub fn generate() -> Self {
        let seed = Zeroizing::new(rand::random::<[u8; 32]>());
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublisherKey {
        PublisherKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 64] {
        self.0.sign(text).to_bytes()
    }

    /// Reads the file of a key that nobody else may read.
    pub fn read(path: &Path) -> Result<Self, PackageError> {
        let failed = |source| PackageError::Io { path: path.to_owned(), source };
        let invalid = || PackageError::KeyFile { path: path.to_owned() };
        let file = File::open(path).map_err(failed)?;
        // What was opened is looked at, not what the path names by then.
        let entry = file.metadata().map_err(failed)?;
        if !entry.is_file() || entry.len() > FILE_BYTES {
            return Err(invalid());
        }
        let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_BYTES).unwrap_or_default()));
        file.take(FILE_BYTES).read_to_end(&mut text).map_err(failed)?;
        let text = std::str::from_utf8(&text).map_err(|_| invalid())?.trim();
        let word = text.strip_prefix(FILE_FORM).ok_or_else(invalid)?;
        // Said of a key alone: nobody is told to close a file that is none.
        if entry.mode() & 0o077 != 0 {
            return Err(PackageError::KeyMode { path: path.to_owned() });
        }
        let seed = Zeroizing::new(BASE64.decode(word).map_err(|_| invalid())?);
        let seed: &[u8; 32] = seed.as_slice().try_into().map_err(|_| invalid())?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// Writes the key into a new file of mode 0600; one that is there is never written over.
    pub fn write_new(&self, path: &Path) -> Result<(), PackageError> {
        let failed = |source: std::io::Error| PackageError::Io { path: path.to_owned(), source };
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let reason = "it is there already, and a key is never written over";
                return Err(failed(std::io::Error::new(ErrorKind::AlreadyExists, reason)));
            }
            Err(error) => return Err(failed(error)),
        };
        let text =
            Zeroizing::new(format!("{FILE_FORM}{}\n", &*Zeroizing::new(BASE64.encode(self.0.as_bytes()))));
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_is_written_once_read_by_its_owner_and_signs_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("publisher.key");
        let key = SigningKey::generate();
        key.write_new(&path).unwrap();

        let read = SigningKey::read(&path).unwrap();

        assert_eq!(read.public(), key.public());
        assert!(key.public().signed(b"text", &read.sign(b"text")));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(key.write_new(&path).unwrap_err().code(), "PACKAGE_UNREADABLE");
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("publisher.key");
        SigningKey::generate().write_new(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(SigningKey::read(&path).err().unwrap().code(), "SIGNING_KEY_MODE");

        for text in ["", "berth-signing-key-1:short", "another form"] {
            let path = folder.path().join("other.key");
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(SigningKey::read(&path).err().unwrap().code(), "SIGNING_KEY_INVALID", "{text}");
        }
    }

    #[test]
    fn a_public_key_is_read_as_it_is_shown_and_nothing_else_is_one() {
        let key = SigningKey::generate().public();
        assert_eq!(key.to_string().parse::<PublisherKey>().unwrap(), key);

        // The last is the neutral point, for which everybody can sign.
        let weak = format!("{SCHEME}{}", BASE64.encode([&[1u8][..], &[0; 31]].concat()));
        for text in ["", "ed25519:", "ed25519:AAAA", &key.to_string()[8..], &weak] {
            assert_eq!(text.parse::<PublisherKey>().unwrap_err().code(), "PUBLISHER_KEY_INVALID", "{text}");
        }
    }
}
