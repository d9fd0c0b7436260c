//! The engine that every plugin of the process shares.

pub mod cache;
pub mod compiler;
pub mod files_pool;
pub mod profile;
pub mod ticker;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use compiler::{Compiler, InProcess};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::call::ready::{InstancePolicy, Rooms};
use crate::call::state::PluginState;
use crate::call::{Usage, Used};
use crate::capability::limit::Limit;
use crate::capability::quota::FolderCounts;
use crate::error::{CallError, EngineError, LoadError};
use crate::limits::{self, Limits, Wishes};
use crate::plugin::{ComponentSource, LoadedPlugin, PluginSpec};

/// Compilations beside each other; each uses every core for a while.
const COMPILERS: usize = 2;

/// Where instances get their memory from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Slots prepared ahead when the machine allows it, fewer when not, else none.
    Probe,
    /// Memory on demand.
    Off,
}

/// Settings of the engine.
#[derive(Clone)]
pub struct EngineConfig {
    pub pooling: Pooling,
    /// Instances that have a slot.
    pub slots: u32,
    /// The period of the epoch clock: how exactly CPU time is counted.
    pub tick: Duration,
    /// The limits of a plugin whose manifest wishes for no others.
    pub defaults: Limits,
    /// The highest limits that a manifest may ask for.
    pub ceilings: Limits,
    /// What the limits of all running calls together may add up to.
    pub memory_bytes: u64,
    /// Stack of a guest.
    pub stack_bytes: usize,
    /// The largest component that is installed.
    pub component_bytes: usize,
    /// Calls of all plugins beside each other.
    pub concurrent_calls: usize,
    /// The folder of compiled plugins; without one nothing is kept.
    pub cache: Option<PathBuf>,
    /// Authenticates compiled plugins; else a key is made and kept in the folder.
    pub cache_key: Option<[u8; 32]>,
    /// The data folder of the host, without links in its path: no guest sees more of it than its `files/`, whatever
    /// is granted.
    pub private: Option<PathBuf>,
    /// Which instances may be there before their call, or after it.
    pub instances: InstancePolicy,
    /// Who compiles components that are not in the cache.
    pub compiler: Arc<dyn Compiler>,
    /// What each folder that a plugin writes to may hold in all, whatever its grant says.
    pub folder_limit: Limit,
    /// Files of the host outside of its data folder that no guest sees: a key, a database, a configuration. Without links
    /// in their paths.
    pub hidden: Vec<PathBuf>,
    /// Makes the linear memories of guests in the place of the engine, where there is no pool: for tests that look into
    /// them.
    pub memories: Option<Arc<dyn wasmtime::MemoryCreator>>,
    /// Threads for calls that may touch files.
    pub file_threads: usize,
    /// The host's wall clock, for deadlines that a guest sees.
    pub clock: Arc<dyn berth_core::port::clock::Clock>,
}

impl EngineConfig {
    /// The defaults of a server.
    pub fn new(clock: Arc<dyn berth_core::port::clock::Clock>) -> Self {
        Self {
            pooling: Pooling::Probe,
            slots: 256,
            tick: Duration::from_millis(10),
            defaults: Limits::default(),
            ceilings: Limits::ceilings(),
            memory_bytes: limits::MEMORY_PER_HOST,
            stack_bytes: limits::STACK_BYTES,
            component_bytes: limits::COMPONENT_BYTES,
            concurrent_calls: limits::CALLS_PER_HOST,
            cache: None,
            cache_key: None,
            private: None,
            folder_limit: Limit::default(),
            hidden: Vec::new(),
            memories: None,
            instances: InstancePolicy::default(),
            compiler: Arc::new(InProcess),
            file_threads: 4,
            clock,
        }
    }
}

/// What `/health` says of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineStatus {
    /// `pooling` or `on_demand`.
    pub allocator: &'static str,
    /// Slots of the pool, 0 without one.
    pub slots: u32,
    /// Why this allocator was taken.
    pub reason: String,
    pub wasmtime: &'static str,
    pub running_calls: usize,
    pub max_calls: usize,
}

