//! What an operator makes of publishers: `policies/publishers.toml`, and the key that was pinned at first use.

use serde::Deserialize;
use toml::Spanned;

use crate::{Locked, PackageError, PublisherKey, SignedPackage};

/// The name of the file among the policies.
pub const FILE: &str = "publishers.toml";
/// The longest file that is read.
pub const MAX_BYTES: usize = 1 << 20;

/// The operator's policy. By default packages need no signature, and the first key of a plugin is the one that counts.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    unsigned: Unsigned,
    unknown: Unknown,
    publishers: Vec<Publisher>,
    revoked: Vec<Revoked>,
}

/// What becomes of a package without a signature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unsigned {
    #[default]
    Allow,
    Refuse,
}

/// What becomes of a key that neither the policy nor the lock knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Unknown {
    #[default]
    FirstUse,
    Refuse,
}

#[derive(Debug, Clone)]
struct Publisher {
    key: PublisherKey,
    plugins: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Key(PublisherKey),
    /// The digest of a package or of a component.
    Digest(String),
}

#[derive(Debug, Clone)]
struct Revoked {
    target: Target,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    unsigned: Unsigned,
    #[serde(default)]
    unknown: Unknown,
    #[serde(default)]
    publisher: Vec<PublisherEntry>,
    #[serde(default)]
    revoked: Vec<Spanned<RevokedEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublisherEntry {
    key: PublisherKey,
    /// For whoever reads the file.
    #[serde(default, rename = "name")]
    _name: String,
    plugins: Spanned<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedEntry {
    key: Option<PublisherKey>,
    digest: Option<String>,
    reason: String,
}

/// What to do with a package that nothing speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Its publisher is the one of before, or the policy names him.
    Known,
    /// Its publisher is seen for the first time; his key counts from now on.
    FirstUse,
    /// Nobody signed it, and nobody signed the one before it.
    Unsigned,
    /// The publisher of before says himself that he has another key.
    Rotated { from: PublisherKey },
    /// Somebody else signed it than before, or nobody did: the operator is asked.
    Changed { from: PublisherKey, to: Option<PublisherKey> },
}

impl Trust {
    /// Reads the text of `publishers.toml`.
    pub fn read(text: &str) -> Result<Self, PackageError> {
        let line =
            |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count();
        let wrong = |at: usize, message: &str| PackageError::Policy {
            message: message.to_owned(),
            line: Some(line(at)),
        };
        if text.len() > MAX_BYTES {
            return Err(PackageError::Policy {
                message: format!("it has more than {MAX_BYTES} bytes"),
                line: None,
            });
        }
        let file: File = toml::from_str(text).map_err(|error| PackageError::Policy {
            message: error.message().to_owned(),
            line: error.span().map(|span| line(span.start)),
        })?;
        let mut trust = Self { unsigned: file.unsigned, unknown: file.unknown, ..Self::default() };
        for PublisherEntry { key, plugins, .. } in file.publisher {
            let at = plugins.span().start;
            let plugins = plugins.into_inner();
            // A star alone would hand every plugin to one publisher, those of others too.
            let is_pattern = |word: &String| {
                let name = word.strip_suffix('*').unwrap_or(word);
                !name.is_empty()
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            };
            if plugins.is_empty() || !plugins.iter().all(is_pattern) {
                return Err(wrong(
                    at,
                    "`plugins` is a list of ids, which may end in `*`: [\"tally\", \"acme-*\"]",
                ));
            }
            trust.publishers.push(Publisher { key, plugins });
        }
        for entry in file.revoked {
            let at = entry.span().start;
            let RevokedEntry { key, digest, reason } = entry.into_inner();
            let target = match (key, digest) {
                (Some(key), None) => Target::Key(key),
                (None, Some(digest)) if is_digest(&digest) => Target::Digest(digest),
                _ => {
                    return Err(wrong(
                        at,
                        "what is revoked is either a `key` or a `digest` of 64 hex digits",
                    ));
                }
            };
            trust.revoked.push(Revoked { target, reason });
        }
        Ok(trust)
    }

