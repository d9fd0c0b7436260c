//! The access token and other secrets: where they come from, and that they are never shown.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio_tungstenite::tungstenite::http::HeaderValue;

/// The access token of a Core, or another secret that is shared with it. It has no text form but the header.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    #[error("no access token: give --token-file, or set {}", names.join(" or "))]
    NotGiven { names: Vec<String> },
    #[error("the token file {} cannot be read", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the token file {} is empty", path.display())]
    Empty { path: PathBuf },
}

impl Token {
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// Reads the token of `file`, without the white space around it. Warns when others may read it as well.
    pub fn from_file(file: &Path) -> Result<Self, NoToken> {
        let path = || file.to_path_buf();
        let text = std::fs::read_to_string(file).map_err(|source| NoToken::File { path: path(), source })?;
        if std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0) {
            tracing::warn!("others may read the token file {0}: chmod 600 {0}", file.display());
        }
        match text.trim() {
            "" => Err(NoToken::Empty { path: path() }),
            token => Ok(Self::new(token)),
        }
    }

    /// The token of `file`, else the first of the environment variables `names` that is not empty.
    pub fn find(file: Option<&Path>, names: &[&str]) -> Result<Self, NoToken> {
        if let Some(file) = file {
            return Self::from_file(file);
        }
        names
            .iter()
            .filter_map(|name| std::env::var(name).ok())
            .map(|token| token.trim().to_owned())
            .find(|token| !token.is_empty())
            .map(Self)
            .ok_or_else(|| NoToken::NotGiven { names: names.iter().map(|&name| name.to_owned()).collect() })
    }

    /// The text itself, for what is computed with it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// `None` when the token holds what no header can.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut header = HeaderValue::from_str(&format!("Bearer {}", self.0)).ok()?;
        header.set_sensitive(true);
        (!self.0.trim().is_empty()).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new("hush");

        let shown = format!("{token:?} {:?}", token.header());

        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_token_file_ends_where_its_text_ends() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, " s3cret\n").unwrap();

        assert_eq!(Token::from_file(&file).unwrap().header().unwrap(), "Bearer s3cret");

        std::fs::write(&file, "\n").unwrap();
        let error = Token::find(Some(&file), &["PATH"]).unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
    }

    #[test]
    fn without_a_token_the_error_says_where_to_put_one() {
        let error = Token::find(None, &["BERTH_NOT_SET_1", "BERTH_NOT_SET_2"]).unwrap_err();

        assert_eq!(
            error.to_string(),
            "no access token: give --token-file, or set BERTH_NOT_SET_1 or BERTH_NOT_SET_2"
        );
    }

    #[test]
    fn a_token_that_no_header_can_hold_has_none() {
        assert!(Token::new("a\nb").header().is_none());
        assert!(Token::new(" ").header().is_none());
    }
}
