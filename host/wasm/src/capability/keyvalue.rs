//! Pairs of key and value that a plugin keeps between its calls, in buckets of its own.

use async_trait::async_trait;
use berth_model::{PluginId, WorkspaceId};
use serde_json::{Value, json};

use super::CapabilityError;
use super::limit::Limit;

/// The bucket of a guest that names none.
pub const DEFAULT_BUCKET: &str = "default";
/// The longest name of a bucket, in bytes.
pub const BUCKET_BYTES: usize = 64;
/// The longest key, in bytes.
pub const KEY_BYTES: usize = 512;
/// Keys, or pairs, that one batch may hold.
pub const BATCH: usize = 1000;
/// Keys of one page of a list.
pub const PAGE: usize = 256;

/// How much a plugin may keep in one workspace, over all of its buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub pairs: u64,
    /// Keys and values together.
    pub bytes: u64,
    pub value_bytes: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { pairs: 10_000, bytes: 16 << 20, value_bytes: 1 << 20 }
    }
}

impl Quota {
    /// The bounds `max_keys`, `max_bytes` and `max_value_bytes` of a grant; what is not named is not bounded.
    pub fn of(limit: &Limit) -> Self {
        let bound = |name| limit.get(name).unwrap_or(u64::MAX);
        Self { pairs: bound("max_keys"), bytes: bound("max_bytes"), value_bytes: bound("max_value_bytes") }
    }

    /// The smaller of each bound.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self {
            pairs: self.pairs.min(other.pairs),
            bytes: self.bytes.min(other.bytes),
            value_bytes: self.value_bytes.min(other.value_bytes),
        }
    }
}

/// A bucket of one plugin in one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub plugin: PluginId,
    pub workspace: WorkspaceId,
    pub bucket: String,
    /// What its grant bounds; the host's own quota bounds it as well.
    pub quota: Quota,
}

/// Where a list of keys goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    Start,
    /// Behind this key.
    Behind(String),
    /// Behind so many keys.
    Number(u64),
}

/// A value as it was when somebody looked, to be swapped for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub value: Option<Vec<u8>>,
    /// `None` when there was no pair.
    pub revision: Option<i64>,
}

impl Seen {
    /// The number that is kept under `key`, 0 where there is none, and `delta` more. Both ends of the range are in it.
    pub fn plus(
        &self,
        key: &str,
        delta: i128,
        (lowest, highest): (i128, i128),
    ) -> Result<i128, KeyvalueError> {
        let number: i128 = match &self.value {
            None => 0,
            Some(value) => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| KeyvalueError::NoNumber { key: key.to_owned() })?,
        };
        number
            .checked_add(delta)
            .filter(|sum| (lowest..=highest).contains(sum))
            .ok_or_else(|| KeyvalueError::Overflow { key: key.to_owned() })
    }
}

/// Why a bucket could not do it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeyvalueError {
    #[error("`{bucket}` is no name of a bucket: 1 to {BUCKET_BYTES} letters, digits, `.`, `_` and `-`")]
    Bucket { bucket: String },
    #[error("{0}")]
    Denied(CapabilityError),
    #[error("a key has 1 to {KEY_BYTES} bytes and no NUL")]
    Key,
    #[error("a batch has at most {BATCH} keys")]
    Batch,
    #[error("the value has {bytes} bytes, the limit is {limit}")]
    ValueTooLarge { bytes: usize, limit: u64 },
    #[error("the quota of {limit} {what} is used up")]
    Quota { what: &'static str, limit: u64 },
    #[error("the value of `{key}` is no whole number")]
    NoNumber { key: String },
    #[error("the number of `{key}` would leave its range")]
    Overflow { key: String },
    #[error("the cursor is of no page")]
    Cursor,
    #[error("the host cannot reach its database right now: try again")]
    Unavailable,
    #[error("this host keeps no pairs")]
    Nowhere,
    #[error("the call was cancelled")]
    Cancelled,
}

