//! What the facade is told at its start.

use std::time::Duration;

use crate::token::AccessToken;

/// See the module.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// What every request but `GET /health` must carry.
    pub token: AccessToken,
    /// Pages of these origins may ask, besides the host's own ones and those of this machine; none by default.
    pub origins: Vec<String>,
    pub limits: BodyLimits,
    /// Event streams that may be open at the same time; one more is answered with 503.
    pub max_event_streams: usize,
    /// How often an idle event stream carries a comment.
    pub keep_alive: Duration,
    /// How long a request body may take to arrive.
    pub body_within: Duration,
    /// How long a route may take that waits for the database alone; calls of tools have their own limits.
    pub answer_within: Duration,
    pub build: BuildInfo,
}

impl HttpConfig {
    /// The defaults, with `token` to be checked.
    pub fn new(token: AccessToken) -> Self {
        Self {
            token,
            origins: Vec::new(),
            limits: BodyLimits::default(),
            max_event_streams: 256,
            keep_alive: Duration::from_secs(15),
            body_within: Duration::from_secs(30),
            answer_within: Duration::from_secs(60),
            build: BuildInfo::default(),
        }
    }
}

/// The largest request bodies, in bytes; a larger one is answered with 413.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    pub default_bytes: usize,
    /// Of messages: the longest content with everything escaped, and metadata.
    pub message_bytes: usize,
    /// Of calls: the arguments are part of the body.
    pub call_bytes: usize,
}

impl Default for BodyLimits {
    /// 256 KiB, 4 MiB, 4 MiB.
    fn default() -> Self {
        Self { default_bytes: 256 << 10, message_bytes: 4 << 20, call_bytes: 4 << 20 }
    }
}

/// Which program answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildInfo {
    pub version: String,
    /// The commit it was built from; may be empty.
    pub commit: String,
}

impl Default for BuildInfo {
    fn default() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), commit: String::new() }
    }
}
