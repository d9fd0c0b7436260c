//! The installed plugins: what is stored of them, which are loaded, what they are granted.
//!
//! A start runs no guest code: descriptions are stored with the digest. Nothing here is in reach of a plugin.

pub mod approvals;
mod audit;
pub mod boot;
mod channels;
pub mod config;
mod custody;
pub mod endpoints;
pub mod error;
mod flight;
mod generations;
mod grants;
pub mod install;
pub mod keyvalue;
mod ledger;
pub mod life;
pub mod package;
pub mod policies;
mod registry;
mod removal;
pub mod secrets;
mod shelf;
mod target;
mod upkeep;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use berth_core::Core;
use berth_core::port::clock::Clock;
use berth_core::port::ids::Ids;
use berth_core::port::store::Store;
use berth_model::plugin::{Plugin, PluginStatus};
use berth_model::{ActorId, CallId, OperationId, PluginId, WorkspaceId};
use serde_json::Value;

pub use berth_model::plugin::NewGrant;
pub use boot::Boot;
pub use error::HostError;
pub use install::{Assent, Installed, Outcome};
pub use life::{Life, Probe, Step};
pub use package::Package;
pub use removal::{Pairs, Removed};
use tokio_util::task::TaskTracker;
pub use upkeep::Health;

use crate::call::Usage;
use crate::capability::context::CallContext;
use crate::capability::logs::LogLine;
use crate::capability::services::Services;
use crate::engine::PluginEngine;
use crate::manifest::Manifest;
use crate::plugin::{ComponentSource, LoadedPlugin, PluginSpec};
use crate::tool::ToolDescription;
pub use approvals::AnswerListener;
use approvals::CoreApprovals;
pub use audit::Suggestion;
use custody::Custody;
use ledger::StoredLedger;
use registry::Registry;

/// Who installs, grants and revokes: there is one owner.
const OWNER: &str = "user:self";

/// What the host is made of.
pub struct HostParts {
    pub engine: PluginEngine,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// The folder that keeps components under their digest.
    pub folder: PathBuf,
    pub services: Services,
}

/// Keeps, loads and calls the installed plugins. Implements core's `PluginTarget`.
pub struct PluginHost {
    me: Weak<Self>,
    parts: HostParts,
    life: Life,
    registry: Arc<Registry>,
    custody: Custody,
    approvals: Arc<CoreApprovals>,
    /// What is granted and which names are taken change one after another; held for moments only.
    changes: tokio::sync::Mutex<()>,
    /// Installs and switches of one plugin come one after another.
    turns: Mutex<HashMap<PluginId, Arc<tokio::sync::Mutex<()>>>>,
    /// Generations that are coming to their end.
    tasks: TaskTracker,
}

/// A plugin and how it stands.
#[derive(Debug, Clone)]
pub struct PluginView {
    pub plugin: Plugin,
    /// Whether it is loaded and can be called.
    pub is_ready: bool,
    pub grants: Vec<berth_model::plugin::Grant>,
    /// What its calls have used since the host started.
    pub usage: Usage,
}

impl PluginHost {
    pub fn new(parts: HostParts) -> Arc<Self> {
        Self::with_life(parts, Life::default())
    }

