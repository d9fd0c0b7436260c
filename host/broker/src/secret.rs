//! Secrets as the broker sees them: a value, where it may go, and in which places of a request.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::scope::OriginPattern;
use crate::target::Origin;

/// The shortest value that is placed: a shorter one could not be told apart from ordinary text on its way back.
pub const SECRET_MIN_BYTES: usize = 4;
/// The longest value that is placed: the search for it takes memory in proportion.
pub const SECRET_MAX_BYTES: usize = 8 << 10;
/// The longest name of a header, parameter or field and the longest pointer of a place, in bytes.
const PLACE_BYTES: usize = 256;

/// The bytes of a secret. It has no text form and is overwritten when it is dropped.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

/// A secret that a caller may use.
#[derive(Debug, Clone)]
pub struct Secret {
    pub value: Arc<SecretValue>,
    /// Where it may go.
    pub audience: Vec<OriginPattern>,
    /// In which places of a request.
    pub places: Vec<Place>,
}

/// A place of a request: `header:authorization`, `query:key`, `path`, `json:/app_secret`, `form:client_secret`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// By its name in lower case.
    Header(String),
    /// A parameter by its name.
    Query(String),
    Path,
    /// A JSON pointer to a string.
    Json(String),
    /// A field of a form by its name.
    Form(String),
}

impl Place {
    /// Reads the form that stands in `place` of a manifest or grant.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no place: write header:NAME, query:NAME, path, json:/POINTER or form:NAME")
        };
        if text == "path" {
            return Ok(Self::Path);
        }
        let (kind, name) = text.split_once(':').ok_or_else(wrong)?;
        if name.is_empty() || name.len() > PLACE_BYTES || name.chars().any(char::is_control) {
            return Err(wrong());
        }
        match kind {
            "header" => http::HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes())
                .map(|name| Self::Header(name.as_str().to_owned()))
                .map_err(|_| wrong()),
            "query" => Ok(Self::Query(name.to_owned())),
            "json" if name.starts_with('/') => Ok(Self::Json(name.to_owned())),
            "form" => Ok(Self::Form(name.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Path => f.write_str("path"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::Form(name) => write!(f, "form:{name}"),
        }
    }
}

/// A secret that the caller does not get.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretRefused(pub String);

/// Hands out the secrets of one caller. Asked for each use; nothing is remembered.
#[async_trait]
pub trait SecretSource: Send + Sync {
    /// The secret `name`, to be put into `place` of a request to `origin`.
    ///
    /// The broker compares audience and places of the answer once more.
    async fn secret(&self, name: &str, origin: &Origin, place: &Place) -> Result<Secret, SecretRefused>;
}

/// There are no secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl SecretSource for NoSecrets {
    async fn secret(&self, name: &str, _: &Origin, _: &Place) -> Result<Secret, SecretRefused> {
        Err(SecretRefused(format!("there is no secret `{name}`")))
    }
}