/// Compiles and runs plugins. Cheap to clone; the last clone stops the clock.
#[derive(Clone)]
pub struct PluginEngine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub engine: Engine,
    pub linker: Linker<PluginState>,
    pub config: EngineConfig,
    pub calls: Arc<Semaphore>,
    /// What the running calls may still grow to, in MiB.
    memory: Arc<Semaphore>,
    pub files: files_pool::FilesPool,
    /// What the folders hold that are bounded.
    pub folder_counts: FolderCounts,
    /// Instances at rest.
    pub rooms: Arc<Rooms>,
    /// What the calls of each plugin have used, by id.
    used: Mutex<HashMap<String, Arc<Used>>>,
    cache: Option<cache::ArtifactCache>,
    compilers: Semaphore,
    allocator: profile::Allocator,
}

impl PluginEngine {
    /// Builds the engine, links the interfaces of the host and starts the epoch clock.
    ///
    /// A machine that has no room for the pool gets a smaller one or none: see [`Self::status`].
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        Self::linked(config, |_| Ok(()))
    }

    /// The same, with `more` said to the linker when everything is linked.
    pub(crate) fn linked(
        config: EngineConfig,
        more: impl FnOnce(&mut Linker<PluginState>) -> wasmtime::Result<()>,
    ) -> Result<Self, EngineError> {
        let (engine, allocator) = profile::build(&config)?;
        if allocator.slots == 0 && config.pooling == Pooling::Probe {
            tracing::warn!(reason = %allocator.reason, "plugins get their memory on demand: calls are slower");
        }
        let cache = match &config.cache {
            None => None,
            Some(dir) => Some(
                cache::ArtifactCache::open(dir, config.cache_key, &engine)
                    .map_err(|source| EngineError::Cache { path: dir.clone(), source })?,
            ),
        };
        let mut linker = Linker::new(&engine);
        crate::wit::link(&mut linker)
            .and_then(|()| more(&mut linker))
            .map_err(|source| EngineError::Link { source })?;
        ticker::spawn(&engine, config.tick).map_err(|source| EngineError::Ticker { source })?;
        let files = files_pool::FilesPool::new(config.file_threads);
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                linker,
                calls: Arc::new(Semaphore::new(config.concurrent_calls)),
                memory: Arc::new(Semaphore::new(budget(config.memory_bytes))),
                files,
                folder_counts: FolderCounts::default(),
                rooms: Arc::new(Rooms::default()),
                used: Mutex::default(),
                cache,
                compilers: Semaphore::new(COMPILERS),
                allocator,
                config,
            }),
        })
    }

    /// Where the calls of a plugin add up what they have used.
    pub(crate) fn used(&self, plugin: &str) -> Arc<Used> {
        let mut used = self.inner.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.entry(plugin.to_owned()).or_default().clone()
    }

    /// What the calls of a plugin have used since the host started.
    pub fn usage(&self, plugin: &str) -> Usage {
        let used = self.inner.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.get(plugin).map(|used| used.usage()).unwrap_or_default()
    }

    /// Forgets what a plugin that is gone has used.
    pub(crate) fn forget_usage(&self, plugin: &str) {
        self.inner.used.lock().unwrap_or_else(PoisonError::into_inner).remove(plugin);
    }

    /// The allocator that was taken, and how busy the engine is.
    pub fn status(&self) -> EngineStatus {
        let inner = &self.inner;
        EngineStatus {
            allocator: if inner.allocator.slots > 0 { "pooling" } else { "on_demand" },
            slots: inner.allocator.slots,
            reason: inner.allocator.reason.clone(),
            wasmtime: profile::WASMTIME,
            running_calls: inner.config.concurrent_calls - inner.calls.available_permits(),
            max_calls: inner.config.concurrent_calls,
        }
    }

    /// The highest limits that a manifest may ask for.
    pub fn ceilings(&self) -> &Limits {
        &self.inner.config.ceilings
    }

    /// The limits of the calls of a plugin with these wishes.
    pub fn limits(&self, wishes: &Wishes) -> Limits {
        let config = &self.inner.config;
        let limits = wishes.over(&config.defaults).clamped(&config.ceilings);
        Limits { concurrent_calls: limits.concurrent_calls.max(1), ..limits }
    }

    /// Takes the memory that a call with `limits` may grow to out of what all calls share, before it gets an instance.
    ///
    /// Fails with `PLUGIN_HOST_MEMORY` when the running calls hold too much of it. What is left comes back with the
    /// permit.
    pub(crate) fn admit(&self, limits: &Limits) -> Result<OwnedSemaphorePermit, CallError> {
        let share = budget(limits.memory_bytes as u64).max(1);
        self.inner
            .memory
            .clone()
            .try_acquire_many_owned(u32::try_from(share).unwrap_or(u32::MAX))
            .map_err(|_| CallError::HostMemory { limit: self.inner.config.memory_bytes })
    }

    /// Whether at least half of the memory of all calls is free.
    pub(crate) fn has_room(&self) -> bool {
        self.inner.memory.available_permits() * 2 >= budget(self.inner.config.memory_bytes)
    }

    /// Makes the first call on this thread as quick as the next ones; for start hooks of runtimes.
    pub fn warm_thread() {
        Engine::tls_eager_initialize();
    }

    /// Compiles a component, or takes it from the cache, and prepares its tools.
    ///
    /// Compiling waits for one of two places.
    pub async fn load(&self, spec: PluginSpec) -> Result<LoadedPlugin, LoadError> {
        let component = self.component(&spec).await?;
        LoadedPlugin::prepare(self.clone(), component, spec)
    }

    /// Removes the machine code of all components but those, and what a killed process left. For a start, before any load.
    pub(crate) async fn sweep(&self, needed: HashSet<String>) -> std::io::Result<()> {
        let inner = self.inner.clone();
        let swept = tokio::task::spawn_blocking(move || {
            inner.cache.as_ref().map_or(Ok(()), |cache| cache.sweep(&needed))
        });
        swept.await.map_err(std::io::Error::other)?
    }

    /// Removes the machine code of a component from the cache. What runs goes on.
    pub fn forget(&self, digest: &str) -> std::io::Result<()> {
        self.inner.cache.as_ref().map_or(Ok(()), |cache| cache.remove(digest))
    }

    async fn component(&self, spec: &PluginSpec) -> Result<Component, LoadError> {
        if let Some(component) = self.cached(&spec.digest).await? {
            return Ok(component);
        }
        let _place = self.inner.compilers.acquire().await.map_err(|_| LoadError::Compiler)?;
        // Whoever had the place before may have compiled the same.
        if let Some(component) = self.cached(&spec.digest).await? {
            return Ok(component);
        }
        let bytes = self.blocking({
            let (source, digest) = (spec.component.clone(), spec.digest.clone());
            move |_| bytes(&source, &digest)
        });
        let bytes = bytes.await??;
        let code = self.inner.config.compiler.compile(&self.inner.engine, bytes).await?;
        let digest = spec.digest.clone();
        self.blocking(move |inner| {
            if let Some(cache) = &inner.cache {
                cache.store(&code, &digest);
            }
            cache::load(&inner.engine, &code).map_err(|source| LoadError::Artifact { source })
        })
        .await?
    }

    async fn cached(&self, digest: &str) -> Result<Option<Component>, LoadError> {
        let digest = digest.to_owned();
        self.blocking(move |inner| inner.cache.as_ref()?.lookup(&inner.engine, &digest)).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, LoadError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(|_| LoadError::Compiler)
    }
}

/// Whole MiB.
fn budget(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(1 << 20)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// The bytes of a component, when they are the ones that were installed.
fn bytes(source: &ComponentSource, digest: &str) -> Result<Bytes, LoadError> {
    let bytes = match source {
        ComponentSource::Bytes(bytes) => bytes.clone(),
        ComponentSource::File(path) => {
            std::fs::read(path).map_err(|source| LoadError::Read { path: path.clone(), source })?.into()
        }
    };
    let found = crate::digest(&bytes);
    if found == digest { Ok(bytes) } else { Err(LoadError::Digest { expected: digest.to_owned(), found }) }
}
