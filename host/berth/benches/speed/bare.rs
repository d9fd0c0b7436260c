//! wasmtime alone, in the settings that were found to be the quickest, and without a single limit.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower, ResourceTable,
    TypedFunc,
};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Store,
};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

/// A component that is ready to be called.
pub struct Bare {
    engine: Engine,
    pre: InstancePre<State>,
    function: ComponentExportIndex,
    folder: Option<PathBuf>,
    /// Guests look at the clock of the engine, and let others have a turn.
    ticks: bool,
}

#[derive(Default)]
struct State {
    /// Made when the guest first asks, unless it has a folder.
    wasi: Option<WasiCtx>,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

/// Which pages an instance dirtied, asked from the kernel: quick for guests of many pages, slow for small ones.
const SCANS: [Enabled; 2] = [Enabled::No, Enabled::Auto];

impl Bare {
    /// The quicker one of both ways to clean memory, tried with a few hundred calls of this very guest.
    pub fn quickest<P, R>(
        component: &[u8],
        interface: &str,
        function: &str,
        folder: Option<PathBuf>,
        params: impl Fn() -> P,
    ) -> Self
    where
        P: ComponentNamedList + Lower + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut tried: Vec<(Duration, Self)> = SCANS
            .into_iter()
            .map(|scan| {
                let bare = Self::new(component, interface, function, folder.clone(), scan, false);
                let mut times: Vec<Duration> = runtime.block_on(async {
                    let mut times = Vec::new();
                    for _ in 0..600 {
                        let begin = Instant::now();
                        bare.call::<P, R>(params()).await;
                        times.push(begin.elapsed());
                    }
                    times
                });
                times.sort_unstable();
                println!(
                    "{interface} by wasmtime alone, pagemap scan {scan:?}: {:?}",
                    times[times.len() / 2]
                );
                (times[times.len() / 2], bare)
            })
            .collect();
        tried.sort_by_key(|(median, _)| *median);
        tried.swap_remove(0).1
    }

    /// For guests that have to be stopped: a clock ticks every 10 ms, at which they let others have a turn.
    pub fn stoppable(component: &[u8], interface: &str, function: &str) -> Self {
        let bare = Self::new(component, interface, function, None, Enabled::Auto, true);
        berth_wasm::engine::ticker::spawn(&bare.engine, Duration::from_millis(10)).unwrap();
        bare
    }

    fn new(
        component: &[u8],
        interface: &str,
        function: &str,
        folder: Option<PathBuf>,
        scan: Enabled,
        ticks: bool,
    ) -> Self {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(256)
            .total_core_instances(2048)
            .total_memories(256)
            .total_tables(1024)
            .total_stacks(256)
            .max_memory_size(256 << 20)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10)
            .async_stack_keep_resident(16 << 10)
            .pagemap_scan(scan);
        let mut config = Config::new();
        config
            .cranelift_opt_level(OptLevel::Speed)
            .concurrency_support(false)
            .epoch_interruption(ticks)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let component = Component::from_binary(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        trap_ours(&mut linker, &component);
        let pre = linker.instantiate_pre(&component).unwrap();
        let interface = component.get_export_index(None, interface).unwrap();
        let function = component.get_export_index(Some(&interface), function).unwrap();
        Self { engine, pre, function, folder, ticks }
    }

    /// One call in a store and an instance of its own.
    pub async fn call<P, R>(&self, params: P) -> R
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.made::<P, R>().await.call(params).await
    }

    /// An instance that is ready to be called.
    pub async fn made<P, R>(&self) -> Made<P, R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let mut state = State::default();
        if let Some(folder) = &self.folder {
            let mut wasi = WasiCtx::builder();
            wasi.allow_blocking_current_thread(true);
            wasi.preopened_dir(folder, "/", FsPerms::ReadOnly).unwrap();
            state.wasi = Some(wasi.build());
        }
        let mut store = Store::new(&self.engine, state);
        if self.ticks {
            store.set_epoch_deadline(1);
            store.epoch_deadline_async_yield_and_update(1);
        }
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let function = instance.get_typed_func::<P, R>(&mut store, self.function).unwrap();
        Made { store, function }
    }
}

/// A store with an instance in it.
pub struct Made<P, R> {
    store: Store<State>,
    function: TypedFunc<P, R>,
}

impl<P, R> Made<P, R>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    pub async fn call(&mut self, params: P) -> R {
        self.function.call_async(&mut self.store, params).await.unwrap()
    }
}

/// Interfaces of berth's own, which none of the measured calls uses.
fn trap_ours(linker: &mut Linker<State>, component: &Component) {
    let engine = component.engine();
    for (name, import) in component.component_type().imports(engine) {
        let (true, ComponentItem::ComponentInstance(instance)) = (name.starts_with("berth:"), import.ty)
        else {
            continue;
        };
        let mut linked = linker.instance(name).unwrap();
        for (function, export) in instance.exports(engine) {
            if let ComponentItem::ComponentFunc(_) = export.ty {
                linked.func_new(function, |_, _, _, _| wasmtime::bail!("nobody answers here")).unwrap();
            }
        }
    }
}
