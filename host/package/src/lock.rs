//! `berth.lock`: what each plugin is, to the byte, and from whom.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{PackageError, PublisherKey, SignedPackage, digest};

/// The name of the file in the data folder.
pub const FILE: &str = "berth.lock";
/// The number of its form.
const FORM: u32 = 1;
/// The longest lock that is read.
pub const MAX_BYTES: usize = 4 << 20;
const HEAD: &str =
    "# Written by berth: what each plugin is, and from whom. The last line is a sum of all before it.\n";
const SUM: &str = "# sha256 ";

/// What a plugin is pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    pub id: String,
    pub version: semver::Version,
    /// The digest of the package: see [`SignedPackage::digest`].
    pub package: String,
    /// SHA-256 of the component, in lower-case hex.
    pub component: String,
    /// Where it came from: a folder, an archive, an address with its digest.
    pub source: String,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<PublisherKey>,
}

impl Locked {
    /// The pin of a package with this component.
    pub fn of(package: &SignedPackage, component: String, source: impl Into<String>) -> Self {
        Self {
            id: package.id().to_owned(),
            version: package.version().clone(),
            package: package.digest(),
            component,
            source: source.into(),
            publisher: package.publisher().copied(),
        }
    }
}

/// The pins of all plugins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    pins: BTreeMap<String, Locked>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    plugin: Vec<Locked>,
}

impl Lock {
    /// Reads the text of a lock: what [`Self::to_text`] would write, to the byte.
    pub fn read(text: &str) -> Result<Self, PackageError> {
        let damaged = |reason: String| PackageError::Lock { reason };
        if text.len() > MAX_BYTES {
            return Err(damaged(format!("it has {} bytes, the limit is {MAX_BYTES}", text.len())));
        }
        let body =
            text.rfind(SUM).map(|at| &text[..at]).ok_or_else(|| damaged("it has no sum".to_owned()))?;
        let file: File = toml::from_str(body).map_err(|error| damaged(error.message().to_owned()))?;
        if file.version != FORM {
            return Err(damaged(format!(
                "its form is {}, and this version of berth reads {FORM}",
                file.version
            )));
        }
        let mut lock = Self::default();
        for pin in file.plugin {
            lock.pins.insert(pin.id.clone(), pin);
        }
        if lock.to_text() == text { Ok(lock) } else { Err(damaged("its sum does not fit".to_owned())) }
    }

    pub fn to_text(&self) -> String {
        let file = File { version: FORM, plugin: self.pins.values().cloned().collect() };
        // Strings and numbers have a form in TOML, whatever they are.
        let body = format!("{HEAD}\n{}\n", toml::to_string(&file).unwrap_or_default());
        format!("{body}{SUM}{}\n", digest(body.as_bytes()))
    }

    /// Pins a plugin, in the place of what it was pinned to before.
    pub fn pin(&mut self, pin: Locked) {
        self.pins.insert(pin.id.clone(), pin);
    }

    /// Forgets a plugin; whether it was pinned.
    pub fn forget(&mut self, id: &str) -> bool {
        self.pins.remove(id).is_some()
    }

    pub fn get(&self, id: &str) -> Option<&Locked> {
        self.pins.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Locked> {
        self.pins.values()
    }

    /// Refuses what is not pinned, and what is not pinned to all of `found`: version, package, component, source, publisher.
    pub fn require(&self, found: &Locked) -> Result<(), PackageError> {
        let Some(pin) = self.get(&found.id) else {
            return Err(PackageError::Locked {
                id: found.id.clone(),
                wanted: "nothing".to_owned(),
                found: found.version.to_string(),
            });
        };
        let key = |key: &Option<PublisherKey>| key.map_or_else(|| "nobody".to_owned(), |key| key.to_string());
        for (what, wanted, found_is) in [
            ("version", pin.version.to_string(), found.version.to_string()),
            ("package", pin.package.clone(), found.package.clone()),
            ("component", pin.component.clone(), found.component.clone()),
            ("source", pin.source.clone(), found.source.clone()),
            ("publisher", key(&pin.publisher), key(&found.publisher)),
        ] {
            if wanted != found_is {
                return Err(PackageError::Locked {
                    id: found.id.clone(),
                    wanted: format!("the {what} {wanted}"),
                    found: format!("of {found_is}"),
                });
            }
        }
        Ok(())
    }

    /// Refuses a package that is not the one that is pinned; one that is not pinned at all is not refused.
    pub fn check(&self, package: &SignedPackage) -> Result<(), PackageError> {
        let Some(pin) = self.get(package.id()) else { return Ok(()) };
        let found = package.digest();
        if pin.package == found && pin.publisher.as_ref() == package.publisher() {
            return Ok(());
        }
        let wanted = format!("{} with the digest {}", pin.version, pin.package);
        Err(PackageError::Locked {
            id: package.id().to_owned(),
            wanted,
            found: format!("{} with the digest {found}", package.version()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tamper::packed;

    #[test]
    fn a_lock_names_each_plugin_once_in_order_and_reads_back() {
        let mut lock = Lock::default();
        assert_eq!(Lock::read(&lock.to_text()).unwrap(), lock);
        lock.pin(Locked::of(&packed("1.0.0"), "c".repeat(64), "./tally"));
        lock.pin(Locked::of(&packed("1.1.0"), "d".repeat(64), "./tally \"new\"\n"));
        assert_eq!(lock.iter().count(), 1);
        assert_eq!(lock.get("tally").unwrap().version.to_string(), "1.1.0");
        assert_eq!(Lock::read(&lock.to_text()).unwrap(), lock);
        assert!(lock.forget("tally"));
        assert!(!lock.forget("tally"));
    }

    #[test]
    fn a_lock_that_was_edited_by_hand_is_refused() {
        let mut lock = Lock::default();
        lock.pin(Locked::of(&packed("1.0.0"), "c".repeat(64), "./tally"));
        let text = lock.to_text();
        for edited in [
            text.replace("1.0.0", "1.0.1"),
            text.replace("\n[[plugin]]", "\n\n[[plugin]]"),
            text.replace("version = 1\n", "version = 2\n"),
            text.replace("source", "sauce"),
            text.lines().take(4).collect(),
            String::new(),
        ] {
            assert_eq!(Lock::read(&edited).unwrap_err().code(), "LOCK_DAMAGED", "{edited}");
        }
    }

    #[test]
    fn a_package_that_is_not_the_pinned_one_is_refused() {
        let mut lock = Lock::default();
        lock.check(&packed("1.0.0")).unwrap();
        lock.pin(Locked::of(&packed("1.0.0"), "c".repeat(64), "./tally"));
        lock.check(&packed("1.0.0")).unwrap();

        assert_eq!(lock.check(&packed("1.0.1")).unwrap_err().code(), "LOCK_MISMATCH");
        let signed = packed("1.0.0").signed(&crate::SigningKey::generate(), Vec::new()).unwrap();
        assert_eq!(lock.check(&signed).unwrap_err().code(), "LOCK_MISMATCH");
    }
}
