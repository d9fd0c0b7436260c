//! What the store of one call holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::access::Access;
use super::asking::Asking;
use super::authorize::Door;
use super::meter::Meter;
use super::quotas::FolderQuotas;
use super::spending::Spending;
use crate::capability::CapabilityError;
use crate::capability::context::CallContext;
use crate::capability::files::{self, Folder};
use crate::capability::grants::{GrantSource, GrantView};
use crate::capability::logs::{LogSink, Stream};
use crate::capability::progress::ProgressSink;
use crate::capability::services::Services;
use crate::capability::surroundings::Surroundings;
use crate::limits::{self, Limits};
use crate::wit::wasi::http::Egress;
use crate::wit::wasi::stdio::Output;

/// Why the host ended a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    None = 0,
    Cpu = 1,
    Wall = 2,
}

/// What the store and the task around it share.
pub struct Shared {
    pub meter: Meter,
    pub deadline: Instant,
    /// The same on the clock of the surroundings, where there are such.
    pub due: Option<Duration>,
    pub limits: Limits,
    pub logs: LogSink,
    /// Set when the call is to end; imports that wait then return.
    pub cancel: CancellationToken,
    pub asking: Arc<Asking>,
    stop: AtomicU8,
    /// Counted by the store and by its open streams.
    pub spending: Arc<Spending>,
    revoked: AtomicBool,
    peak_memory: AtomicU64,
    refused_memory: AtomicBool,
    refused_table: AtomicBool,
}

impl Shared {
    pub fn new(meter: Meter, deadline: Instant, limits: Limits, cancel: CancellationToken) -> Self {
        Self {
            meter,
            deadline,
            due: None,
            logs: LogSink::new(limits.log_lines, limits.log_line_bytes),
            spending: Arc::new(Spending::new(&limits)),
            limits,
            cancel,
            asking: Arc::default(),
            stop: AtomicU8::new(Stop::None as u8),
            revoked: AtomicBool::new(false),
            peak_memory: AtomicU64::new(0),
            refused_memory: AtomicBool::new(false),
            refused_table: AtomicBool::new(false),
        }
    }

    /// Has the call meet `surroundings`, whose clock ends it after `wall`.
    pub fn surround(&mut self, surroundings: Option<&Arc<dyn Surroundings>>, wall: Duration) {
        if let Some(surroundings) = surroundings {
            self.due = Some(surroundings.monotonic() + wall);
            self.spending.leave_on_disk(surroundings.disk_bytes());
        }
    }

    /// Why the guest was interrupted.
    pub fn stop(&self) -> Stop {
        match self.stop.load(Ordering::Relaxed) {
            1 => Stop::Cpu,
            2 => Stop::Wall,
            _ => Stop::None,
        }
    }

