//! A Core with the plugin engine behind it, for stories in which a person answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::operations::{Ask, Finished};
use berth_core::port::model::{Model, ModelError, ModelInfo, ModelRequest, ModelStream};
use berth_core::port::store::{AuditFilter, Store};
use berth_core::{Core, CoreConfig, Ports};
use berth_model::approval::{Approval, ApprovalAnswer, ApprovalStatus};
use berth_model::audit::AuditRow;
use berth_model::plugin::{Grant, GrantMode, NewGrant};
use berth_model::{ActorId, PluginId, WorkspaceId};
use berth_testkit::{CountedIds, NoEndpoints, SteppedClock};
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::context::CallContext;
use berth_wasm::capability::endpoint::{EndpointCaller, EndpointInfo};
use berth_wasm::capability::process::{Hear, ProgramRunner, Ran, Run};
use berth_wasm::capability::services::Services;
use berth_wasm::{EngineConfig, HostParts, PluginEngine, PluginHost};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::host::fixture;

/// A Pi that counts what it is asked; `rpi.gate` waits until it is let.
pub struct Pi {
    pub heard: AtomicUsize,
    pub at_the_gate: Semaphore,
    pub gate: Semaphore,
}

#[async_trait]
impl EndpointCaller for Pi {
    async fn list(&self, _: &str, _: &CallContext) -> Result<Vec<EndpointInfo>, CapabilityError> {
        Ok(vec![EndpointInfo {
            endpoint_id: "pi".to_owned(),
            provider_type: "rpi".to_owned(),
            display_name: String::new(),
            online: true,
        }])
    }

    async fn call(
        &self,
        _: &EndpointInfo,
        tool_key: &str,
        _: Value,
        _: &CallContext,
        _: &CancellationToken,
    ) -> Result<Value, CapabilityError> {
        self.heard.fetch_add(1, Ordering::Relaxed);
        if tool_key == "rpi.gate" {
            self.at_the_gate.add_permits(1);
            self.gate.acquire().await.unwrap().forget();
        }
        Ok(json!({ "done": true }))
    }
}

/// Programs of no machine: `wait` goes on when it is let, every other ends at once.
pub struct Programs {
    runs: Mutex<Vec<Run>>,
    ended: AtomicUsize,
    pub at_work: Semaphore,
    pub go_on: Semaphore,
}

impl Programs {
    /// What was to be run, in order.
    pub fn given(&self) -> Vec<Run> {
        self.runs.lock().unwrap().clone()
    }

    /// Whether somebody gave up on a program.
    pub fn was_dropped(&self) -> bool {
        self.ended.load(Ordering::Relaxed) < self.given().len()
    }
}

#[async_trait]
impl ProgramRunner for Programs {
    async fn run(&self, run: Run, _: &CancellationToken, _: Hear) -> Result<Ran, CapabilityError> {
        let waits = run.program == "wait";
        self.runs.lock().unwrap().push(run);
        if waits {
            self.at_work.add_permits(1);
            self.go_on.acquire().await.unwrap().forget();
        }
        self.ended.fetch_add(1, Ordering::Relaxed);
        Ok(Ran { exit: 0, stdout: Vec::new(), stderr: Vec::new(), truncated: false })
    }
}

struct Mute;

#[async_trait]
impl Model for Mute {
    fn info(&self) -> ModelInfo {
        ModelInfo { provider: "mute".to_owned(), model: "mute".to_owned() }
    }

    async fn stream(&self, _: ModelRequest) -> Result<ModelStream, ModelError> {
        Ok(Box::pin(futures::stream::empty()))
    }
}

pub struct World {
    pub programs: Arc<Programs>,
    pub core: Core,
    pub host: Arc<PluginHost>,
    pub store: Arc<berth_store::SqlStore>,
    pub clock: Arc<SteppedClock>,
    pub pi: Arc<Pi>,
    _folder: tempfile::TempDir,
}

