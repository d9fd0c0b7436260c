//! Instances at rest: made ahead of their call, or kept after one.
//!
//! One that was made ahead serves a single call, so nothing of one call is there in the next; only one that asked the
//! host for nothing while it was made is kept, so it does not matter for whom it was made. One that is kept after a
//! call still has what the guest put into its memory: it is used again for the same actor, workspace and grants alone,
//! and only where plugin and operator both want that.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use berth_model::{ActorId, WorkspaceId};
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::Store;
use wasmtime::component::Instance;

use super::meter::{Meter, Metered};
use super::state::{Call, PluginState, Shared};
use crate::capability::context::CallContext;
use crate::capability::grants::{Fixed, GrantView};
use crate::capability::progress::NoProgress;
use crate::capability::services::Services;
use crate::limits::instances as limits;
use crate::manifest::Instances;
use crate::plugin::Loaded;

/// What the operator allows of instances that are not fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstancePolicy {
    /// Instances may be made ahead of their call.
    pub prewarm: bool,
    /// Instances may be used again.
    pub pool: bool,
    /// Instances at rest, of all plugins.
    pub max_ready: usize,
}

impl Default for InstancePolicy {
    fn default() -> Self {
        Self { prewarm: true, pool: false, max_ready: limits::READY_PER_HOST }
    }
}

impl InstancePolicy {
    /// The mode of a plugin that wishes for `wish`.
    pub fn mode(&self, wish: Instances) -> Mode {
        match wish {
            Instances::Pool if self.pool => Mode::Pool,
            Instances::Prewarm | Instances::Pool if self.prewarm => Mode::Prewarm,
            _ => Mode::Fresh,
        }
    }
}

/// How a plugin gets the instance of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Fresh,
    Prewarm,
    Pool,
}

/// For whom an instance that was used may be used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    actor: ActorId,
    workspace: WorkspaceId,
    /// Of the grants.
    generation: u64,
}

impl Owner {
    pub fn of(context: &CallContext, view: &GrantView) -> Self {
        Self {
            actor: context.actor.clone(),
            workspace: context.workspace.clone(),
            generation: view.generation(),
        }
    }
}

/// A store, and the instance in it once there is one.
pub(crate) struct Place {
    pub store: Store<PluginState>,
    pub instance: Option<Instance>,
    /// Bytes of its memories when it was new.
    first_bytes: usize,
    uses: u32,
}

impl Place {
    pub fn new(store: Store<PluginState>) -> Self {
        Self { store, instance: None, first_bytes: 0, uses: 0 }
    }

    /// Keeps the new instance.
    pub fn filled(&mut self, instance: Instance) {
        self.instance = Some(instance);
        self.first_bytes = self.store.data().memory_bytes();
    }
}

/// What waits for a call.
struct Rest {
    place: Place,
    /// None: nobody has used it.
    owner: Option<Owner>,
    since: Instant,
    _room: Room,
}

/// The instances of one plugin that wait for a call.
#[derive(Default)]
pub(crate) struct Ready {
    rest: Mutex<Vec<Rest>>,
    making: AtomicUsize,
    is_swept: AtomicBool,
    /// The guest asks the host for something while it is made, or cannot be made: it is not tried again.
    is_unfit: AtomicBool,
}

/// Room for instances at rest, of all plugins.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    count: AtomicUsize,
    bytes: AtomicUsize,
}

/// Taken room; given back when it is dropped.
struct Room {
    rooms: Arc<Rooms>,
    bytes: usize,
}