/// Keeps the pairs. Every method is one transaction.
#[async_trait]
pub trait KeyvalueStore: Send + Sync {
    /// The values of `keys`, in their order.
    async fn get(&self, place: &Place, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, KeyvalueError>;

    /// Sets all pairs, or none of them.
    async fn set(&self, place: &Place, pairs: &[(String, Vec<u8>)]) -> Result<(), KeyvalueError>;

    /// Removes those that are there.
    async fn remove(&self, place: &Place, keys: &[String]) -> Result<(), KeyvalueError>;

    /// At most [`PAGE`] keys.
    async fn keys(&self, place: &Place, from: &Cursor) -> Result<Vec<String>, KeyvalueError>;

    /// The value and its revision.
    async fn look(&self, place: &Place, key: &str) -> Result<Seen, KeyvalueError>;

    /// Sets the value when it is still what `seen` says; else tells what it is now.
    async fn swap(
        &self,
        place: &Place,
        key: &str,
        seen: &Seen,
        value: &[u8],
    ) -> Result<Result<(), Seen>, KeyvalueError>;

    /// Adds to a number, which is stored as decimal text and is 0 where there is none, within `lowest` and `highest`.
    async fn increment(
        &self,
        place: &Place,
        key: &str,
        delta: i128,
        range: (i128, i128),
    ) -> Result<i128, KeyvalueError>;
}

/// A host without a database: every use fails.
#[derive(Debug, Clone, Copy)]
pub struct NoKeyvalue;

#[async_trait]
impl KeyvalueStore for NoKeyvalue {
    async fn get(&self, _: &Place, _: &[String]) -> Result<Vec<Option<Vec<u8>>>, KeyvalueError> {
        Err(KeyvalueError::Nowhere)
    }

    async fn set(&self, _: &Place, _: &[(String, Vec<u8>)]) -> Result<(), KeyvalueError> {
        Err(KeyvalueError::Nowhere)
    }

    async fn remove(&self, _: &Place, _: &[String]) -> Result<(), KeyvalueError> {
        Err(KeyvalueError::Nowhere)
    }

    async fn keys(&self, _: &Place, _: &Cursor) -> Result<Vec<String>, KeyvalueError> {
        Err(KeyvalueError::Nowhere)
    }

    async fn look(&self, _: &Place, _: &str) -> Result<Seen, KeyvalueError> {
        Err(KeyvalueError::Nowhere)
    }

    async fn swap(&self, _: &Place, _: &str, _: &Seen, _: &[u8]) -> Result<Result<(), Seen>, KeyvalueError> {
        Err(KeyvalueError::Nowhere)
    }

    async fn increment(&self, _: &Place, _: &str, _: i128, _: (i128, i128)) -> Result<i128, KeyvalueError> {
        Err(KeyvalueError::Nowhere)
    }
}

/// What a guest wants to do in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Read,
    Write,
}

impl Use {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "ro",
            Self::Write => "rw",
        }
    }
}

/// The name of a bucket as it is kept: that of a guest that names none is [`DEFAULT_BUCKET`].
pub fn bucket(name: &str) -> Result<String, KeyvalueError> {
    let name = if name.is_empty() { DEFAULT_BUCKET } else { name };
    let plain = name.len() <= BUCKET_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if plain { Ok(name.to_owned()) } else { Err(KeyvalueError::Bucket { bucket: shortened(name) }) }
}

/// What of a bad name is said again.
fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(BUCKET_BYTES).collect()
}

/// Checks the keys of one use.
pub fn check_keys<'a>(keys: impl ExactSizeIterator<Item = &'a String>) -> Result<(), KeyvalueError> {
    if keys.len() > BATCH {
        return Err(KeyvalueError::Batch);
    }
    for key in keys {
        if key.is_empty() || key.len() > KEY_BYTES || key.contains('\0') {
            return Err(KeyvalueError::Key);
        }
    }
    Ok(())
}

