//! What calls share: the plugins that take them, and the grants.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use berth_core::port::clock::Clock;
use berth_model::plugin::{Consent, Grant};
use berth_model::{GrantId, OperationId, Origin, PluginId, RunId, WorkspaceId};
use tokio::sync::watch;

use super::shelf::Shelf;
use crate::capability::grants::{Ceiling, GrantSource, GrantView, HeldGrant, Subject, policy};
use crate::plugin::LoadedPlugin;

/// Shared between the host and the calls in flight.
#[derive(Default)]
pub(super) struct Registry {
    pub shelf: Shelf,
    authority: RwLock<Authority>,
    generation: AtomicU64,
}

/// What the operator allows.
struct Authority {
    grants: HashMap<String, Vec<HeldGrant>>,
    /// The digests of each plugin that an operator agreed to: of what takes calls, and of what is ending its last ones.
    consents: HashMap<String, HashSet<String>>,
    /// The keys that signed builds, by plugin and digest of the component.
    publishers: HashMap<String, HashMap<String, String>>,
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

impl Registry {
    pub fn set_grants(&self, grants: Vec<Grant>) {
        let mut of_plugins: HashMap<String, Vec<HeldGrant>> = HashMap::new();
        for grant in grants {
            of_plugins.entry(grant.plugin.to_string()).or_default().push(grant.into());
        }
        self.change(|authority| authority.grants = of_plugins);
    }

    /// Takes over how many uses a grant has left; calls hear of it only when there is none.
    pub fn set_uses(&self, id: GrantId, left: i64) {
        let mut authority = write(&self.authority);
        for held in authority.grants.values_mut().flatten().filter(|held| held.grant.id == id) {
            Arc::make_mut(&mut held.grant).uses_left = Some(left);
        }
        drop(authority);
        if left == 0 {
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    pub fn set_consents(&self, consents: Vec<Consent>) {
        let one = |consent: Consent| (consent.plugin.to_string(), HashSet::from([consent.digest]));
        let consents = consents.into_iter().map(one).collect();
        self.change(|authority| authority.consents = consents);
    }

    /// Agrees to a build; what was agreed to before counts on until [`Self::end_consent`].
    pub fn add_consent(&self, consent: Consent) {
        self.change(|authority| {
            authority.consents.entry(consent.plugin.to_string()).or_default().insert(consent.digest)
        });
    }

    /// Ends the consent to a build that has no call left.
    pub fn end_consent(&self, plugin: &PluginId, digest: &str) {
        self.change(|authority| {
            if let Some(builds) = authority.publishers.get_mut(plugin.as_str()) {
                builds.remove(digest);
            }
            authority.consents.get_mut(plugin.as_str()).is_some_and(|digests| digests.remove(digest))
        });
    }

    /// Which key signed a build of a plugin; an empty one for a build that nobody signed.
    pub fn set_publisher(&self, id: &PluginId, digest: &str, key: &str) {
        self.change(|authority| {
            let builds = authority.publishers.entry(id.to_string()).or_default();
            if key.is_empty() {
                builds.remove(digest);
            } else {
                builds.insert(digest.to_owned(), key.to_owned());
            }
        });
    }

    /// The ceilings in place of those before.
    pub fn set_ceilings(&self, ceilings: Vec<Ceiling>) {
        self.change(|authority| authority.ceilings = ceilings);
    }

    fn change<T>(&self, change: impl FnOnce(&mut Authority) -> T) {
        change(&mut write(&self.authority));
        self.generation.fetch_add(1, Ordering::Release);
        self.shelf.tell();
    }

    /// Whether an operator agreed to this build.
    pub fn is_approved(&self, plugin: &LoadedPlugin) -> bool {
        read(&self.authority)
            .consents
            .get(plugin.id())
            .is_some_and(|digests| digests.contains(plugin.digest()))
    }

    fn view(&self, live: &LiveGrants) -> Arc<GrantView> {
        let generation = self.generation.load(Ordering::Acquire);
        let plugin = &live.plugin;
        let authority = read(&self.authority);
        let subject = Subject {
            plugin: plugin.id(),
            digest: plugin.digest(),
            version: &plugin.manifest().version,
            publisher: authority
                .publishers
                .get(plugin.id())
                .and_then(|builds| builds.get(plugin.digest()))
                .map(String::as_str),
            is_approved: authority
                .consents
                .get(plugin.id())
                .is_some_and(|digests| digests.contains(plugin.digest())),
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

    fn changes(&self) -> Option<watch::Receiver<()>> {
        Some(self.registry.shelf.changes())
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|poisoned| poisoned.into_inner())
}
