//! What a secret is called, and whose it is.

use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
pub const NAME_BYTES: usize = 64;
/// Plugins that may share a secret, at most.
pub const SHARERS: usize = 64;

/// 1 to 64 characters of `a-z`, `0-9`, `_`, `.` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(String);

/// A name that no secret can have, or an owner that there cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("a secret's name has 1 to {NAME_BYTES} characters of a-z, 0-9, `_`, `.` and `-`")]
    Name,
    #[error("a shared secret names 1 to {SHARERS} plugins")]
    Sharers,
}

impl FromStr for SecretName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        if (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName::Name)
        }
    }
}

impl SecretName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose a secret is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// One plugin, by its id.
    Plugin(String),
    /// Several plugins; the list belongs to the value and is sealed with it.
    Shared,
}

impl Owner {
    /// The id of the plugin; empty for a shared secret, which no plugin is called.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Plugin(id) => id,
            Self::Shared => "",
        }
    }

    /// The owner of this text.
    pub fn of(text: &str) -> Self {
        if text.is_empty() { Self::Shared } else { Self::Plugin(text.to_owned()) }
    }
}

/// One secret of the vault.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretId {
    pub owner: Owner,
    pub name: SecretName,
    /// The one workspace in which it counts; in all when `None`.
    pub workspace: Option<String>,
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        match &self.owner {
            Owner::Plugin(id) => write!(f, " of the plugin `{id}`")?,
            Owner::Shared => f.write_str(" shared by plugins")?,
        }
        match &self.workspace {
            Some(workspace) => write!(f, " in the workspace `{workspace}`"),
            None => Ok(()),
        }
    }
}

/// Who uses a secret: a plugin, in the workspace of its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker<'a> {
    pub plugin: &'a str,
    pub workspace: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_plain_form() {
        for name in ["app_secret", "a", "0.1-x", &"x".repeat(64)] {
            assert_eq!(name.parse::<SecretName>().unwrap().as_str(), name);
        }
        for name in ["", "App", "a b", "a/b", "ä", "a}}", "a\n", &"x".repeat(65)] {
            assert_eq!(name.parse::<SecretName>(), Err(BadName::Name), "{name}");
        }
    }
}
