//! The loaded plugins and the grants, for the calls.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use berth_core::port::clock::Clock;
use berth_model::plugin::{Consent, Grant};
use berth_model::tool::ToolSpec;
use berth_model::{OperationId, Origin, PluginId, RunId, WorkspaceId};

use super::HostError;
use crate::capability::grants::{Ceiling, GrantSource, GrantView, Subject, policy};
use crate::error::InstallError;
use crate::plugin::LoadedPlugin;
use crate::tool::ToolDescription;

/// Shared between the host and the calls in flight.
#[derive(Default)]
pub(super) struct Registry {
    loaded: RwLock<Loaded>,
    authority: RwLock<Authority>,
    generation: AtomicU64,
}

/// What the operator allows.
struct Authority {
    grants: HashMap<String, Vec<Arc<Grant>>>,
    /// The digest of each plugin that an operator agreed to.
    consents: HashMap<String, String>,
    /// The key that signed the build of each plugin.
    publishers: HashMap<String, String>,
    ceilings: Vec<Ceiling>,
}

impl Default for Authority {
    fn default() -> Self {
        Self {
            grants: HashMap::new(),
            consents: HashMap::new(),
            publishers: HashMap::new(),
            ceilings: policy::standard(),
        }
    }
}

#[derive(Default)]
struct Loaded {
    plugins: BTreeMap<PluginId, LoadedPlugin>,
    catalogue: Arc<Vec<ToolSpec>>,
}

impl Registry {
    pub fn lookup(&self, id: &PluginId) -> Option<LoadedPlugin> {
        read(&self.loaded).plugins.get(id).cloned()
    }

    pub fn catalogue(&self) -> Arc<Vec<ToolSpec>> {
        read(&self.loaded).catalogue.clone()
    }

    /// Refuses names that another plugin has taken.
    pub fn check_free(&self, id: &PluginId, tools: &[ToolDescription]) -> Result<(), HostError> {
        let loaded = read(&self.loaded);
        for (other, plugin) in loaded.plugins.iter().filter(|(other, _)| *other != id) {
            let taken = tools.iter().find(|tool| plugin.tools().iter().any(|there| there.name == tool.name));
            if let Some(tool) = taken {
                return Err(InstallError::ToolNameTaken {
                    tool: tool.name.clone(),
                    other: other.to_string(),
                }
                .into());
            }
        }
        Ok(())
    }

    /// Makes a plugin callable in place of the one of its id.
    pub fn put(&self, id: PluginId, plugin: LoadedPlugin) -> Result<(), HostError> {
        self.check_free(&id, plugin.tools())?;
        // A tool whose name core cannot take is refused before anything changes.
        plugin.tools().iter().map(|tool| tool.to_spec(&id)).collect::<Result<Vec<_>, _>>()?;
        let mut loaded = write(&self.loaded);
        loaded.plugins.insert(id, plugin);
        loaded.rebuild();
        drop(loaded);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    pub fn take(&self, id: &PluginId) {
        let mut loaded = write(&self.loaded);
        loaded.plugins.remove(id);
        loaded.rebuild();
    }

    pub fn set_grants(&self, grants: Vec<Grant>) {
        let mut of_plugins: HashMap<String, Vec<Arc<Grant>>> = HashMap::new();
        for grant in grants {
            of_plugins.entry(grant.plugin.to_string()).or_default().push(Arc::new(grant));
        }
        self.change(|authority| authority.grants = of_plugins);
    }

    pub fn set_consents(&self, consents: Vec<Consent>) {
        let consents =
            consents.into_iter().map(|consent| (consent.plugin.to_string(), consent.digest)).collect();
        self.change(|authority| authority.consents = consents);
    }

    pub fn set_consent(&self, consent: Consent) {
        self.change(|authority| authority.consents.insert(consent.plugin.to_string(), consent.digest));
    }

    /// Which key signed the build of a plugin, if one did.
    pub fn set_publisher(&self, id: &PluginId, key: Option<String>) {
        self.change(|authority| match key {
            Some(key) => authority.publishers.insert(id.to_string(), key),
            None => authority.publishers.remove(id.as_str()),
        });
    }

    /// The ceilings in place of those before.
    pub fn set_ceilings(&self, ceilings: Vec<Ceiling>) {
        self.change(|authority| authority.ceilings = ceilings);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Authority) -> T) {
        change(&mut write(&self.authority));
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Whether an operator agreed to this build.
    pub fn is_approved(&self, plugin: &LoadedPlugin) -> bool {
        read(&self.authority).consents.get(plugin.id()).is_some_and(|digest| digest == plugin.digest())
    }

    fn view(&self, live: &LiveGrants) -> Arc<GrantView> {
        let generation = self.generation.load(Ordering::Acquire);
        let plugin = &live.plugin;
        let authority = read(&self.authority);
        let subject = Subject {
            plugin: plugin.id(),
            digest: plugin.digest(),
            version: &plugin.manifest().version,
            publisher: authority.publishers.get(plugin.id()).map(String::as_str),
            is_approved: authority.consents.get(plugin.id()).is_some_and(|digest| digest == plugin.digest()),
            workspace: &live.workspace,
            origin: live.origin,
            run: live.run,
            operation: live.operation,
        };
        let grants = authority.grants.get(plugin.id()).map(Vec::as_slice).unwrap_or_default();
        let now = live.clock.now();
        let requests = plugin.requests().clone();
        Arc::new(GrantView::compile(generation, &subject, requests, grants, &authority.ceilings, now))
    }
}

impl Loaded {
    fn rebuild(&mut self) {
        let specs = self.plugins.iter().flat_map(|(id, plugin)| {
            plugin.tools().iter().filter_map(|tool| {
                let spec = tool.to_spec(id).ok()?;
                // What the operator set may have changed since the tool was described.
                Some(ToolSpec { timeout: plugin.timeout(tool), ..spec })
            })
        });
        self.catalogue = Arc::new(specs.collect());
    }
}

/// The grants of one call, as they change.
pub(super) struct LiveGrants {
    pub registry: Arc<Registry>,
    pub plugin: LoadedPlugin,
    pub workspace: WorkspaceId,
    pub origin: Origin,
    pub run: Option<RunId>,
    pub operation: OperationId,
    pub clock: Arc<dyn Clock>,
}

impl GrantSource for LiveGrants {
    fn generation(&self) -> u64 {
        self.registry.generation.load(Ordering::Acquire)
    }

    fn view(&self) -> Arc<GrantView> {
        self.registry.view(self)
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
