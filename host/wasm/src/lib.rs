//! The plugin engine: WebAssembly components that can do only what the operator granted.
//!
//! [`inspect::inspect`] tells what a component is without running it, [`PluginEngine::load`] compiles it or takes it
//! from the cache, [`LoadedPlugin::call`] runs one tool in a fresh instance within its limits, and [`PluginHost`] keeps
//! the installed plugins and answers the ToolRouter of core.
//!
//! To serve one more interface: its capability in `capability`, its shell in `wit`, its line in
//! `capability::classify`.

pub mod actor;
pub mod call;
pub mod capability;
pub mod engine;
pub mod error;
pub mod host;
pub mod inspect;
pub mod limits;
pub mod manifest;
pub mod pack;
pub mod plugin;
pub mod policies;
pub mod probe;
pub mod pulse;
pub mod tool;
pub mod value;
pub mod wit;

pub use call::{CallOutcome, Receipt, ToolInvocation, Usage};
pub use capability::logs::LogLine;
pub use engine::{EngineConfig, EngineStatus, PluginEngine, Pooling};
pub use error::{CallError, EngineError, InstallError, LoadError};
pub use host::{
    Assent, HostError, HostParts, Installed, NewGrant, Outcome, Package, Pairs, PluginHost, PluginView,
    Removed,
};
pub use inspect::{Docs, Inspection};
pub use manifest::{Manifest, ManifestError};
pub use plugin::{ComponentSource, DescribeError, LoadedPlugin, PluginSpec};
pub use policies::{Policies, PolicyError};
pub use tool::{ToolDescription, ToolExport};

use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// The lower-case hex SHA-256 of a component.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// What `mutex` guards. A panic elsewhere leaves it as it was, and ends nobody else.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
