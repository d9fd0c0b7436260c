//! The web addresses of a channel: who may ask, how often, and what goes back.
//!
//! This is the one door of the host without its access token. A path that nobody wished, nobody granted, or whose token
//! is wrong answers like one that is not there, after the same comparisons.

use std::sync::{Arc, Mutex, PoisonError};

use berth_model::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::wishes::Hook;

/// The largest body of a request.
pub const BODY_BYTES: usize = 1 << 20;
/// The largest body of an answer.
pub const ANSWER_BYTES: usize = 256 << 10;
/// Requests of one channel at the same time, waiting ones among them: as many as its mailbox holds.
pub const CONCURRENT: usize = 64;
/// Requests that a channel may get at once after a quiet time.
const BURST: f64 = 120.0;
/// Requests of a channel in a second, in the long run.
const PER_SECOND: f64 = 20.0;
/// Types of an answer: none that a browser would run.
const TYPES: [&str; 6] =
    ["application/json", "application/xml", "text/xml", "text/plain", "application/octet-stream", "text/csv"];

/// What a channel answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookAnswer {
    pub status: u16,
    /// One that no browser runs.
    pub content_type: String,
    /// In seconds.
    pub retry_after: Option<u32>,
    pub body: Vec<u8>,
}

/// Why a request gets no answer of the channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookRefusal {
    /// There is no such address, as far as anybody outside may know.
    #[error("there is no such route")]
    Unknown,
    #[error("the channel gets more requests than it may")]
    TooMany { retry_after_seconds: u32 },
    #[error("the channel has more to do than it can hold")]
    Full,
    #[error("the channel did not answer in time")]
    Timeout,
    #[error("the channel is not at work")]
    Away,
    #[error("the channel could not answer")]
    Broken,
}

impl HookRefusal {
    /// The code on the wire and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "http_404",
            Self::TooMany { .. } => "CHANNEL_RATE_LIMITED",
            Self::Full => "CHANNEL_BUSY",
            Self::Timeout => "CHANNEL_TIMEOUT",
            Self::Away => "CHANNEL_AWAY",
            Self::Broken => "CHANNEL_FAILED",
        }
    }
}

/// What the grants say of a web address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nobody granted it.
    Denied,
    /// Its path ends with the token.
    Token,
    /// The provider cannot carry a token; the channel checks a signature itself.
    Open,
}

/// Whether a scope such as `{"hooks": ["events"], "open": ["events"]}` covers a web address; a scope without `hooks` covers
/// every one.
pub fn covers(scope: &Value, hook: &str) -> bool {
    match scope.get("hooks") {
        None | Some(Value::Null) => true,
        Some(hooks) => names(hooks).any(|name| name == hook),
    }
}

/// Whether a scope says that the path needs no token.
pub fn is_open(scope: &Value, hook: &str) -> bool {
    covers(scope, hook) && scope.get("open").is_some_and(|open| names(open).any(|name| name == hook))
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Checks the scope of a manifest or grant.
pub fn check_scope(scope: &Value) -> Result<(), String> {
    let Some(object) = scope.as_object() else {
        return Err("the scope must be a table".to_owned());
    };
    for (key, value) in object {
        if !matches!(key.as_str(), "hooks" | "open") {
            return Err(format!("`{key}` is no key of the scope of `channel`: it has `hooks` and `open`"));
        }
        let words = value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        if !words {
            return Err(format!("`{key}` must be a list of texts"));
        }
    }
    Ok(())
}

/// Whether two texts are the same, in a time that tells nothing of either.
pub(super) fn same(left: &str, right: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    let (left, right) = (digest(left), digest(right));
    left.iter().zip(right.iter()).fold(0_u8, |different, (left, right)| different | (left ^ right)) == 0
}

/// A place of a request, for as long as it is under way.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// Counts the requests of one channel.
pub(super) struct Turnstile {
    places: Arc<Semaphore>,
    bucket: Mutex<Bucket>,
}

struct Bucket {
    left: f64,
    at: Timestamp,
}

impl Turnstile {
    pub fn new(now: Timestamp) -> Self {
        Self {
            places: Arc::new(Semaphore::new(CONCURRENT)),
            bucket: Mutex::new(Bucket { left: BURST, at: now }),
        }
    }

    /// Lets a request in, or says why not.
    pub fn enter(&self, now: Timestamp) -> Result<Place, HookRefusal> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = now.since(bucket.at).as_secs_f64() * PER_SECOND;
        bucket.left = (bucket.left + filled).min(BURST);
        bucket.at = bucket.at.max(now);
        if bucket.left < 1.0 {
            return Err(HookRefusal::TooMany { retry_after_seconds: 1 });
        }
        let permit = self.places.clone().try_acquire_owned().map_err(|_| HookRefusal::Full)?;
        bucket.left -= 1.0;
        Ok(Place { _permit: permit })
    }
}

