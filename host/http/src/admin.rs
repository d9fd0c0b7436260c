//! Managing plugins, as the facade needs it. The binary implements it over the plugin engine: this crate knows none.

use std::path::PathBuf;

use async_trait::async_trait;
use berth_core::port::store::AuditFilter;
use berth_model::audit::AuditRow;
use berth_model::generation::Generation;
pub use berth_model::plugin::NewGrant;
use berth_model::plugin::{Grant, Plugin};
use berth_model::{GrantId, PluginId};
use serde_json::Value;

use crate::diff::CapabilityDiff;

/// A package on the host's own disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageAt {
    pub path: PathBuf,
    /// Where it came from before it lay there; the path itself when nobody says.
    pub source: Option<String>,
    pub pinned: Pinned,
    /// What its digest must be, as hex with or without `sha256:`.
    pub digest: Option<String>,
    /// Whether the operator has said yes to all that it asks for.
    pub is_agreed: bool,
}

/// Whether a package must be what a lock pins its plugin to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pinned {
    #[default]
    No,
    /// By the lock of the host.
    Own,
    /// By another file on the host's disk.
    By(PathBuf),
}

/// Installs plugins, switches them and grants them capabilities.
#[async_trait]
pub trait PluginAdmin: Send + Sync {
    /// Installs a package on the host's own disk: a folder with `plugin.toml`, an archive, or a bare component.
    async fn install(&self, package: PackageAt) -> Result<Installed, AdminError>;

    /// By id.
    async fn list(&self) -> Result<Vec<PluginView>, AdminError>;

    /// Fails with `PLUGIN_NOT_FOUND`.
    async fn show(&self, id: &PluginId) -> Result<PluginView, AdminError>;

    /// Makes a package the next generation of the plugin; one that asks for more waits, unless it is agreed to.
    async fn upgrade(&self, id: &PluginId, package: PackageAt) -> Result<Upgraded, AdminError>;

    /// Says yes to the generation that waits for it, where it has the digest. Fails with `PLUGIN_NOTHING_WAITS` and
    /// `PLUGIN_OTHER_DIGEST`.
    async fn accept(&self, id: &PluginId, digest: Option<String>) -> Result<Upgraded, AdminError>;

    /// Says no to the generation that waits for a yes. Fails with `PLUGIN_NOTHING_WAITS`.
    async fn decline(&self, id: &PluginId) -> Result<Upgraded, AdminError>;

    /// Puts an earlier generation in place again: `to`, or the last one without a fault.
    async fn rollback(&self, id: &PluginId, to: Option<i64>) -> Result<(), AdminError>;

    /// Lets a quarantined plugin take calls again.
    async fn resume(&self, id: &PluginId) -> Result<(), AdminError>;

    /// Oldest first.
    async fn generations(&self, id: &PluginId) -> Result<Vec<Generation>, AdminError>;

    async fn enable(&self, id: &PluginId) -> Result<(), AdminError>;

    async fn disable(&self, id: &PluginId) -> Result<(), AdminError>;

    /// Its grants stay, and without `purge` its key-value pairs.
    async fn remove(&self, id: &PluginId, purge: bool) -> Result<PluginRemoved, AdminError>;

    /// The plugin need not be installed yet.
    async fn grant(&self, new: NewGrant) -> Result<Grant, AdminError>;

    /// Oldest first, revoked and expired ones too; of every plugin when `None`.
    async fn list_grants(&self, plugin: Option<&PluginId>) -> Result<Vec<Grant>, AdminError>;

    /// Fails with `GRANT_NOT_FOUND`.
    async fn revoke(&self, id: GrantId) -> Result<Grant, AdminError>;

    /// Rows of the audit, newest first.
    async fn audit(&self, filter: AuditFilter) -> Result<Vec<AuditRow>, AdminError>;

    /// The smallest manifest for what a plugin was seen to use.
    async fn suggest(&self, id: &PluginId) -> Result<Suggestion, AdminError>;

