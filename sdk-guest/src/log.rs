//! Lines for the log of the plugin, which `berth plugin logs ID` shows. Needs no grant.
//!
//! The host keeps some 256 lines of a call, of 4 KiB each, and counts what is beyond that.
//!
//! ```
//! use berth_plugin::{log, testing};
//!
//! log::warn("the feed is empty");
//! let lines = testing::host(|host| host.lines.clone());
//! assert_eq!(lines, [(log::Level::Warn, "the feed is empty".to_owned())]);
//! ```

#[cfg(not(target_family = "wasm"))]
use crate::testing::standards as host;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For who looks for a mistake.
    Debug,
    /// What happens as it should.
    Info,
    /// What may be a mistake.
    Warn,
    /// What went wrong.
    Error,
}

/// Adds a line.
pub fn log(level: Level, message: &str) {
    host::log(level, message);
}

/// Adds a line about a step.
pub fn debug(message: &str) {
    log(Level::Debug, message);
}

/// Adds a line about what happens as it should.
pub fn info(message: &str) {
    log(Level::Info, message);
}

/// Adds a line about what may be a mistake.
pub fn warn(message: &str) {
    log(Level::Warn, message);
}

/// Adds a line about what went wrong.
pub fn error(message: &str) {
    log(Level::Error, message);
}

#[cfg(target_family = "wasm")]
mod host {
    use super::Level;
    use crate::bindings::standards::wasi::logging::logging as wasi;

    pub fn log(level: Level, message: &str) {
        let level = match level {
            Level::Trace => wasi::Level::Trace,
            Level::Debug => wasi::Level::Debug,
            Level::Info => wasi::Level::Info,
            Level::Warn => wasi::Level::Warn,
            Level::Error => wasi::Level::Error,
        };
        wasi::log(level, "", message);
    }
}