    /// Whether a folder was taken away during the call.
    pub fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::Relaxed)
    }

    pub fn peak_memory(&self) -> usize {
        usize::try_from(self.peak_memory.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// Whether the guest was refused memory.
    pub fn was_short_of_memory(&self) -> bool {
        self.refused_memory.load(Ordering::Relaxed)
    }

    /// Whether the guest was refused a larger table.
    pub fn was_short_of_table(&self) -> bool {
        self.refused_table.load(Ordering::Relaxed)
    }
}

/// The data of a store.
pub struct PluginState {
    /// Made when the guest first uses WASI, unless the call has folders.
    wasi: Option<Box<WasiCtx>>,
    table: ResourceTable,
    /// Made when the guest first uses HTTP.
    egress: Option<Box<Egress>>,
    memory: MemoryLimiter,
    shared: Arc<Shared>,
    call: Call,
}

/// The capabilities of a call.
pub struct Call {
    pub context: Arc<CallContext>,
    pub grants: Arc<GrantView>,
    pub source: Arc<dyn GrantSource>,
    /// The folders that the store was made with.
    pub folders: Vec<Folder>,
    /// How much those may hold.
    pub quotas: Arc<FolderQuotas>,
    /// Scopes of folders that a person agreed to for this call alone.
    pub agreed: Vec<Value>,
    pub progress: Arc<dyn ProgressSink>,
    pub services: Services,
    pub clock: Arc<dyn berth_core::port::clock::Clock>,
}

impl PluginState {
    pub fn new(shared: Arc<Shared>, call: Call, wasi: Option<WasiCtx>) -> Self {
        let memory = MemoryLimiter { shared: shared.clone(), total: 0, last: 0 };
        let wasi = wasi.map(Box::new);
        Self { wasi, table: ResourceTable::new(), egress: None, memory, shared, call }
    }

    /// A store with every limit set.
    pub fn into_store(mut self, engine: &wasmtime::Engine) -> wasmtime::Result<Store<Self>> {
        let (handles, hostcall_bytes) = (self.shared.limits.handles, self.shared.limits.hostcall_bytes);
        self.table.set_max_capacity(handles);
        let mut store = Store::try_new(engine, self)?;
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(hostcall_bytes);
        store.set_max_component_handles(handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            let shared = &store.data().shared;
            let now = Instant::now();
            let stop = if shared.meter.spent(now) > shared.limits.cpu {
                Stop::Cpu
            } else if now >= shared.deadline {
                Stop::Wall
            } else {
                return Ok(UpdateDeadline::Yield(1));
            };
            shared.stop.store(stop as u8, Ordering::Relaxed);
            Ok(UpdateDeadline::Interrupt)
        });
        Ok(store)
    }

    /// Gives a store at rest to a call: all that belongs to a call is that of the new one, but what the guest has in its
    /// memories.
    pub fn begin(store: &mut Store<Self>, shared: Arc<Shared>, call: Call) {
        let (handles, hostcall_bytes) = (shared.limits.handles, shared.limits.hostcall_bytes);
        let state = store.data_mut();
        let total = state.memory.total;
        shared.peak_memory.store(total as u64, Ordering::Relaxed);
        *state = Self::new(shared, call, None);
        state.memory.total = total;
        state.table.set_max_capacity(handles);
        store.set_hostcall_fuel(hostcall_bytes);
        // Counted from now: the clock has gone on while the store was at rest.
        store.set_epoch_deadline(1);
    }

    /// Bytes of all memories.
    pub fn memory_bytes(&self) -> usize {
        self.memory.total
    }

    /// Begins another call in the same store, with limits, time and context of its own. Memory and handles stay, and
    /// count on.
    pub fn renew(&mut self, shared: Arc<Shared>, context: Arc<CallContext>) {
        shared.peak_memory.fetch_max(self.memory.total as u64, Ordering::Relaxed);
        self.memory.shared = shared.clone();
        self.shared = shared;
        self.call.context = context;
        // It sends under the deadline of its call.
        self.egress = None;
    }

    pub fn call_context(&self) -> &Arc<CallContext> {
        &self.call.context
    }

    /// The grants that count right now.
    pub fn grants(&mut self) -> Arc<GrantView> {
        self.refresh_grants();
        self.call.grants.clone()
    }

    /// The door to the capabilities, as this call stands.
    pub(crate) fn door(&mut self) -> Door<'_> {
        Door {
            view: &mut self.call.grants,
            source: &*self.call.source,
            context: &self.call.context,
            services: &self.call.services,
            clock: &*self.call.clock,
            asking: &self.shared.asking,
            cancel: &self.shared.cancel,
            deadline: self.shared.deadline,
        }
    }

    /// Who says what counts, and when.
    pub(crate) fn authority(&self) -> (Arc<dyn GrantSource>, Arc<dyn berth_core::port::clock::Clock>) {
        (self.call.source.clone(), self.call.clock.clone())
    }

    /// Asks for uses where the store is out of reach.
    pub fn access(&self) -> Access {
        Access::new(&self.call, &self.shared)
    }

    /// What HTTP requests are sent with, and the resources that the guest holds.
    pub fn egress(&mut self) -> (&mut Egress, &mut ResourceTable) {
        self.refresh_grants();
        let access = self.access();
        let Self { egress, table, .. } = self;
        (egress.get_or_insert_with(|| Box::new(Egress::new(access))), table)
    }

    /// Takes over a change of the grants. A folder that is gone or narrower takes every open file with it.
    pub(crate) fn refresh_grants(&mut self) {
        let is_same = self.call.source.generation() == self.call.grants.generation();
        // The clock is asked only where time can change something.
        let is_due = || self.call.grants.next_change().is_some_and(|change| change <= self.call.clock.now());
        if !is_same || is_due() {
            self.call.grants = self.call.source.view();
            self.check_folders();
        }
    }

    /// Takes the folders away when one of them is not granted any more.
    pub(crate) fn check_folders(&mut self) {
        if self.call.folders.is_empty() {
            return;
        }
        let now = files::folders(&self.call.grants, &self.call.agreed);
        if self.call.folders.iter().any(|folder| !now.contains(folder)) {
            self.table = ResourceTable::new();
            self.table.set_max_capacity(self.shared.limits.handles);
            // The context would hand the same folders out again to a guest that asks for them anew.
            self.wasi = None;
            self.shared.revoked.store(true, Ordering::Relaxed);
        }
    }

    /// Where what the guest prints and logs is kept.
    pub fn logs(&self) -> &LogSink {
        &self.shared.logs
    }

    pub fn progress(&self) -> &Arc<dyn ProgressSink> {
        &self.call.progress
    }

    pub fn services(&self) -> &Services {
        &self.call.services
    }

    /// The handles of the guest.
    pub fn resources(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// The time of the host's clock.
    pub fn now(&self) -> berth_model::Timestamp {
        self.call.clock.now()
    }

    pub fn cancel(&self) -> &CancellationToken {
        &self.shared.cancel
    }

    pub fn count_host_call(&self) {
        self.shared.spending.count_host_call();
    }

    /// How much the folders of the call may hold.
    pub fn quotas(&self) -> &Arc<FolderQuotas> {
        &self.call.quotas
    }

    /// What the call takes from the machine.
    pub fn spending(&self) -> &Arc<Spending> {
        &self.shared.spending
    }

    /// Milliseconds until the host ends the call, 0 after that.
    pub fn left_ms(&self) -> u64 {
        let left = match (&self.call.services.surroundings, self.shared.due) {
            (Some(surroundings), Some(due)) => due.saturating_sub(surroundings.monotonic()),
            _ => self.shared.deadline.saturating_duration_since(Instant::now()),
        };
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX)
    }

    /// When the host ends the call, in milliseconds of the Unix epoch.
    pub fn deadline_ms(&self) -> u64 {
        let now = u64::try_from(self.call.clock.now().as_micros() / 1000).unwrap_or(0);
        now.saturating_add(self.left_ms())
    }

    /// The text of an answer that goes to the guest, when it is not too long.
    pub fn bounded(&self, answer: &Value) -> Result<String, CapabilityError> {
        let text = answer.to_string();
        if text.len() <= limits::INPUT_BYTES {
            Ok(text)
        } else {
            Err(CapabilityError::new(
                "ANSWER_TOO_LARGE",
                format!("the answer is larger than {} bytes", limits::INPUT_BYTES),
            ))
        }
    }
}