impl World {
    /// With the guest `host-waiter`, which wants any endpoint and the folder `/notes`.
    pub async fn start() -> Self {
        let world = Self::empty().await;
        let wants = "[[capability]]\nname = \"endpoint\"\n[[capability]]\nname = \"files\"\n\
                     scope = { guest = \"/notes\", access = \"rw\" }\n";
        world.host.install(fixture("host-waiter", wants)).await.unwrap();
        world
    }

    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(berth_store::SqlStore::open_in_memory().await.unwrap());
        let (clock, ids) = (Arc::new(SteppedClock::default()), Arc::new(CountedIds::default()));
        let pi = Arc::new(Pi {
            heard: AtomicUsize::new(0),
            at_the_gate: Semaphore::new(0),
            gate: Semaphore::new(0),
        });
        let programs = Arc::new(Programs {
            runs: Mutex::default(),
            ended: AtomicUsize::new(0),
            at_work: Semaphore::new(0),
            go_on: Semaphore::new(0),
        });
        let host = PluginHost::new(HostParts {
            engine: PluginEngine::new(EngineConfig { clock: clock.clone(), ..super::config() }).unwrap(),
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            folder: folder.path().to_owned(),
            services: Services::none().with_endpoints(pi.clone()).with_programs(programs.clone()),
        });
        host.boot().await.unwrap();
        let ports = Ports {
            store: store.clone(),
            clock: clock.clone(),
            ids,
            model: Arc::new(Mute),
            plugins: host.clone(),
            endpoints: Arc::new(NoEndpoints),
        };
        let core = Core::start(ports, CoreConfig::default()).await.unwrap();
        host.attach(core.clone());
        Self { programs, core, host, store, clock, pi, _folder: folder }
    }

    pub async fn grant(&self, mode: GrantMode, more: impl FnOnce(NewGrant) -> NewGrant) -> Grant {
        let new = NewGrant::allow(PluginId::fixed("host-waiter"), "endpoint", json!({}));
        self.host.grant(more(NewGrant { mode, ..new })).await.unwrap()
    }

    /// A call of one tool of the Pi, as the owner; what the guest saw.
    pub async fn asks_the_pi(&self) -> Value {
        self.finished(self.ask("host_waiter_wait_endpoint", json!({ "tool": "rpi.read" }))).await
    }

    pub fn ask(&self, tool: &str, arguments: Value) -> Ask {
        Ask::of_owner(tool, arguments, WorkspaceId::fixed("personal"))
    }

    pub async fn finished(&self, ask: Ask) -> Value {
        self.core.operate(ask).await.unwrap().outcome.unwrap().content
    }

    /// Makes a call, and answers what it asks.
    pub async fn answered(&self, ask: Ask, answers: &[ApprovalAnswer]) -> Finished {
        let answering = async {
            for answer in answers {
                let question = self.question().await;
                self.answer(&question, *answer).await;
            }
        };
        let (finished, ()) = futures::join!(self.core.operate(ask), answering);
        finished.unwrap()
    }

    /// Waits until something is asked.
    pub async fn question(&self) -> Approval {
        let mut steps = self.core.operation_updates();
        loop {
            let pending = self.core.list_approvals(Some(ApprovalStatus::Pending)).await.unwrap();
            if let Some(approval) = pending.into_iter().next() {
                return approval;
            }
            tokio::time::timeout(Duration::from_secs(120), steps.recv()).await.unwrap().unwrap();
        }
    }

    pub async fn answer(&self, question: &Approval, answer: ApprovalAnswer) {
        let owner = ActorId::fixed("user:self");
        self.core.answer_approval(question.id, &owner, answer, String::new()).await.unwrap();
    }

    /// Rows of the audit, oldest first.
    pub async fn audit(&self) -> Vec<AuditRow> {
        let filter = AuditFilter { limit: 1000, ..AuditFilter::default() };
        let mut rows = self.store.read().await.unwrap().list_audit(&filter).await.unwrap();
        rows.reverse();
        rows
    }

    pub fn heard(&self) -> usize {
        self.pi.heard.load(Ordering::Relaxed)
    }
}