/// The scope that would have to be granted for a use.
pub fn wanted(bucket: &str, way: Use) -> Value {
    json!({ "store": bucket, "access": way.as_str() })
}

/// Whether a scope like `{"store": "notes", "access": "rw"}` covers a use of `bucket`.
///
/// Without `store` it means every bucket, without `access` reading only.
pub fn covers(scope: &Value, bucket: &str, way: Use) -> bool {
    let named = match scope.get("store") {
        None => true,
        Some(name) => name.as_str() == Some(bucket),
    };
    let wide = match scope.get("access") {
        None => way == Use::Read,
        Some(access) => access == "rw" || (access == "ro" && way == Use::Read),
    };
    named && wide
}

/// Whether a scope that a guest asks about is one that [`covers`] understands, and which use it means.
pub fn asked(wanted: &Value) -> Option<(String, Use)> {
    let name = wanted.get("store").and_then(Value::as_str).unwrap_or_default();
    let way = match wanted.get("access").and_then(Value::as_str) {
        Some("rw") => Use::Write,
        None | Some("ro") => Use::Read,
        Some(_) => return None,
    };
    bucket(name).ok().map(|name| (name, way))
}

/// Checks the scope of a manifest or grant: `{ store = "name", access = "ro" | "rw" }`.
pub fn check_scope(scope: &Value) -> Result<(), String> {
    let object = scope.as_object().ok_or("the scope must be a table")?;
    for (key, value) in object {
        match (key.as_str(), value) {
            ("store", Value::String(name)) if !name.is_empty() => {
                bucket(name).map_err(|error| error.to_string())?;
            }
            ("store", _) => return Err("`store` must name a bucket".to_owned()),
            ("access", Value::String(word)) if word == "ro" || word == "rw" => {}
            ("access", _) => return Err("`access` must be \"ro\" or \"rw\"".to_owned()),
            (key, _) => {
                return Err(format!(
                    "`{key}` is no key of the scope of `keyvalue`: it has `store`, `access`"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_names_a_bucket_and_says_whether_it_is_written() {
        for (scope, read, write) in [
            (json!({}), true, false),
            (json!({ "access": "rw" }), true, true),
            (json!({ "store": "notes" }), true, false),
            (json!({ "store": "notes", "access": "ro" }), true, false),
            (json!({ "store": "notes", "access": "rw" }), true, true),
            (json!({ "store": "other", "access": "rw" }), false, false),
            (json!({ "store": ["notes"], "access": "rw" }), false, false),
            (json!({ "store": "notes", "access": "all" }), false, false),
        ] {
            assert_eq!(covers(&scope, "notes", Use::Read), read, "{scope}");
            assert_eq!(covers(&scope, "notes", Use::Write), write, "{scope}");
        }
    }

    #[test]
    fn names_of_buckets_and_keys_are_bounded() {
        assert_eq!(bucket("").unwrap(), "default");
        assert_eq!(bucket("a.b_c-1").unwrap(), "a.b_c-1");
        for name in ["a/b", "..\0", "é", "a b", &"x".repeat(65)] {
            assert!(bucket(name).is_err(), "{name}");
        }
        for (key, fits) in
            [("k", true), ("", false), ("a\0b", false), (&"x".repeat(512), true), (&"x".repeat(513), false)]
        {
            assert_eq!(check_keys([key.to_owned()].iter()).is_ok(), fits, "{}", key.len());
        }
        let many = vec!["k".to_owned(); BATCH + 1];
        assert_eq!(check_keys(many.iter()), Err(KeyvalueError::Batch));
    }

    #[test]
    fn a_scope_with_another_key_or_word_is_refused() {
        assert!(check_scope(&json!({ "store": "a", "access": "rw" })).is_ok());
        for bad in [
            json!([]),
            json!({ "bucket": "a" }),
            json!({ "store": "" }),
            json!({ "store": 1 }),
            json!({ "access": "write" }),
        ] {
            assert!(check_scope(&bad).is_err(), "{bad}");
        }
    }
}