/// A WASI context with closed input, logged output, and no folders, variables or network.
pub fn wasi_builder(
    shared: &Shared,
    surroundings: Option<&Arc<dyn Surroundings>>,
) -> wasmtime_wasi::WasiCtxBuilder {
    let mut builder = WasiCtx::builder();
    let output = |stream| Output { sink: shared.logs.clone(), spending: shared.spending.clone(), stream };
    builder
        .stdout(output(Stream::Stdout))
        .stderr(output(Stream::Stderr))
        .max_random_size(shared.limits.random_bytes);
    if let Some(surroundings) = surroundings {
        crate::wit::clocks::surround(&mut builder, surroundings);
    }
    builder
}

impl WasiView for PluginState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.refresh_grants();
        let (shared, surroundings) = (&self.shared, self.call.services.surroundings.as_ref());
        // Every function of WASI comes by here.
        shared.spending.count_host_call();
        let ctx = self.wasi.get_or_insert_with(|| Box::new(wasi_builder(shared, surroundings).build()));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

/// One budget for all memories of a call.
struct MemoryLimiter {
    shared: Arc<Shared>,
    total: usize,
    last: usize,
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        let total = self.total.saturating_add(grown);
        if total > self.shared.limits.memory_bytes {
            self.shared.refused_memory.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.last = grown;
        self.total = total;
        self.shared.peak_memory.fetch_max(total as u64, Ordering::Relaxed);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.total -= std::mem::take(&mut self.last);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let fits = desired <= self.shared.limits.table_elements;
        if !fits {
            self.shared.refused_table.store(true, Ordering::Relaxed);
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.shared.limits.core_instances
    }

    fn tables(&self) -> usize {
        limits::TABLES
    }

    fn memories(&self) -> usize {
        limits::MEMORIES
    }
}
