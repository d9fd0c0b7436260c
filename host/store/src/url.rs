//! Which database.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A database address that berth knows how to open.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file; its folder must exist.
    Sqlite(PathBuf),
    /// The whole address, password included.
    Postgres(String),
}

/// Why a text is no database address. Never repeats the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database address must be `sqlite:PATH` or `postgres://USER@HOST/NAME`")]
pub struct BadDatabaseUrl;

impl DatabaseUrl {
    pub fn sqlite(path: impl AsRef<Path>) -> Self {
        Self::Sqlite(path.as_ref().to_owned())
    }
}

impl FromStr for DatabaseUrl {
    type Err = BadDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, BadDatabaseUrl> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() || path == ":memory:" {
                Err(BadDatabaseUrl)
            } else {
                Ok(Self::Sqlite(PathBuf::from(path)))
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(BadDatabaseUrl)
    }
}

/// Shows where, never as whom.
impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => {
                write!(f, "postgres://…@{}", url.rsplit_once('@').map_or("…", |(_, place)| place))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_and_others_are_refused_without_repeating_them() {
        assert_eq!("sqlite:/a/b.db".parse(), Ok(DatabaseUrl::sqlite("/a/b.db")));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(DatabaseUrl::sqlite("/a/b.db")));
        for bad in ["", "mysql://u:pw@h/d", "sqlite:", "sqlite::memory:", "/a/b.db"] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err();
            assert!(!error.to_string().contains("pw"));
        }
        let url: DatabaseUrl = "postgres://me:pw@h:5/d".parse().unwrap();
        assert_eq!(format!("{url:?}"), "postgres://…@h:5/d");
    }
}
