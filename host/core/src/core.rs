//! The handle to a running Core.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use berth_model::event::{EventType, NewEvent};
use berth_model::operation::WaitingCall;
use berth_model::run::{Run, RunLimits, RunStatus};
use berth_model::{ApprovalId, EventId, JsonMap, OperationId, RunId, Timestamp};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bus::EventBus;
use crate::operation_updates::OperationUpdates;
use crate::operations::approvals::waiting::Found;
use crate::port::clock::Clock;
use crate::port::endpoint_link::EndpointLink;
use crate::port::ids::Ids;
use crate::port::model::{Model, ModelInfo};
use crate::port::store::{Store, StoreHealth};
use crate::port::target::PluginTarget;
use crate::{CoreError, boot, recovery, run};

/// How long running work may go on after a stop was asked for, before it is cancelled.
const DRAIN: Duration = Duration::from_secs(5);

/// What core is plugged into.
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub model: Arc<dyn Model>,
    pub plugins: Arc<dyn PluginTarget>,
    pub endpoints: Arc<dyn EndpointLink>,
}

/// What an operator may tune.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    pub limits: RunLimits,
    /// Runs at the same time.
    pub concurrent_runs: usize,
    /// Calls of one round at the same time.
    pub parallel_calls: usize,
    /// How long an approval waits for its answer.
    pub approval_wait: Duration,
    /// Messages of a thread that a prompt carries.
    pub history_messages: usize,
    pub system_prompt: String,
    /// The language of the people who wait where neither a request nor a thread says it, such as `de-CH`; may be empty.
    pub locale: String,
}

impl Default for CoreConfig {
    fn default() -> Self {
        Self {
            limits: RunLimits::default(),
            concurrent_runs: 8,
            parallel_calls: 3,
            approval_wait: Duration::from_secs(10 * 60),
            history_messages: 40,
            system_prompt:
                "You are a personal assistant. Use the tools on offer when they help; say plainly when \
                            something failed or was denied, and what would allow it."
                    .to_owned(),
            locale: String::new(),
        }
    }
}

/// A running Core. Cheap to clone.
#[derive(Clone)]
pub struct Core(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) plugins: Arc<dyn PluginTarget>,
    pub(crate) endpoints: Arc<dyn EndpointLink>,
    pub(crate) config: CoreConfig,
    pub(crate) bus: EventBus,
    pub(crate) operations: OperationUpdates,
    /// Rung when a run was queued.
    pub(crate) queue: Notify,
    pub(crate) tasks: TaskTracker,
    /// No new work.
    pub(crate) stop: CancellationToken,
    /// No work at all.
    pub(crate) kill: CancellationToken,
    /// Runs of this process, to stop one of them or to call on its behalf.
    pub(crate) running: Mutex<HashMap<RunId, Working>>,
    /// Calls of this process that wait for an answer; the durable truth is the approval's row.
    pub(crate) waiting: Mutex<HashMap<ApprovalId, watch::Sender<bool>>>,
    /// The last approval that a call at work asked for.
    pub(crate) asked: Mutex<HashMap<OperationId, ApprovalId>>,
    /// What is kept of a call at work should it have to wait.
    pub(crate) calls: Mutex<HashMap<OperationId, WaitingCall>>,
    /// What waited for a person when this process began, until it goes on.
    pub(crate) found: Mutex<Found>,
    ready: AtomicBool,
}

/// A run that is at work in this process.
#[derive(Clone)]
pub(crate) struct Working {
    pub(crate) cancel: CancellationToken,
    /// The one copy of the row that is written from.
    pub(crate) run: Arc<tokio::sync::Mutex<Run>>,
}

/// What `/health` tells of core.
#[derive(Debug, Clone)]
pub struct Status {
    pub ready: bool,
    pub stopping: bool,
    pub store: StoreHealth,
    pub model: ModelInfo,
    pub runs: usize,
    pub tools: usize,
    pub connected_endpoints: usize,
}

impl Core {
    /// Seeds the records that are always there, settles what a crash left behind, and starts to take runs. What waits for a
    /// person goes on with [`Core::go_on`].
    pub async fn start(ports: Ports, config: CoreConfig) -> Result<Self, CoreError> {
        let stop = CancellationToken::new();
        let inner = Inner {
            bus: EventBus::new(ports.store.clone()),
            operations: OperationUpdates::default(),
            store: ports.store,
            clock: ports.clock,
            ids: ports.ids,
            model: ports.model,
            plugins: ports.plugins,
            endpoints: ports.endpoints,
            config,
            queue: Notify::new(),
            tasks: TaskTracker::new(),
            stop,
            kill: CancellationToken::new(),
            running: Mutex::default(),
            waiting: Mutex::default(),
            asked: Mutex::default(),
            calls: Mutex::default(),
            found: Mutex::default(),
            ready: AtomicBool::new(false),
        };
        let core = Self(Arc::new(inner));
        boot::seed(&core).await?;
        recovery::settle(&core).await?;
        core.0.bus.start(&core.0.tasks, core.0.kill.clone()).await?;
        run::start(&core);
        core.0.ready.store(true, Ordering::Release);
        Ok(core)
    }

    /// Takes no new run, lets running ones end for a while, then cancels them. They resume or end at the next start.
    pub async fn shutdown(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        let idle = async {
            while self.is_busy().await {
                self.0.queue.notified().await;
            }
        };
        if tokio::time::timeout(DRAIN, idle).await.is_err() {
            tracing::warn!("runs did not end in time: they are cancelled and settled at the next start");
        }
        self.0.kill.cancel();
        self.0.tasks.wait().await;
    }

    /// Whether a run is at work that does not wait for a person: such a one waits on at the next start.
    async fn is_busy(&self) -> bool {
        let running: Vec<_> = lock(&self.0.running).values().map(|working| working.run.clone()).collect();
        for run in running {
            if run.lock().await.status != RunStatus::WaitingForApproval {
                return true;
            }
        }
        false
    }

    /// Ends with the process's wish to stop; long answers end with it.
    pub fn stopping(&self) -> CancellationToken {
        self.0.stop.clone()
    }

    /// How core is at this moment. Asks the database, and never fails: what is wrong stands in the answer.
    pub async fn status(&self) -> Status {
        Status {
            ready: self.0.ready.load(Ordering::Acquire),
            stopping: self.0.stop.is_cancelled(),
            store: self.0.store.health().await,
            model: self.0.model.info(),
            runs: lock(&self.0.running).len(),
            tools: self.0.plugins.catalogue().len(),
            connected_endpoints: self.0.endpoints.connected().len(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    pub(crate) fn uuid(&self) -> uuid::Uuid {
        self.0.ids.uuid()
    }

    /// An event of `run`, not stored yet.
    pub(crate) fn event(&self, run: &Run, kind: EventType, payload: JsonMap) -> NewEvent {
        NewEvent {
            id: EventId::from_uuid(self.uuid()),
            run: run.id,
            thread: run.thread,
            session: run.session,
            workspace: run.workspace.clone(),
            kind,
            payload,
            created_at: self.now(),
        }
    }
}

/// A mutex whose holder panicked still guards a map that is whole: every change is one call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An object from pairs.
pub(crate) fn object<const N: usize>(pairs: [(&str, serde_json::Value); N]) -> JsonMap {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
