//! A package that fits together: files, their index, and perhaps a signature over it.

use bytes::Bytes;

use crate::archive::Raw;
use crate::contents::Contents;
use crate::index::Index;
use crate::signature::{Rotation, Signature};
use crate::{PackageError, PublisherKey, SigningKey};

/// A package whose bytes are what its index says, and whose signature, where it has one, is right.
///
/// That says who made it and that nobody changed it, not that he is trusted: see [`crate::Trust`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPackage {
    contents: Contents,
    index: Index,
    signature: Option<Signature>,
}

impl SignedPackage {
    /// Packs files under the id and the version that their manifest says.
    pub fn pack(id: &str, version: &semver::Version, contents: Contents) -> Result<Self, PackageError> {
        contents.require(crate::contents::MANIFEST)?;
        let index = Index::new(id, version, &contents)?;
        Ok(Self { contents, index, signature: None })
    }

    /// Signs it, with the statements by which the publisher came to this key.
    pub fn signed(self, key: &SigningKey, rotations: Vec<Rotation>) -> Result<Self, PackageError> {
        let signature = Some(Signature::new(&self.index, key, rotations)?);
        Ok(Self { signature, ..self })
    }

    /// The bytes of its archive: of the same package always the same.
    pub fn to_archive(&self) -> Result<Vec<u8>, PackageError> {
        let index = Bytes::copy_from_slice(self.index.text().as_bytes());
        let signature = self.signature.as_ref().map(|signature| signature.text().into());
        Raw { contents: self.contents.clone(), index, signature }.write()
    }

    /// Reads an archive and checks every byte of it.
    pub fn from_archive(bytes: &[u8]) -> Result<Self, PackageError> {
        let Raw { contents, index, signature } = Raw::read(bytes)?;
        Self::of_parts(contents, &index, signature.as_deref())
    }

    /// Puts together what came in several pieces, and checks all of it.
    pub fn of_parts(
        contents: Contents,
        index: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Self, PackageError> {
        contents.require(crate::contents::MANIFEST)?;
        let index = Index::read(index, &contents)?;
        let signature = signature.map(|text| Signature::read(text, &index)).transpose()?;
        Ok(Self { contents, index, signature })
    }

    pub fn id(&self) -> &str {
        &self.index.id
    }

    pub fn version(&self) -> &semver::Version {
        &self.index.version
    }

    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// Who signed it.
    pub fn publisher(&self) -> Option<&PublisherKey> {
        self.signature.as_ref().map(|signature| &signature.key)
    }

    /// The digest of id, version and every byte of its files; a signature does not change it.
    pub fn digest(&self) -> String {
        self.index.digest()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tamper::{files, packed};

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let forwards = packed("1.0.0");
        let mut contents = Contents::default();
        let mut files = files();
        files.reverse();
        for (name, content) in files {
            contents.add(name, content.into()).unwrap();
        }
        let backwards = SignedPackage::pack("tally", &"1.0.0".parse().unwrap(), contents).unwrap();

        assert_eq!(forwards.to_archive().unwrap(), backwards.to_archive().unwrap());
    }

    #[test]
    fn an_archive_is_read_as_it_was_written_and_signing_keeps_the_digest() {
        let plain = packed("1.0.0");
        let key = SigningKey::generate();
        let signed = plain.clone().signed(&key, Vec::new()).unwrap();

        let read = SignedPackage::from_archive(&signed.to_archive().unwrap()).unwrap();

        assert_eq!(read, signed);
        assert_eq!(read.publisher(), Some(&key.public()));
        assert_eq!(read.digest(), plain.digest());
        assert_eq!(SignedPackage::from_archive(&plain.to_archive().unwrap()).unwrap(), plain);
        assert_ne!(packed("1.0.1").digest(), plain.digest());
    }

    #[test]
    fn other_tools_read_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tally.berth");
        std::fs::write(&path, packed("1.0.0").to_archive().unwrap()).unwrap();

        let out = std::process::Command::new("tar").arg("-tf").arg(&path).output().unwrap();

        let names = String::from_utf8(out.stdout).unwrap();
        assert_eq!(
            names.lines().collect::<Vec<_>>(),
            ["README.md", "plugin.toml", "tally.wasm", "wit/tally.wit", "berth.index"]
        );
    }

    #[test]
    fn a_package_without_a_manifest_is_none() {
        let error = SignedPackage::pack("tally", &"1.0.0".parse().unwrap(), Contents::default()).unwrap_err();
        assert_eq!(error.code(), "PACKAGE_INCOMPLETE");
    }

    #[test]
    fn a_signature_of_another_package_does_not_fit() {
        let key = SigningKey::generate();
        let other = packed("1.0.0").signed(&key, Vec::new()).unwrap();
        let own = packed("2.0.0");
        let stolen = SignedPackage::of_parts(
            own.contents().clone(),
            own.index().text().as_bytes(),
            Some(other.signature().unwrap().text().as_bytes()),
        );
        assert_eq!(stolen.unwrap_err().code(), "PACKAGE_SIGNATURE_INVALID");
    }

    #[test]
    fn a_change_of_keys_is_told_by_the_old_key_alone_and_for_one_plugin() {
        let (old, new, thief) = (SigningKey::generate(), SigningKey::generate(), SigningKey::generate());
        let rotated = packed("1.0.0").signed(&new, vec![Rotation::new("tally", &old, new.public())]).unwrap();
        assert!(rotated.signature().unwrap().descends_from(&old.public()));
        assert!(!rotated.signature().unwrap().descends_from(&new.public()));
        assert_eq!(SignedPackage::from_archive(&rotated.to_archive().unwrap()).unwrap(), rotated);

        // For another plugin, to another key, and by somebody else under the name of the old key.
        let mut forged = Rotation::new("tally", &thief, thief.public());
        forged.from = old.public();
        for (rotation, key) in [
            (Rotation::new("other", &old, new.public()), &new),
            (Rotation::new("tally", &old, new.public()), &thief),
            (forged, &thief),
        ] {
            let refused = packed("1.0.0").signed(key, vec![rotation]).unwrap_err();
            assert_eq!(refused.code(), "PACKAGE_SIGNATURE_INVALID");
        }
    }

    #[test]
    fn a_chain_of_changes_leads_from_key_to_key() {
        let keys: Vec<SigningKey> = (0..4).map(|_| SigningKey::generate()).collect();
        let chain: Vec<Rotation> =
            keys.windows(2).map(|pair| Rotation::new("tally", &pair[0], pair[1].public())).collect();

        let signed = packed("1.0.0").signed(&keys[3], chain.clone()).unwrap();
        assert!(keys[..3].iter().all(|key| signed.signature().unwrap().descends_from(&key.public())));

        let broken = vec![chain[0], chain[2]];
        assert!(packed("1.0.0").signed(&keys[3], broken).is_err());
    }
}