    /// Says what to do with a package, given what its plugin is pinned to.
    ///
    /// `component` is the SHA-256 of its component in lower-case hex. An older version than the pinned one is refused:
    /// whoever could offer an old package could offer its old faults.
    pub fn admit(
        &self,
        package: &SignedPackage,
        component: &str,
        pin: Option<&Locked>,
    ) -> Result<Admission, PackageError> {
        self.check_revoked(package, component)?;
        let id = package.id();
        if let Some(pin) = pin
            && package.version().cmp_precedence(&pin.version).is_lt()
        {
            return Err(PackageError::Downgrade {
                id: id.to_owned(),
                offered: package.version().to_string(),
                there: pin.version.to_string(),
            });
        }
        let Some(key) = package.publisher() else { return self.admit_unsigned(id, pin) };
        let named = self.publishers_of(id);
        if !named.is_empty() {
            return if named.contains(&key) {
                Ok(Admission::Known)
            } else {
                Err(PackageError::NotAllowed { id: id.to_owned(), key: key.to_string() })
            };
        }
        match pin.and_then(|pin| pin.publisher) {
            Some(pinned) if pinned == *key => Ok(Admission::Known),
            Some(pinned) => {
                let is_told = package.signature().is_some_and(|signature| signature.descends_from(&pinned));
                Ok(if is_told {
                    Admission::Rotated { from: pinned }
                } else {
                    Admission::Changed { from: pinned, to: Some(*key) }
                })
            }
            None if self.unknown == Unknown::Refuse => {
                Err(PackageError::Unknown { id: id.to_owned(), key: key.to_string() })
            }
            None => Ok(Admission::FirstUse),
        }
    }

    /// Says what to do with a plugin that nobody signed, in a package, in a folder or as a bare component.
    pub fn admit_unsigned(&self, id: &str, pin: Option<&Locked>) -> Result<Admission, PackageError> {
        if self.unsigned == Unsigned::Refuse || !self.publishers_of(id).is_empty() {
            return Err(PackageError::Unsigned { id: id.to_owned() });
        }
        Ok(match pin.and_then(|pin| pin.publisher) {
            Some(from) => Admission::Changed { from, to: None },
            None => Admission::Unsigned,
        })
    }

    /// The keys that the policy names for a plugin.
    fn publishers_of(&self, id: &str) -> Vec<&PublisherKey> {
        self.publishers
            .iter()
            .filter(|publisher| publisher.covers(id))
            .map(|publisher| &publisher.key)
            .collect()
    }

    /// Refuses a package that is revoked, whose component is, or that one of its keys is.
    ///
    /// A key that is revoked speaks for nobody: it can hand over to no other key either.
    pub fn check_revoked(&self, package: &SignedPackage, component: &str) -> Result<(), PackageError> {
        let digest = package.digest();
        for revoked in &self.revoked {
            let what = match &revoked.target {
                Target::Key(key) if package.publisher() == Some(key) => format!("the key {key}"),
                Target::Key(key) if package.signature().is_some_and(|signed| signed.descends_from(key)) => {
                    format!("the key {key}, which its publisher had before,")
                }
                Target::Digest(wanted) if *wanted == digest => format!("the package {digest}"),
                Target::Digest(wanted) if wanted == component => format!("the component {component}"),
                _ => continue,
            };
            return Err(PackageError::Revoked { what, reason: revoked.reason.clone() });
        }
        Ok(())
    }