impl Room {
    fn take(rooms: &Arc<Rooms>, bytes: usize, max_ready: usize) -> Option<Self> {
        let room = Self { rooms: rooms.clone(), bytes };
        let count = rooms.count.fetch_add(1, Ordering::Relaxed) + 1;
        let total = rooms.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // Dropping it gives back what was too much.
        (count <= max_ready && total <= limits::READY_BYTES).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.rooms.count.fetch_sub(1, Ordering::Relaxed);
        self.rooms.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Ready {
    /// How many wait.
    pub fn count(&self) -> usize {
        self.rest().len()
    }

    /// An instance for a call of `owner`.
    pub fn take(&self, owner: &Owner) -> Option<Place> {
        let mut rest = self.rest();
        let fits = |one: &Rest| one.owner.as_ref().is_none_or(|theirs| theirs == owner);
        let at = rest.iter().position(|one| fits(one) && one.since.elapsed() < limits::READY_IDLE)?;
        Some(rest.swap_remove(at).place)
    }

    fn put(&self, plugin: &Loaded, place: Place, owner: Option<Owner>) {
        let inner = &plugin.engine.inner;
        let bytes = place.store.data().memory_bytes();
        let Some(room) = Room::take(&inner.rooms, bytes, inner.config.instances.max_ready) else { return };
        let mut rest = self.rest();
        if rest.len() >= limits::READY_PER_PLUGIN {
            // The one that has waited longest; for whoever it was, it was not asked for.
            let oldest = rest.iter().enumerate().min_by_key(|(_, one)| one.since).map(|(at, _)| at);
            oldest.map(|at| rest.swap_remove(at));
        }
        rest.push(Rest { place, owner, since: Instant::now(), _room: room });
    }

    fn rest(&self) -> MutexGuard<'_, Vec<Rest>> {
        match self.rest.lock() {
            Ok(rest) => rest,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

/// Keeps an instance whose call has ended as it should, when it may be used again.
pub(crate) fn park(plugin: &Arc<Loaded>, mut place: Place, owner: Owner) {
    place.uses += 1;
    let state = place.store.data_mut();
    let has_grown = state.memory_bytes() > place.first_bytes.saturating_mul(limits::POOL_GROWTH);
    // A handle that was left open would lead into what the call was given.
    if place.uses >= limits::POOL_USES || has_grown || !state.resources().is_empty() {
        return;
    }
    plugin.ready.put(plugin, place, Some(owner));
    sweep_later(plugin);
}

/// Makes instances in a task of their own until enough wait. What is `used` up is cleared away there as well, unless
/// memory is short.
pub(crate) fn refill_later(plugin: &Arc<Loaded>, used: Option<(Place, OwnedSemaphorePermit)>) {
    let ready = &plugin.ready;
    let used = used.filter(|_| plugin.engine.has_room());
    if ready.is_unfit.load(Ordering::Relaxed) || ready.count() >= limits::READY_PER_PLUGIN {
        return;
    }
    if ready.making.fetch_add(1, Ordering::Relaxed) > 0 {
        ready.making.fetch_sub(1, Ordering::Relaxed);
        return;
    }
    let plugin = plugin.clone();
    tokio::spawn(async move {
        drop(used);
        refill(&plugin).await;
        plugin.ready.making.fetch_sub(1, Ordering::Relaxed);
    });
}

/// Makes instances until enough wait.
pub(crate) async fn refill(plugin: &Arc<Loaded>) {
    while plugin.ready.count() < limits::READY_PER_PLUGIN {
        let before = plugin.ready.count();
        match make(plugin).await {
            Some(place) => plugin.ready.put(plugin, place, None),
            None => plugin.ready.is_unfit.store(true, Ordering::Relaxed),
        }
        if plugin.ready.count() <= before {
            break;
        }
    }
    sweep_later(plugin);
}

/// Makes an instance for nobody, within the limits of a call. `None` when it is not fit to be kept.
async fn make(plugin: &Arc<Loaded>) -> Option<Place> {
    let config = &plugin.engine.inner.config;
    let start = Instant::now();
    let shared = Arc::new(Shared::new(
        Meter::new(start, config.tick),
        start + plugin.limits.wall,
        plugin.limits.clone(),
        tokio_util::sync::CancellationToken::new(),
    ));
    let nothing = Arc::new(GrantView::nothing(&plugin.id));
    let call = Call {
        context: Arc::new(CallContext::of_nobody()),
        grants: nothing.clone(),
        source: Arc::new(Fixed(nothing)),
        folders: Vec::new(),
        quotas: Arc::default(),
        agreed: Vec::new(),
        progress: Arc::new(NoProgress),
        services: Services::none(),
        clock: config.clock.clone(),
    };
    let store = PluginState::new(shared.clone(), call, None).into_store(&plugin.engine.inner.engine).ok()?;
    let mut place = Place::new(store);
    let made = {
        let mut making = std::pin::pin!(plugin.pre.instantiate_async(&mut place.store));
        let metered = Metered { meter: &shared.meter, inner: making.as_mut() };
        tokio::time::timeout(plugin.limits.wall, metered).await
    };
    let instance = match made {
        Ok(Ok(instance)) => instance,
        // The next call makes one for itself and says what is wrong.
        Ok(Err(error)) => {
            tracing::debug!(plugin.id = %plugin.id, %error, "no instance could be made ahead");
            return None;
        }
        Err(_) => return None,
    };
    place.filled(instance);
    let asked = shared.spending.host_calls() > 0 || !place.store.data_mut().resources().is_empty();
    (!asked).then_some(place)
}

/// Drops instances that nobody wants, a while later.
fn sweep_later(plugin: &Arc<Loaded>) {
    if plugin.ready.count() == 0 || plugin.ready.is_swept.swap(true, Ordering::Relaxed) {
        return;
    }
    let plugin = Arc::downgrade(plugin);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(limits::READY_IDLE).await;
            let Some(plugin) = plugin.upgrade() else { break };
            let mut rest = plugin.ready.rest();
            rest.retain(|one| one.since.elapsed() < limits::READY_IDLE);
            if rest.is_empty() {
                plugin.ready.is_swept.store(false, Ordering::Relaxed);
                break;
            }
        }
    });
}
