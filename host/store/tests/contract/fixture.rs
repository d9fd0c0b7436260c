//! A database for each test, and rows to put into it.

use std::sync::atomic::{AtomicU64, Ordering};

use berth_core::port::store::{Store, Tx};
use berth_model::endpoint::Endpoint;
use berth_model::event::{EventType, NewEvent};
use berth_model::message::{Message, MessageStatus, Role};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::run::{Run, RunStatus, Trigger};
use berth_model::thread::{Thread, ThreadStatus};
use berth_model::workspace::{DefaultTarget, Governance, Workspace, WorkspaceStatus};
use berth_model::{
    ActorId, CallId, EndpointId, EventId, JsonMap, MessageId, OperationId, RunId, ThreadId, Timestamp,
    ToolKey, ToolName, WorkspaceId,
};
use berth_store::{DatabaseUrl, SqlStore};
use serde_json::{Value, json};
use uuid::Uuid;

static COUNTER: AtomicU64 = AtomicU64::new(1);

pub fn uuid() -> Uuid {
    Uuid::from_u64_pair(7, COUNTER.fetch_add(1, Ordering::Relaxed))
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

pub struct Fixture {
    pub url: DatabaseUrl,
    pub store: SqlStore,
    admin: Option<(String, String)>,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite(folder.path().join("berth.db"));
        let store = SqlStore::open(&url).await.unwrap();
        Self { url, store, admin: None, _folder: Some(folder) }.with_ground().await
    }

    /// `None` only when somebody asked to leave PostgreSQL out; a missing server is a failure.
    pub async fn postgres() -> Option<Self> {
        let Ok(admin) = std::env::var("BERTH_TEST_POSTGRES_URL") else {
            let skipped = std::env::var("BERTH_TEST_SKIP_POSTGRES").is_ok_and(|word| word == "1");
            assert!(
                skipped,
                "BERTH_TEST_POSTGRES_URL names no PostgreSQL: run `cargo xtask test`, which starts one, or set \
                 BERTH_TEST_SKIP_POSTGRES=1 to leave this half out"
            );
            return None;
        };
        let name = format!("berth_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        execute(&admin, &format!("CREATE DATABASE {name}")).await;
        let (place, _) = admin.rsplit_once('/').unwrap();
        let url: DatabaseUrl = format!("{place}/{name}").parse().unwrap();
        let store = SqlStore::open(&url).await.unwrap();
        Some(Self { url, store, admin: Some((admin, name)), _folder: None }.with_ground().await)
    }

    /// The database's own address, for statements behind the store's back.
    pub fn raw(&self) -> String {
        match &self.url {
            DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            DatabaseUrl::Postgres(url) => url.clone(),
        }
    }

    /// Closes the store and opens the same database anew.
    pub async fn reopen(&mut self) {
        self.store.close().await;
        let empty = SqlStore::open_in_memory().await.unwrap();
        drop(std::mem::replace(&mut self.store, empty));
        self.store = SqlStore::open(&self.url).await.unwrap();
    }

    pub async fn remove(self) {
        self.store.close().await;
        if let Some((admin, name)) = &self.admin {
            execute(admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }

    async fn with_ground(self) -> Self {
        let mut tx = self.write().await;
        tx.seed_workspace(&workspace()).await.unwrap();
        tx.seed_actor(&actor(), "user", "Self", at(0)).await.unwrap();
        tx.commit().await.unwrap();
        self
    }

    pub async fn write(&self) -> Box<dyn Tx> {
        self.store.write().await.unwrap()
    }

    pub async fn read(&self) -> Box<dyn Tx> {
        self.store.read().await.unwrap()
    }

    pub async fn thread(&self) -> Thread {
        let thread = thread();
        let mut tx = self.write().await;
        tx.insert_thread(&thread).await.unwrap();
        tx.commit().await.unwrap();
        thread
    }

    pub async fn run(&self, thread: Option<ThreadId>, second: i64) -> Run {
        let run = run(thread, second);
        let mut tx = self.write().await;
        tx.insert_run(&run).await.unwrap();
        tx.commit().await.unwrap();
        run
    }
}

/// Runs one statement on a connection of its own.
pub async fn execute(url: &str, statement: &str) {
    use sqlx::{AnyConnection, Connection, Executor};
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

pub fn map(value: Value) -> JsonMap {
    value.as_object().unwrap().clone()
}

pub fn workspace() -> Workspace {
    Workspace {
        id: WorkspaceId::fixed("personal"),
        title: "Personal".to_owned(),
        description: String::new(),
        status: WorkspaceStatus::Active,
        base_mode: "general".to_owned(),
        prompt_overlay: String::new(),
        default_target: DefaultTarget::CoreLocal,
        governance: Governance::open(),
        metadata: map(json!({ "n": 1 })),
        created_at: at(1),
        updated_at: at(1),
    }
}

pub fn actor() -> ActorId {
    ActorId::fixed("user:self")
}

pub fn endpoint(id: &'static str) -> Endpoint {
    Endpoint {
        id: EndpointId::fixed(id),
        kind: "edge_executor".to_owned(),
        provider_type: "edge".to_owned(),
        transport: "websocket".to_owned(),
        display_name: "Edge ünit".to_owned(),
        status: "online".to_owned(),
        labels: vec!["execution".to_owned()],
        priority: 100,
        metadata: JsonMap::new(),
        created_at: at(1),
        updated_at: at(2),
    }
}

pub fn thread() -> Thread {
    Thread {
        id: ThreadId::from_uuid(uuid()),
        workspace: WorkspaceId::fixed("personal"),
        title: "A \"thread\"\nwith a line".to_owned(),
        status: ThreadStatus::Active,
        summary: String::new(),
        mode: "general".to_owned(),
        default_key: None,
        metadata: JsonMap::new(),
        created_at: at(1),
        updated_at: at(1),
    }
}

pub fn message(thread: ThreadId, text: &str) -> Message {
    Message {
        id: MessageId::from_uuid(uuid()),
        thread,
        session: None,
        run: None,
        workspace: WorkspaceId::fixed("personal"),
        role: Role::User,
        channel: "message".to_owned(),
        content: text.to_owned(),
        status: MessageStatus::Completed,
        origin_endpoint: None,
        endpoint_message_id: None,
        metadata: map(json!({ "deep": [1, { "x": null }] })),
        created_at: at(5),
    }
}

pub fn run(thread: Option<ThreadId>, second: i64) -> Run {
    Run {
        id: RunId::from_uuid(uuid()),
        workspace: WorkspaceId::fixed("personal"),
        thread,
        session: None,
        trigger: Trigger::UserMessage,
        actor: actor(),
        origin_endpoint: None,
        status: RunStatus::Queued,
        input_message: None,
        output_message: None,
        failure: None,
        effects_started: false,
        attempt: 0,
        metadata: JsonMap::new(),
        created_at: at(second),
        started_at: None,
        finished_at: None,
    }
}

pub fn event(run: &Run, kind: EventType) -> NewEvent {
    NewEvent {
        id: EventId::from_uuid(uuid()),
        run: run.id,
        thread: run.thread,
        session: None,
        workspace: run.workspace.clone(),
        kind,
        payload: map(json!({ "n": 1 })),
        created_at: at(9),
    }
}

pub fn operation(run: &Run) -> Operation {
    Operation {
        id: OperationId::from_uuid(uuid()),
        call: CallId::from_uuid(uuid()),
        kind: "tool_call".to_owned(),
        title: "Tool: files_list".to_owned(),
        thread: run.thread,
        workspace: run.workspace.clone(),
        run: Some(run.id),
        session: None,
        actor: actor(),
        tool: ToolName::fixed("files_list"),
        tool_key: ToolKey::fixed("list"),
        target_kind: "plugin".to_owned(),
        target_id: "plugin.files".to_owned(),
        target_endpoint: None,
        approval: None,
        status: OperationStatus::Queued,
        arguments: json!({ "path": "." }),
        result: Value::Null,
        error: Value::Null,
        receipt: Value::Null,
        routing: json!({ "mode": "plugin" }),
        created_at: at(10),
        started_at: None,
        finished_at: None,
    }
}
