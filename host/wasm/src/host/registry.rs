//! The loaded plugins and the grants, for the calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use berth_core::port::clock::Clock;
use berth_model::plugin::Grant;
use berth_model::tool::ToolSpec;
use berth_model::{PluginId, WorkspaceId};

use super::HostError;
use crate::capability::Capability;
use crate::capability::grants::{GrantSource, GrantView, Granted};
use crate::error::InstallError;
use crate::plugin::LoadedPlugin;
use crate::tool::ToolDescription;

/// Shared between the host and the calls in flight.
#[derive(Default)]
pub(super) struct Registry {
    loaded: RwLock<Loaded>,
    grants: RwLock<Vec<Grant>>,
    generation: AtomicU64,
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
        *write(&self.grants) = grants;
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn view(&self, plugin: &LoadedPlugin, workspace: &WorkspaceId, clock: &dyn Clock) -> Arc<GrantView> {
        let generation = self.generation.load(Ordering::Acquire);
        let now = clock.now();
        let grants = read(&self.grants)
            .iter()
            .filter(|grant| grant.plugin.as_str() == plugin.id() && grant.is_live(now))
            .filter(|grant| grant.workspace.as_ref().is_none_or(|only| only == workspace))
            .filter_map(|grant| {
                let capability = Capability::lookup(&grant.capability)?;
                Some(Granted { capability, scope: grant.scope.clone(), mode: grant.mode })
            })
            .collect();
        let requests = plugin.manifest().requests.clone();
        Arc::new(GrantView::new(generation, plugin.id(), requests, grants))
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
    pub clock: Arc<dyn Clock>,
}

impl GrantSource for LiveGrants {
    fn generation(&self) -> u64 {
        self.registry.generation.load(Ordering::Acquire)
    }

    fn view(&self) -> Arc<GrantView> {
        self.registry.view(&self.plugin, &self.workspace, &*self.clock)
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
