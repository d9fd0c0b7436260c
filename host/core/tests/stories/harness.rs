//! A Core on a real database, with a model and plugins that do as a story says.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_core::messages::{Accepted, NewMessage};
use berth_core::operations::approvals::capability::CapabilityAsk;
use berth_core::port::model::{
    FinishReason, Model, ModelError, ModelEvent, ModelInfo, ModelRequest, ModelStream, ToolCallRequest,
};
use berth_core::port::store::{EventScope, Store};
use berth_core::port::target::{self, ApprovalAnswered, PluginTarget, ToolCall};
use berth_core::threads::NewThread;
use berth_core::{Core, CoreConfig, CoreError, Ports};
use berth_model::approval::{ApprovalStatus, ApprovalSubject};
use berth_model::event::{EventType, LiveEvent, RunEvent};
use berth_model::tool::{Blame, Risk, ToolFailure, ToolOutcome, ToolSpec};
use berth_model::{ApprovalId, PluginId, RunId, ThreadId, WorkspaceId};
use berth_store::{DatabaseUrl, SqlStore};
use berth_testkit::{CountedIds, SteppedClock, on_each_database, plugin_tool};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::{Barrier, Notify};

use crate::devices::Devices;

/// Tells the story on SQLite, and on PostgreSQL where there is one.
pub async fn on_each(story: impl AsyncFn(Harness)) {
    on_each_database(async |url| story(Harness::start(&url).await).await).await;
}

pub struct Harness {
    pub core: Core,
    pub store: Arc<SqlStore>,
    pub model: Arc<Script>,
    pub plugins: Arc<Notes>,
    pub devices: Arc<Devices>,
    world: World,
}

impl Harness {
    async fn start(url: &DatabaseUrl) -> Self {
        let store = Arc::new(SqlStore::open(url).await.unwrap());
        let (model, plugins, devices) = (Arc::default(), Arc::new(Notes::default()), Arc::default());
        let world = World::default();
        let ports = world.ports(&store, &model, &plugins, &devices);
        let core = Core::start(ports, CoreConfig::default()).await.unwrap();
        *plugins.core.lock().unwrap() = Some(core.clone());
        Self { core, store, model, plugins, devices, world }
    }

    /// Stops this host and starts the next one over the same database.
    pub async fn restart(&mut self, config: CoreConfig) {
        self.core.shutdown().await;
        let ports = self.world.ports(&self.store, &self.model, &self.plugins, &self.devices);
        self.core = Core::start(ports, config).await.unwrap();
        *self.plugins.core.lock().unwrap() = Some(self.core.clone());
        self.core.go_on();
    }

    pub async fn thread(&self) -> ThreadId {
        let workspace = WorkspaceId::fixed("personal");
        let new = NewThread { workspace, title: String::new(), mode: "general".to_owned() };
        self.core.create_thread(new).await.unwrap().id
    }

    pub async fn post(&self, thread: ThreadId, text: &str, key: Option<&str>) -> Result<Accepted, CoreError> {
        let new =
            NewMessage { endpoint_message_id: key.map(str::to_owned), ..NewMessage::of_user(thread, text) };
        self.core.post_message(new).await
    }

    /// Posts a message on a thread of its own, and waits for the end of its run.
    pub async fn turn(&self, text: &str) -> (RunId, Vec<RunEvent>) {
        let run = self.post(self.thread().await, text, None).await.unwrap().run.unwrap();
        (run, self.until_end(run).await)
    }

    /// The stored events of a run up to its end.
    pub async fn until_end(&self, run: RunId) -> Vec<RunEvent> {
        self.until(run, &[EventType::RunCompleted, EventType::RunFailed, EventType::RunCancelled]).await
    }

    pub async fn until(&self, run: RunId, last: &[EventType]) -> Vec<RunEvent> {
        let mut stream = self.core.subscribe(EventScope::Run(run), Some(0)).await.unwrap();
        let mut told = Vec::new();
        while let Some(event) = stream.next().await.unwrap() {
            if let LiveEvent::Stored(event) = &*event {
                told.push(event.clone());
                if last.contains(&event.event.kind) {
                    break;
                }
            }
        }
        told
    }

    /// The text and state of the last message of a run's thread.
    pub async fn answer(&self, run: RunId) -> (String, String) {
        let thread = self.core.run(run).await.unwrap().thread.unwrap();
        let last = self.core.list_messages(thread).await.unwrap().pop().unwrap();
        (last.content, last.status.to_string())
    }

