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

/// Why a text is no database address. `url` is the text without its password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` is no database address: write `sqlite:PATH` or `postgres://USER@HOST/NAME`")]
pub struct BadDatabaseUrl {
    pub url: String,
}

impl DatabaseUrl {
    pub fn sqlite(path: impl AsRef<Path>) -> Self {
        Self::Sqlite(path.as_ref().to_owned())
    }
}

impl FromStr for DatabaseUrl {
    type Err = BadDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, BadDatabaseUrl> {
        let text = text.trim();
        let bad = || BadDatabaseUrl { url: without_password(text) };
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() || path == ":memory:" {
                Err(bad())
            } else {
                Ok(Self::Sqlite(PathBuf::from(path)))
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        Err(bad())
    }
}

/// Shows the address without its password.
impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// `url` with `***` for a password, whether it stands before the host or among the parameters.
fn without_password(url: &str) -> String {
    let mut shown = url.to_owned();
    // Up to the last `@`: a password that was not escaped may have a slash or an `@` in it.
    if let Some(start) = shown.find("://").map(|at| at + 3)
        && let Some(end) = shown.rfind('@').filter(|end| *end > start)
        && let Some(colon) = shown[start..end].find(':').map(|at| start + at)
    {
        shown.replace_range(colon + 1..end, "***");
    }
    let mut from = 0;
    while let Some(at) = shown[from..].find("password=").map(|at| from + at + "password=".len()) {
        let end = shown[at..].find('&').map_or(shown.len(), |end| at + end);
        shown.replace_range(at..end, "***");
        from = at;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read_and_others_are_refused_by_name() {
        assert_eq!("sqlite:/a/b.db".parse(), Ok(DatabaseUrl::sqlite("/a/b.db")));
        assert_eq!("sqlite:///a/b.db".parse(), Ok(DatabaseUrl::sqlite("/a/b.db")));
        for bad in ["", "mysql://u:pw@h/d", "sqlite:", "sqlite::memory:", "/a/b.db"] {
            let error = bad.parse::<DatabaseUrl>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{}` is", bad.replace("pw", "***"))), "{error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        for (text, shown) in [
            ("postgres://me:pw@h:5/d", "postgres://me:***@h:5/d"),
            ("postgres://me:a/b@pw@h/d", "postgres://me:***@h/d"),
            (
                "postgres://me@h/d?password=pw&sslmode=require",
                "postgres://me@h/d?password=***&sslmode=require",
            ),
            ("postgres://h/d", "postgres://h/d"),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();

            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }
}
