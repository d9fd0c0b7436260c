//! The plugins that take calls, and those that are about to.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use berth_model::PluginId;
use berth_model::tool::ToolSpec;
use tokio::sync::watch;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::HostError;
use super::flight::Flight;
use crate::error::InstallError;
use crate::plugin::LoadedPlugin;
use crate::tool::ToolDescription;

/// A generation that takes calls.
#[derive(Clone)]
pub(super) struct Live {
    pub plugin: LoadedPlugin,
    pub flight: Arc<Flight>,
}

/// What a caller finds.
pub(super) enum Boarding {
    /// The call counts as running until the token is dropped.
    Ready(Live, TaskTrackerToken),
    /// Ends when the plugin is loaded, or has failed to be.
    Loading(watch::Receiver<()>),
    Nothing,
}

/// By plugin; one generation each.
#[derive(Default)]
pub(super) struct Shelf {
    inner: RwLock<Inner>,
    /// Rung at each change of what is loaded or granted.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Inner {
    places: BTreeMap<PluginId, Place>,
    /// Made when somebody asks: a start changes the places twice for each plugin before anybody does.
    catalogue: OnceLock<Arc<Vec<ToolSpec>>>,
}

enum Place {
    Live(Live),
    Loading { tools: Vec<ToolDescription>, done: watch::Receiver<()> },
}

impl Place {
    fn tools(&self) -> &[ToolDescription] {
        match self {
            Self::Live(live) => live.plugin.tools(),
            Self::Loading { tools, .. } => tools,
        }
    }
}

impl Shelf {
    /// The loaded plugin.
    pub fn lookup(&self, id: &PluginId) -> Option<LoadedPlugin> {
        match self.read().places.get(id) {
            Some(Place::Live(live)) => Some(live.plugin.clone()),
            _ => None,
        }
    }

    /// The number of the generation that takes calls.
    pub fn number(&self, id: &PluginId) -> Option<i64> {
        match self.read().places.get(id) {
            Some(Place::Live(live)) => Some(live.flight.number),
            _ => None,
        }
    }

    /// Takes a place in the generation that is there: a replacement that comes later waits for it.
    pub fn board(&self, id: &PluginId) -> Boarding {
        match self.read().places.get(id) {
            Some(Place::Live(live)) => Boarding::Ready(live.clone(), live.flight.board()),
            Some(Place::Loading { done, .. }) => Boarding::Loading(done.clone()),
            None => Boarding::Nothing,
        }
    }

    pub fn catalogue(&self) -> Arc<Vec<ToolSpec>> {
        let inner = self.read();
        let told = || Arc::new(inner.places.iter().flat_map(|(id, place)| specs(id, place)).collect());
        inner.catalogue.get_or_init(told).clone()
    }

    /// Refuses names that another plugin has taken, or that core does not take.
    pub fn check(&self, id: &PluginId, tools: &[ToolDescription]) -> Result<(), HostError> {
        for tool in tools {
            tool.to_spec(id)?;
        }
        let inner = self.read();
        for (other, place) in inner.places.iter().filter(|(other, _)| *other != id) {
            let taken = tools.iter().find(|tool| place.tools().iter().any(|there| there.name == tool.name));
            if let Some(tool) = taken {
                let (tool, other) = (tool.name.clone(), other.to_string());
                return Err(InstallError::ToolNameTaken { tool, other }.into());
            }
        }
        Ok(())
    }

    /// Offers the tools of a plugin whose calls have to wait until the other end of `done` is dropped.
    pub fn expect(&self, id: PluginId, tools: Vec<ToolDescription>, done: watch::Receiver<()>) {
        self.change(|places| places.insert(id, Place::Loading { tools, done }));
    }

    /// Whether the plugin is still expected.
    pub fn is_expected(&self, id: &PluginId) -> bool {
        matches!(self.read().places.get(id), Some(Place::Loading { .. }))
    }

    /// Lets new calls go to `live`, which [`Self::check`] has passed; the generation before it is handed back.
    pub fn swap(&self, id: PluginId, live: Live) -> Option<Live> {
        self.change(|places| places.insert(id, Place::Live(live))).and_then(live_one)
    }

    /// Takes a plugin away from new calls.
    pub fn take(&self, id: &PluginId) -> Option<Live> {
        self.change(|places| places.remove(id)).and_then(live_one)
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<PluginId, Place>) -> T) -> T {
        let mut inner = self.write();
        let changed = change(&mut inner.places);
        inner.catalogue = OnceLock::new();
        drop(inner);
        self.tell();
        changed
    }

    /// Tells those who follow the changes that there is one.
    pub fn tell(&self) {
        self.changed.send_replace(());
    }

    /// Tells each change of what is loaded or granted.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Everything that is loaded.
    pub fn all(&self) -> Vec<(PluginId, LoadedPlugin)> {
        let inner = self.read();
        let live = inner.places.iter().filter_map(|(id, place)| match place {
            Place::Live(live) => Some((id.clone(), live.plugin.clone())),
            Place::Loading { .. } => None,
        });
        live.collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn live_one(place: Place) -> Option<Live> {
    match place {
        Place::Live(live) => Some(live),
        Place::Loading { .. } => None,
    }
}

fn specs(id: &PluginId, place: &Place) -> Vec<ToolSpec> {
    let spec = |tool: &ToolDescription| {
        let spec = tool.to_spec(id).ok()?;
        // What the operator set may have changed since the tool was described.
        match place {
            Place::Live(live) => Some(ToolSpec { timeout: live.plugin.timeout(tool), ..spec }),
            Place::Loading { .. } => Some(spec),
        }
    };
    place.tools().iter().filter_map(spec).collect()
}