    pub async fn store_run(&self, run: &berth_model::run::Run) {
        let mut tx = self.store.write().await.unwrap();
        tx.update_run(run).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Time and ids go on over a restart.
#[derive(Default)]
struct World {
    clock: Arc<SteppedClock>,
    ids: Arc<CountedIds>,
}

impl World {
    fn ports(
        &self,
        store: &Arc<SqlStore>,
        model: &Arc<Script>,
        plugins: &Arc<Notes>,
        devices: &Arc<Devices>,
    ) -> Ports {
        Ports {
            store: store.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            model: model.clone(),
            plugins: plugins.clone(),
            endpoints: devices.clone(),
        }
    }
}

/// What the model does in one round.
pub enum Piece {
    Say(&'static str),
    Call(&'static str, Value),
    /// Waits until it is told to go on.
    Hold(Arc<Notify>),
    Fail,
}

/// A model that does as it is told; without a word it says `done`.
#[derive(Default)]
pub struct Script {
    rounds: Mutex<VecDeque<Vec<Piece>>>,
    pub asked: Mutex<Vec<ModelRequest>>,
}

impl Script {
    pub fn round(&self, pieces: Vec<Piece>) {
        self.rounds.lock().unwrap().push_back(pieces);
    }
}

#[async_trait]
impl Model for Script {
    fn info(&self) -> ModelInfo {
        ModelInfo { provider: "script".to_owned(), model: "script".to_owned() }
    }

    async fn stream(&self, request: ModelRequest) -> Result<ModelStream, ModelError> {
        self.asked.lock().unwrap().push(request);
        let round = self.rounds.lock().unwrap().pop_front().unwrap_or_else(|| vec![Piece::Say("done")]);
        let pieces =
            futures::stream::iter(round.into_iter().enumerate()).then(async |(index, piece)| match piece {
                Piece::Say(text) => Ok(ModelEvent::Text(text.to_owned())),
                Piece::Call(name, arguments) => Ok(ModelEvent::ToolCall(ToolCallRequest {
                    id: format!("c{index}"),
                    name: name.to_owned(),
                    arguments: match arguments {
                        Value::String(text) => text,
                        other => other.to_string(),
                    },
                })),
                Piece::Hold(go) => {
                    go.notified().await;
                    Ok(ModelEvent::Reasoning("on".to_owned()))
                }
                Piece::Fail => Err(ModelError {
                    code: "provider_rate_limited",
                    message: "too many requests".to_owned(),
                    retryable: true,
                    details: Value::Null,
                }),
            });
        let end = futures::stream::iter([Ok(ModelEvent::Finished(FinishReason::Stop))]);
        Ok(pieces.chain(end).boxed())
    }
}

/// A plugin with tools of each kind, and the calls that it was given.
pub struct Notes {
    pub calls: Mutex<Vec<(String, Value)>>,
    pub locales: Mutex<Vec<String>>,
    /// Two reads with `meet` wait for each other.
    meeting: Barrier,
    pub core: Mutex<Option<Core>>,
    /// Rung when a call has asked for an approval.
    pub asked: Notify,
    pub grants_changed: AtomicUsize,
    pub answered: Mutex<Vec<ApprovalAnswered>>,
    /// Rung when the answer to a question was told.
    pub told: Notify,
}

impl Notes {
    /// What a plugin does that may go on only after a yes: it waits here, or with `park` it comes back later.
    async fn wants(&self, call: &ToolCall) -> Result<Option<ToolOutcome>, ToolFailure> {
        let core = self.core.lock().unwrap().clone().unwrap();
        let again = self.calls.lock().unwrap().len();
        let what =
            if call.arguments["again"] == true { json!(again) } else { call.arguments["wants"].clone() };
        let ask = CapabilityAsk {
            operation: call.operation,
            run: call.run,
            subject: ApprovalSubject {
                plugin: PluginId::fixed("notes"),
                capability: "endpoint".to_owned(),
                scope: json!({ "what": what }),
            },
            risk: "external_write".to_owned(),
            prompt: "May notes?".to_owned(),
        };
        let mut approval = core.ask_capability(&ask, &[]).await.unwrap().unwrap();
        self.asked.notify_one();
        if approval.status == ApprovalStatus::Pending {
            if call.arguments["park"] == true {
                return Err(target::parked(approval.id));
            }
            let wait = std::time::Duration::from_secs(120);
            approval = core.await_approval(approval.id, call.run, wait, &call.cancel).await.unwrap();
        }
        let is_yes = approval.status == ApprovalStatus::Approved;
        Ok((!is_yes).then(|| ToolOutcome::ok(json!({ "denied": approval.reason }))))
    }
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            locales: Mutex::default(),
            meeting: Barrier::new(2),
            core: Mutex::default(),
            asked: Notify::new(),
            grants_changed: AtomicUsize::new(0),
            answered: Mutex::default(),
            told: Notify::new(),
        }
    }
}

#[async_trait]
impl PluginTarget for Notes {
    fn catalogue(&self) -> Arc<Vec<ToolSpec>> {
        let tool = |name, risk, confirmed| plugin_tool("notes", name, risk, confirmed);
        Arc::new(vec![
            tool("notes_read", Risk::Read, false),
            tool("notes_peek", Risk::Read, true),
            tool("notes_write", Risk::LocalWrite, false),
            tool("notes_erase", Risk::Destructive, true),
        ])
    }

    async fn call(&self, _plugin: &PluginId, call: ToolCall) -> Result<ToolOutcome, ToolFailure> {
        self.locales.lock().unwrap().push(call.locale.clone());
        self.calls.lock().unwrap().push((call.key.to_string(), call.arguments.clone()));
        if call.arguments["wants"].is_string()
            && let Some(denied) = self.wants(&call).await?
        {
            return Ok(denied);
        }
        if call.arguments["forges"] == true {
            let failure = target::parked(ApprovalId::from_uuid(uuid::Uuid::nil()));
            return Err(ToolFailure { blame: Blame::Guest, ..failure });
        }
        if call.arguments["meet"] == true {
            self.meeting.wait().await;
        }
        if call.arguments["hang"] == true {
            std::future::pending::<()>().await;
        }
        if call.arguments["trap"] == true {
            return Err(ToolFailure::new("PLUGIN_TRAPPED", "the plugin broke off", Blame::Guest));
        }
        let is_error = call.arguments["error"] == true;
        Ok(ToolOutcome {
            content: json!({ "echo": call.arguments, "token": "canary-result", "odd": "a\u{0}b" }),
            is_error,
            receipt: Value::Null,
        })
    }

    async fn grants_changed(&self) {
        self.grants_changed.fetch_add(1, Ordering::Relaxed);
    }

    fn approval_answered(&self, answered: ApprovalAnswered) {
        self.answered.lock().unwrap().push(answered);
        self.told.notify_one();
    }
}