/// Those of the headers that the channel wants to see.
pub(super) fn wanted(hook: &Hook, headers: Vec<(String, String)>) -> Vec<(String, String)> {
    let lower = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    lower.filter(|(name, _)| hook.headers.contains(name)).collect()
}

/// What of an answer of a guest goes out.
pub(super) fn bounded(
    status: u16,
    headers: &[(String, String)],
    body: Vec<u8>,
) -> Result<HookAnswer, HookRefusal> {
    if !(200..=599).contains(&status) || body.len() > ANSWER_BYTES {
        return Err(HookRefusal::Broken);
    }
    let header = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    let kind = header("content-type").unwrap_or("text/plain").to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = TYPES.into_iter().find(|known| *known == kind).unwrap_or("application/octet-stream");
    Ok(HookAnswer {
        status,
        content_type: if kind.starts_with("text/") {
            format!("{kind}; charset=utf-8")
        } else {
            kind.to_owned()
        },
        retry_after: header("retry-after").and_then(|value| value.trim().parse().ok()),
        body,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_scope_names_addresses_and_those_that_carry_no_token() {
        for (scope, covered, open) in [
            (json!({}), true, false),
            (json!({ "hooks": ["events"] }), true, false),
            (json!({ "hooks": ["other"] }), false, false),
            (json!({ "hooks": "events" }), false, false),
            (json!({ "open": ["events"] }), true, true),
            (json!({ "hooks": ["other"], "open": ["events"] }), false, false),
        ] {
            assert_eq!((covers(&scope, "events"), is_open(&scope, "events")), (covered, open), "{scope}");
        }
        assert!(check_scope(&json!({ "hooks": ["a"], "open": [] })).is_ok());
        assert!(check_scope(&json!({ "hook": ["a"] })).is_err());
        assert!(check_scope(&json!({ "open": true })).is_err());
        assert!(check_scope(&json!([])).is_err());
    }

    #[test]
    fn a_flood_is_let_in_up_to_a_burst_and_then_as_fast_as_it_may() {
        let at = |ms: u64| Timestamp::from_micros(0).plus(Duration::from_millis(ms));
        let turnstile = Turnstile::new(at(0));
        let mut let_in = 0;
        while let Ok(place) = turnstile.enter(at(0)) {
            drop(place);
            let_in += 1;
        }
        assert_eq!(let_in, 120);
        assert!(turnstile.enter(at(100)).is_ok());
        assert!(turnstile.enter(at(100)).is_ok());
        assert_eq!(turnstile.enter(at(100)).unwrap_err().code(), "CHANNEL_RATE_LIMITED");
    }

    #[test]
    fn requests_that_wait_have_a_bounded_number_of_places() {
        let turnstile = Turnstile::new(Timestamp::from_micros(0));
        let places: Vec<_> =
            (0..CONCURRENT).map(|_| turnstile.enter(Timestamp::from_micros(0)).unwrap()).collect();

        assert_eq!(turnstile.enter(Timestamp::from_micros(0)).unwrap_err(), HookRefusal::Full);
        drop(places);
        assert!(turnstile.enter(Timestamp::from_micros(0)).is_ok());
    }

    #[test]
    fn an_answer_is_nothing_that_a_browser_runs() {
        let answer = |kind: &str, status, size| {
            let headers = [("Content-Type".to_owned(), kind.to_owned()), ("Set-Cookie".into(), "a=b".into())];
            bounded(status, &headers, vec![b'x'; size])
        };
        for (kind, shown) in [
            ("text/html", "application/octet-stream"),
            ("text/plain", "text/plain; charset=utf-8"),
            ("Application/JSON; charset=utf-8", "application/json"),
            ("image/svg+xml", "application/octet-stream"),
        ] {
            assert_eq!(answer(kind, 200, 1).unwrap().content_type, shown, "{kind}");
        }
        for (status, size) in [(101, 0), (600, 0), (200, ANSWER_BYTES + 1)] {
            assert_eq!(answer("text/plain", status, size).unwrap_err(), HookRefusal::Broken);
        }
    }

    #[test]
    fn only_the_same_token_is_the_same() {
        assert!(same("abc", "abc"));
        for other in ["", "abd", "abcd", "ABC"] {
            assert!(!same("abc", other), "{other}");
        }
    }
}