    pub fn with_life(mut parts: HostParts, life: Life) -> Arc<Self> {
        let registry = Arc::new(Registry::default());
        let approvals = Arc::new(CoreApprovals::default());
        let ledger =
            StoredLedger::new(parts.store.clone(), parts.clock.clone(), parts.ids.clone(), registry.clone());
        parts.services = parts.services.with_approvals(approvals.clone()).with_ledger(Arc::new(ledger));
        // What is counted is counted for each host.
        parts.services.throttle = Arc::default();
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            parts,
            life,
            registry,
            custody: Custody::default(),
            approvals,
            changes: tokio::sync::Mutex::new(()),
            turns: Mutex::new(HashMap::new()),
            tasks: TaskTracker::new(),
        })
    }

    /// Joins core, which is made after the plugins: before, nobody is asked for an approval. Joined once.
    pub fn attach(&self, core: Core) {
        self.approvals.attach(core);
    }

    /// Hears the answers to the questions of plugins, in place of whoever did before.
    pub fn listen_for_answers(&self, listener: Arc<dyn AnswerListener>) {
        self.approvals.listen(listener);
    }

    pub fn engine(&self) -> &PluginEngine {
        &self.parts.engine
    }

    /// The tasks of this host keep it alive until they end.
    fn strong(&self) -> Result<Arc<Self>, HostError> {
        self.me.upgrade().ok_or(HostError::Inspector)
    }

    /// Runs `work` to its end even when the caller does not wait for it.
    async fn detached<T: Send + 'static, F>(&self, work: impl FnOnce(Arc<Self>) -> F) -> Result<T, HostError>
    where
        F: Future<Output = Result<T, HostError>> + Send + 'static,
    {
        let work = work(self.strong()?);
        tokio::spawn(work).await.map_err(|_| HostError::Inspector)?
    }

    /// Waits for the changes of one plugin that are at work; the next one waits for this.
    async fn turn(&self, id: &PluginId) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = match self.turns.lock() {
                Ok(turns) => turns,
                Err(poisoned) => poisoned.into_inner(),
            };
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(id.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// Every installed plugin, by id.
    pub async fn list(&self) -> Result<Vec<PluginView>, HostError> {
        let mut tx = self.parts.store.read().await?;
        let grants = tx.list_grants(None).await?;
        let plugins = tx.list_plugins().await?;
        Ok(plugins
            .into_iter()
            .map(|plugin| PluginView {
                is_ready: self.registry.shelf.lookup(&plugin.id).is_some(),
                grants: grants.iter().filter(|grant| grant.plugin == plugin.id).cloned().collect(),
                usage: self.parts.engine.usage(plugin.id.as_str()),
                plugin,
            })
            .collect())
    }

    /// One plugin.
    pub async fn show(&self, id: &PluginId) -> Result<PluginView, HostError> {
        let mut tx = self.parts.store.read().await?;
        let plugin = tx.lookup_plugin(id).await?.ok_or_else(|| HostError::not_found(id))?;
        let grants = tx.list_grants(Some(id)).await?;
        let usage = self.parts.engine.usage(id.as_str());
        Ok(PluginView { is_ready: self.registry.shelf.lookup(id).is_some(), plugin, grants, usage })
    }

    /// Loads a plugin that was switched off, has failed or is quarantined.
    pub async fn enable(&self, id: &PluginId) -> Result<(), HostError> {
        let _turn = self.turn(id).await;
        self.switch_on(id).await
    }

    /// Takes a plugin out of the catalogue. Calls in flight end by themselves, or are cancelled when the time of
    /// [`Life::drain`] is over.
    pub async fn disable(&self, id: &PluginId) -> Result<(), HostError> {
        let _turn = self.turn(id).await;
        let mut plugin = self.row(id).await?;
        plugin.status = PluginStatus::Disabled;
        self.save(&plugin).await?;
        let taken = self.registry.shelf.take(id);
        self.retire(id.clone(), taken);
        Ok(())
    }

    /// What a plugin printed lately, oldest first.
    pub fn logs(&self, id: &PluginId) -> Result<Vec<LogLine>, HostError> {
        self.registry
            .shelf
            .lookup(id)
            .map(|plugin| plugin.recent_logs())
            .ok_or_else(|| HostError::not_found(id))
    }

    /// The generation in place, ready to be called. No guest code runs.
    async fn load(&self, plugin: &Plugin) -> Result<LoadedPlugin, HostError> {
        let manifest = Arc::new(self.manifest_of(&plugin.manifest, &plugin.digest)?);
        let manifest_names_schema = manifest.config_schema.is_some();
        let tools: Vec<ToolDescription> = serde_json::from_value(plugin.tools.clone())?;
        let spec = PluginSpec {
            digest: plugin.digest.clone(),
            component: ComponentSource::File(package::path(&self.parts.folder, &plugin.digest)),
            manifest,
            tools,
        };
        let schema = self.kept_schema(&plugin.manifest, &plugin.digest, manifest_names_schema)?;
        let loaded = self.parts.engine.load(spec).await?;
        self.parts.services.config.learn(plugin.id.as_str(), schema);
        Ok(loaded)
    }

    /// What a version of a plugin asks for: its manifest, and the secrets among its settings.
    fn manifest_of(&self, text: &str, digest: &str) -> Result<Manifest, HostError> {
        let manifest = Manifest::parse(text)?;
        match self.kept_schema(text, digest, manifest.config_schema.is_some())? {
            Some(schema) => Ok(manifest.with_secrets_of(&schema)?),
            None => Ok(manifest),
        }
    }

    /// The schema that a version of a plugin was installed with.
    fn kept_schema(&self, manifest: &str, digest: &str, is_named: bool) -> Result<Option<Value>, HostError> {
        if !is_named {
            return Ok(None);
        }
        let path = package::schema_path(&self.parts.folder, manifest, digest);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(config_schema(&text)?)),
            // Installed before schemas were kept.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(HostError::Folder { source }),
        }
    }

    async fn row(&self, id: &PluginId) -> Result<Plugin, HostError> {
        self.parts.store.read().await?.lookup_plugin(id).await?.ok_or_else(|| HostError::not_found(id))
    }

    async fn save(&self, plugin: &Plugin) -> Result<(), HostError> {
        let mut plugin = plugin.clone();
        plugin.updated_at = self.parts.clock.now();
        let mut tx = self.parts.store.write().await?;
        tx.upsert_plugin(&plugin).await?;
        Ok(tx.commit().await?)
    }

    /// The context of a call that the host itself makes.
    fn own_context(&self) -> CallContext {
        CallContext {
            call: CallId::from_uuid(self.parts.ids.uuid()),
            operation: OperationId::from_uuid(self.parts.ids.uuid()),
            run: None,
            thread: None,
            session: None,
            workspace: WorkspaceId::fixed("none"),
            actor: ActorId::fixed("system:host"),
            locale: String::new(),
            dry_run: true,
            idempotency_key: String::new(),
            meta: Vec::new(),
        }
    }
}

/// Reads a schema of settings.
fn config_schema(text: &str) -> Result<Value, HostError> {
    crate::capability::config::schema(text)
        .map_err(|error| HostError::ConfigSchema { message: error.to_string() })
}