    /// Refuses a component that is revoked by its digest, however it came here.
    pub fn check_component(&self, component: &str) -> Result<(), PackageError> {
        match self.revoked.iter().find(|revoked| revoked.target == Target::Digest(component.to_owned())) {
            Some(revoked) => Err(PackageError::Revoked {
                what: format!("the component {component}"),
                reason: revoked.reason.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl Publisher {
    fn covers(&self, id: &str) -> bool {
        self.plugins.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => id.starts_with(start),
            None => id == pattern,
        })
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tamper::packed;
    use crate::{Rotation, SigningKey};

    fn pinned(version: &str, key: Option<&SigningKey>) -> Locked {
        Locked::of(&by(version, key), "c".repeat(64), "test")
    }

    fn by(version: &str, key: Option<&SigningKey>) -> SignedPackage {
        let package = packed(version);
        match key {
            Some(key) => package.signed(key, Vec::new()).unwrap(),
            None => package,
        }
    }

    #[test]
    fn the_first_key_of_a_plugin_counts_and_another_one_is_asked_about() {
        let (first, second) = (SigningKey::generate(), SigningKey::generate());
        let trust = Trust::default();
        let admit = |version: &str, key: Option<&SigningKey>, pin: Option<&Locked>| {
            trust.admit(&by(version, key), "", pin).unwrap()
        };
        assert_eq!(admit("1.0.0", None, None), Admission::Unsigned);
        assert_eq!(admit("1.0.0", Some(&first), None), Admission::FirstUse);
        // Who signs what nobody had signed is the first one.
        assert_eq!(admit("1.0.1", Some(&first), Some(&pinned("1.0.0", None))), Admission::FirstUse);

        let pin = pinned("1.0.0", Some(&first));
        assert_eq!(admit("1.0.1", Some(&first), Some(&pin)), Admission::Known);
        let from = first.public();
        assert_eq!(
            admit("1.0.1", Some(&second), Some(&pin)),
            Admission::Changed { from, to: Some(second.public()) }
        );
        assert_eq!(admit("1.0.1", None, Some(&pin)), Admission::Changed { from, to: None });
    }

    #[test]
    fn a_publisher_who_says_that_he_has_another_key_is_the_same_one() {
        let (old, new) = (SigningKey::generate(), SigningKey::generate());
        let package = packed("1.1.0").signed(&new, vec![Rotation::new("tally", &old, new.public())]).unwrap();

        let admitted = Trust::default().admit(&package, "", Some(&pinned("1.0.0", Some(&old)))).unwrap();

        assert_eq!(admitted, Admission::Rotated { from: old.public() });
    }

    #[test]
    fn the_policy_says_who_may_publish_what() {
        let (acme, other) = (SigningKey::generate(), SigningKey::generate());
        let text = format!(
            "unknown = \"refuse\"\n[[publisher]]\nkey = \"{}\"\nname = \"Acme\"\nplugins = [\"tal*\"]\n",
            acme.public()
        );
        let trust = Trust::read(&text).unwrap();
        let code = |package| trust.admit(&package, "", None).unwrap_err().code();

        assert_eq!(trust.admit(&by("1.0.0", Some(&acme)), "", None).unwrap(), Admission::Known);
        assert_eq!(code(by("1.0.0", Some(&other))), "PUBLISHER_NOT_ALLOWED");
        assert_eq!(code(by("1.0.0", None)), "PACKAGE_UNSIGNED");
        // A plugin that nobody is named for.
        let foreign =
            SignedPackage::pack("foreign", &"1.0.0".parse().unwrap(), packed("1.0.0").contents().clone());
        let foreign = foreign.unwrap();
        assert_eq!(trust.admit(&foreign, "", None).unwrap(), Admission::Unsigned);
        assert_eq!(code(foreign.signed(&acme, Vec::new()).unwrap()), "PUBLISHER_UNKNOWN");
    }

    #[test]
    fn an_older_version_is_refused_and_the_same_one_is_not() {
        let pin = pinned("1.2.0", None);
        let admit = |version: &str| Trust::default().admit(&packed(version), "", Some(&pin));

        assert_eq!(admit("1.1.9").unwrap_err().code(), "PACKAGE_DOWNGRADE");
        assert_eq!(admit("1.2.0-rc.1").unwrap_err().code(), "PACKAGE_DOWNGRADE");
        assert!(admit("1.2.0").is_ok());
        assert!(admit("1.3.0").is_ok());
    }

    #[test]
    fn what_is_revoked_is_refused_by_key_by_package_and_by_component() {
        let (old, new) = (SigningKey::generate(), SigningKey::generate());
        let component = "e".repeat(64);
        let plain = packed("1.0.0");
        let signed = plain.clone().signed(&new, vec![Rotation::new("tally", &old, new.public())]).unwrap();
        let revoke = |what: &str| {
            let text = format!("[[revoked]]\n{what}\nreason = \"the key was stolen\"\n");
            Trust::read(&text).unwrap().admit(&signed, &component, None)
        };
        for what in [
            format!("key = \"{}\"", new.public()),
            format!("key = \"{}\"", old.public()),
            format!("digest = \"{}\"", plain.digest()),
            format!("digest = \"{component}\""),
        ] {
            let refused = revoke(&what).unwrap_err();
            assert_eq!(refused.code(), "PACKAGE_REVOKED", "{what}");
            assert!(refused.to_string().contains("the key was stolen"));
        }
        assert!(revoke(&format!("digest = \"{}\"", "f".repeat(64))).is_ok());
    }

    #[test]
    fn a_policy_that_is_wrong_names_its_line() {
        let key = SigningKey::generate().public();
        for (text, line) in [
            ("unsigned = \"maybe\"".to_owned(), 1),
            ("\nallow = true".to_owned(), 2),
            (format!("[[publisher]]\nkey = \"{key}\"\nplugins = [\"*\"]"), 3),
            (format!("[[publisher]]\nkey = \"{key}\"\nplugins = []"), 3),
            ("[[publisher]]\nkey = \"ed25519:x\"\nplugins = [\"a\"]".to_owned(), 2),
            ("unsigned = \"allow\"\n[[revoked]]\nreason = \"x\"".to_owned(), 2),
            ("[[revoked]]\ndigest = \"ABC\"\nreason = \"x\"".to_owned(), 1),
        ] {
            let refused = Trust::read(&text).unwrap_err();
            assert_eq!(refused.code(), "PUBLISHERS_INVALID");
            assert!(refused.to_string().starts_with(&format!("publishers.toml:{line}: ")), "{refused}");
        }
    }
}
