//! What somebody changes on the way: every changed byte is noticed, and each at the layer that should notice it.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use crate::{Contents, Lock, Locked, PackageError, Rotation, SignedPackage, SigningKey};

pub(crate) fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("plugin.toml", b"[plugin]\nid = \"tally\"\nversion = \"1.0.0\"\n".to_vec()),
        ("tally.wasm", (0..9_000u32).map(|n| (n * 7 % 251) as u8).collect()),
        ("wit/tally.wit", b"package acme:tally;\n".to_vec()),
        ("README.md", b"Counts.\n".to_vec()),
    ]
}

pub(crate) fn packed(version: &str) -> SignedPackage {
    let mut contents = Contents::default();
    for (name, content) in files() {
        contents.add(name, content.into()).unwrap();
    }
    SignedPackage::pack("tally", &version.parse().unwrap(), contents).unwrap()
}

/// A signed package whose publisher has changed keys once.
fn signed() -> SignedPackage {
    let (old, new) = (SigningKey::generate(), SigningKey::generate());
    packed("1.0.0").signed(&new, vec![Rotation::new("tally", &old, new.public())]).unwrap()
}

const LAYERS: [&str; 7] = [
    "PACKAGE_DAMAGED",
    "PACKAGE_SIGNATURE_INVALID",
    "PACKAGE_INCOMPLETE",
    "PACKAGE_NAME_REFUSED",
    "PACKAGE_TOO_LARGE",
    "PUBLISHER_KEY_INVALID",
    "PACKAGE_UNREADABLE",
];

#[test]
fn every_flipped_bit_of_an_archive_is_noticed() {
    for package in [packed("1.0.0"), signed()] {
        let archive = package.to_archive().unwrap();
        for place in 0..archive.len() {
            let mut changed = archive.clone();
            changed[place] ^= 1 << (place % 8);
            let code = SignedPackage::from_archive(&changed).map_err(|refused| refused.code()).err();
            assert!(code.is_some_and(|code| LAYERS.contains(&code)), "byte {place}: {code:?}");
        }
    }
}

#[test]
fn every_cut_of_an_archive_is_noticed() {
    let archive = signed().to_archive().unwrap();
    for length in (0..archive.len()).step_by(61) {
        assert!(SignedPackage::from_archive(&archive[..length]).is_err(), "{length}");
    }
    assert!(SignedPackage::from_archive(&[&archive[..], &[0]].concat()).is_err());
}

#[test]
fn a_change_is_noticed_by_the_layer_that_it_is_of() {
    let archive = signed().to_archive().unwrap();
    let at = |text: &[u8]| archive.windows(text.len()).position(|window| window == text).unwrap();
    let code = |place: usize| {
        let mut changed = archive.clone();
        changed[place] ^= 1;
        SignedPackage::from_archive(&changed).unwrap_err()
    };

    // The manifest and the component, by their digests; a header, by its own sum; the signature, by the key.
    let manifest = code(at(b"[plugin]\n") + 3);
    assert!(
        matches!(&manifest, PackageError::Damaged { reason } if reason.contains("plugin.toml")),
        "{manifest}"
    );
    let component = code(at(&files()[1].1[..64]) + 5);
    assert!(
        matches!(&component, PackageError::Damaged { reason } if reason.contains("tally.wasm")),
        "{component}"
    );
    assert_eq!(code(at(b"ustar")).code(), "PACKAGE_DAMAGED");
    assert_eq!(code(at(b"signature ") + 14).code(), "PACKAGE_SIGNATURE_INVALID");
}

#[test]
fn who_repairs_the_index_after_a_change_breaks_the_signature() {
    let package = signed();
    let signature = package.signature().unwrap().text();
    for (changed, _) in files() {
        let mut contents = Contents::default();
        for (name, mut content) in files() {
            if name == changed {
                content.push(b'\n');
            }
            contents.add(name, content.into()).unwrap();
        }
        let repaired = SignedPackage::pack("tally", package.version(), contents.clone()).unwrap();
        let index = repaired.index().text().as_bytes();
        let refused = SignedPackage::of_parts(contents, index, Some(signature.as_bytes())).unwrap_err();
        assert_eq!(refused.code(), "PACKAGE_SIGNATURE_INVALID", "{changed}");
    }
}

#[test]
fn every_flipped_bit_of_a_lock_is_noticed() {
    let mut lock = Lock::default();
    lock.pin(Locked::of(&signed(), "a".repeat(64), "https://registry.example/tally"));
    lock.pin(Locked { id: "echo".to_owned(), ..Locked::of(&packed("0.3.0-rc.1"), "b".repeat(64), "folder") });
    let text = lock.to_text();
    assert_eq!(Lock::read(&text).unwrap(), lock);
    for place in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.clone().into_bytes();
            changed[place] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            assert_eq!(Lock::read(&changed).unwrap_err().code(), "LOCK_DAMAGED", "byte {place} bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn several_changed_bytes_are_noticed_too(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..6)
    ) {
        let archive = packed("1.0.0").to_archive().unwrap();
        let mut changed = archive.clone();
        for (place, mask) in changes {
            let place = place.index(archive.len());
            changed[place] ^= mask;
        }
        // Two changes of one byte may undo each other.
        prop_assume!(changed != archive);
        let refused = SignedPackage::from_archive(&changed).unwrap_err();
        prop_assert!(LAYERS.contains(&refused.code()), "{refused}");
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        prop_assert!(SignedPackage::from_archive(&bytes).is_err());
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert!(Lock::read(&text).is_err());
        }
    }
}