    /// Asks a plugin whether it could do its work now; `None` when it has no say, an error inside when it could not.
    ///
    /// Fails with `PLUGIN_NOT_FOUND` and `PLUGIN_NOT_ACTIVE`.
    async fn check(&self, id: &PluginId) -> Result<Option<Result<(), AdminError>>, AdminError>;

    /// What a plugin printed lately, oldest first.
    async fn logs(&self, id: &PluginId) -> Result<Vec<PluginLogLine>, AdminError>;

    /// Never fails: what cannot be found out is said in the answer.
    async fn health(&self) -> PluginHealth;
}

/// An installed plugin and how it stands.
#[derive(Debug, Clone)]
pub struct PluginView {
    pub plugin: Plugin,
    /// Whether it is loaded and can be called.
    pub is_ready: bool,
    /// What its manifest asks for.
    pub wishes: Vec<Wish>,
    pub grants: Vec<Grant>,
    /// What an upgrade that waits for consent asks for beyond this; of one plugin alone.
    pub waiting: Option<CapabilityDiff>,
    /// The digest of that upgrade.
    pub waiting_digest: Option<String>,
    pub usage: PluginUsage,
}

/// What the removal of a plugin has left and taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PluginRemoved {
    /// Key-value pairs that are still there.
    pub kept_pairs: u64,
    /// Key-value pairs that are gone.
    pub purged_pairs: u64,
}

/// Sums of the receipts of a plugin's calls since the host started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PluginUsage {
    pub calls: u64,
    /// Calls that yielded nothing.
    pub failures: u64,
    /// Guest time.
    pub cpu_us: u64,
    /// Of the call that had the most.
    pub peak_memory_bytes: u64,
    pub host_calls: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// In the granted folders.
    pub written_bytes: u64,
    pub created_files: u64,
    /// Uses that nobody had granted.
    pub denials: u64,
}

/// What an upgrade has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgraded {
    /// The number of the generation.
    pub generation: i64,
    pub version: String,
    /// `active`, `unchanged`, `waiting` or `declined`.
    pub outcome: &'static str,
    /// The digest of a package that waits for consent.
    pub waiting_digest: Option<String>,
    /// What it asks for beyond the one that was in place; null when it is declined.
    pub diff: Option<CapabilityDiff>,
    /// What the inspection found odd.
    pub warnings: Vec<String>,
}

/// A capability that a manifest asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    pub capability: String,
    pub scope: Value,
    pub reason: String,
    pub is_required: bool,
}

/// What an install has done.
#[derive(Debug, Clone)]
pub struct Installed {
    pub view: PluginView,
    /// What the package asks for beyond the version that was in place, or at all.
    pub diff: CapabilityDiff,
    /// What the inspection found odd, for the operator to read.
    pub warnings: Vec<String>,
}

/// The smallest manifest for what a plugin was seen to use.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    pub wishes: Vec<Wish>,
    /// The wishes as they stand in a `plugin.toml`.
    pub manifest: String,
    /// Rows of the audit that it rests on.
    pub uses: usize,
}

/// A line that a plugin printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginLogLine {
    /// `stdout` or `stderr` for what it printed, the level of what it logged, `host` for what the host says of it.
    pub level: String,
    pub text: String,
}

/// What `/health` says of the plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginHealth {
    /// How instances get their memory: `pooling` or `on_demand`.
    pub allocator: String,
    pub installed: usize,
    /// Loaded and callable.
    pub ready: usize,
    /// Switched on, but not loaded.
    pub failed: usize,
    /// Whether those of the start are still being put in place, and the host is not called ready.
    pub starting: bool,
    /// Why, when the plugins cannot be looked at.
    pub problem: Option<String>,
}

/// Why a change of the plugins did not happen. Safe to show to the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AdminError {
    /// A code of `docs/errors/plugin.tsv`, which also says the status; any other is an internal failure.
    pub code: String,
    pub message: String,
    pub retryable: bool,
}
