//! State that outlives the process.
//!
//! One use case is one transaction: core begins it, hands it to the repositories by `&mut`, and commits it.
//! Dropping a transaction rolls it back. "Not found" on a lookup is `Ok(None)`, and an update of a row that is not there
//! is an error. A method that names no other failure fails as the database does ([`StoreError::Unavailable`],
//! [`StoreError::DiskFull`]) or on a row that no version of ours writes ([`StoreError::Inconsistent`]).

mod audit;
mod channel;
mod generation;
mod grant;
mod keyvalue;
mod secret;
mod waiting;

use async_trait::async_trait;
use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::delivery::Delivery;
use berth_model::endpoint::{Address, Capability, Connection, Endpoint, Membership};
use berth_model::event::{EventType, NewEvent, RunEvent};
use berth_model::message::{Message, Role};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::plugin::Plugin;
use berth_model::run::{Run, RunStatus};
use berth_model::session::{Binding, Session, ThreadStrategy};
use berth_model::thread::{Thread, ThreadStatus};
use berth_model::workspace::Workspace;
use berth_model::{
    ActorId, AddressId, ApprovalId, DeliveryId, EndpointId, MessageId, OperationId, PluginId, RunId,
    SessionId, ThreadId, Timestamp, WorkspaceId,
};

pub use audit::{AuditFilter, AuditRepo};
pub use channel::ChannelRepo;
pub use generation::GenerationRepo;
pub use grant::GrantRepo;
pub use keyvalue::{KeysFrom, KeyvaluePair, KeyvalueRepo, KeyvalueSpace, KeyvalueUsage};
pub use secret::SecretRepo;
pub use waiting::WaitingCallRepo;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, disk full, locked for too long: try again later.
    #[error("the database is not available: {message}")]
    Unavailable { message: String, source: Option<Box<dyn std::error::Error + Send + Sync>> },
    /// The volume of the database has no room left.
    #[error("the disk that holds the database is full")]
    DiskFull { source: Option<Box<dyn std::error::Error + Send + Sync>> },
    /// A unique index refused the row.
    #[error("`{index}` already has this row")]
    Conflict { index: String },
    /// A row that no version of ours writes.
    #[error("row `{row}` of `{table}` has a bad `{column}`")]
    Inconsistent { table: &'static str, column: &'static str, row: String },
    /// The database was written by a newer berth.
    #[error("the database has schema version {found}, this berth knows up to {known}: run the newer berth")]
    NewerSchema { found: i64, known: i64 },
    /// Another host has this data folder open.
    #[error("another berth uses `{path}`: stop it, or give this one its own --data")]
    InUse { path: String },
    #[error("the database could not be migrated")]
    Migration { source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the database refused the statement")]
    Sql { source: Box<dyn std::error::Error + Send + Sync> },
}

/// Opens transactions.
#[async_trait]
pub trait Store: Send + Sync {
    /// A consistent view for reading; writes in it fail.
    async fn read(&self) -> Result<Box<dyn Tx>, StoreError>;

    /// A transaction that may write. On SQLite writers come one after another.
    async fn write(&self) -> Result<Box<dyn Tx>, StoreError>;

    /// The workspace of a call, and whether its actor is known: what each call asks first, in one look.
    async fn caller(
        &self,
        workspace: &WorkspaceId,
        actor: &ActorId,
    ) -> Result<(Option<Workspace>, bool), StoreError> {
        let mut tx = self.read().await?;
        Ok((tx.lookup_workspace(workspace).await?, tx.actor_exists(actor).await?))
    }

    /// Stored events behind a cursor, in one look: see [`EventRepo::events_after`].
    async fn events_after(
        &self,
        scope: &EventScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, StoreError> {
        self.read().await?.events_after(scope, after, limit).await
    }

    /// Stores a new operation, with which nothing else changes: a transaction of its own.
    async fn insert_operation(&self, operation: &Operation) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        tx.insert_operation(operation).await?;
        tx.commit().await
    }

    /// Writes an operation, with which nothing else changes, unless the stored state is final; false when it was.
    async fn update_operation(&self, operation: &Operation) -> Result<bool, StoreError> {
        let mut tx = self.write().await?;
        let is_written = tx.update_operation(operation).await?;
        tx.commit().await?;
        Ok(is_written)
    }

    /// `sqlite` or `postgres`, the schema version, and whether a statement went through just now.
    async fn health(&self) -> StoreHealth;
}

/// What `/health` says of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    pub kind: &'static str,
    pub schema_version: i64,
    /// Why no statement goes through; `None` when one just did. Without addresses and paths.
    pub problem: Option<String>,
}

impl StoreHealth {
    pub fn is_ok(&self) -> bool {
        self.problem.is_none()
    }
}

/// A transaction with every repository.
#[async_trait]
pub trait Tx:
    WorkspaceRepo
    + EndpointRepo
    + ThreadRepo
    + MessageRepo
    + SessionRepo
    + RunRepo
    + EventRepo
    + OperationRepo
    + ApprovalRepo
    + DeliveryRepo
    + PluginRepo
    + KeyvalueRepo
    + GrantRepo
    + AuditRepo
    + SecretRepo
    + GenerationRepo
    + ChannelRepo
    + WaitingCallRepo
    + Send
{
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Workspaces, and the actors that may be named in them.
#[async_trait]
pub trait WorkspaceRepo {
    /// Stores the workspace unless its id is taken; true when stored.
    async fn seed_workspace(&mut self, workspace: &Workspace) -> Result<bool, StoreError>;
    async fn update_workspace(&mut self, workspace: &Workspace) -> Result<(), StoreError>;
    async fn lookup_workspace(&mut self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError>;
    /// By id; archived ones only on request.
    async fn list_workspaces(&mut self, include_archived: bool) -> Result<Vec<Workspace>, StoreError>;
    /// Stores the actor unless its id is taken; true when stored.
    async fn seed_actor(
        &mut self,
        id: &ActorId,
        kind: &str,
        display_name: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    async fn actor_exists(&mut self, id: &ActorId) -> Result<bool, StoreError>;
}

/// Endpoints with what belongs to them: memberships of workspaces, capabilities, addresses, connections.
#[async_trait]
pub trait EndpointRepo {
    async fn upsert_endpoint(&mut self, endpoint: &Endpoint) -> Result<(), StoreError>;
    async fn lookup_endpoint(&mut self, id: &EndpointId) -> Result<Option<Endpoint>, StoreError>;
    /// By id.
    async fn list_endpoints(&mut self) -> Result<Vec<Endpoint>, StoreError>;
    async fn set_endpoint_status(
        &mut self,
        id: &EndpointId,
        status: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Stores the membership, or replaces the one of the same endpoint and workspace.
    async fn upsert_membership(&mut self, membership: &Membership) -> Result<(), StoreError>;
    /// Enabled and disabled ones, primary first.
    async fn memberships_of(&mut self, endpoint: &EndpointId) -> Result<Vec<Membership>, StoreError>;
    /// Endpoints with an enabled membership of `workspace`, by id.
    async fn endpoints_of_workspace(&mut self, workspace: &WorkspaceId) -> Result<Vec<Endpoint>, StoreError>;

    /// Upserts the listed capabilities and disables every other one of `endpoint`.
    async fn replace_capabilities(
        &mut self,
        endpoint: &EndpointId,
        capabilities: &[Capability],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Enabled ones only, by endpoint and key; of every endpoint when `endpoint` is `None`.
    async fn list_capabilities(
        &mut self,
        endpoint: Option<&EndpointId>,
    ) -> Result<Vec<Capability>, StoreError>;

    async fn upsert_address(&mut self, address: &Address, now: Timestamp) -> Result<(), StoreError>;
    async fn lookup_address(&mut self, id: &AddressId) -> Result<Option<Address>, StoreError>;
    /// The address with this external reference.
    async fn find_address(
        &mut self,
        endpoint: &EndpointId,
        kind: &str,
        external_ref: &str,
    ) -> Result<Option<Address>, StoreError>;

    /// Stores the connection or its new state.
    async fn upsert_connection(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Marks every connection as gone; for the start after a crash.
    async fn disconnect_all(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}

/// Which threads to list.
#[derive(Debug, Clone, Default)]
pub struct ThreadFilter {
    pub workspace: Option<WorkspaceId>,
    /// Continue behind this thread (updated-at, id), newest first.
    pub before: Option<(Timestamp, ThreadId)>,
    /// At most so many.
    pub limit: u32,
}

/// Threads. Deleting one is a status; no row goes.
#[async_trait]
pub trait ThreadRepo {
    /// Fails with `Conflict` when the default key of the workspace is taken.
    async fn insert_thread(&mut self, thread: &Thread) -> Result<(), StoreError>;
    async fn update_thread(&mut self, thread: &Thread) -> Result<(), StoreError>;
    /// Deleted ones too.
    async fn lookup_thread(&mut self, id: ThreadId) -> Result<Option<Thread>, StoreError>;
    async fn find_default_thread(
        &mut self,
        workspace: &WorkspaceId,
        default_key: &str,
    ) -> Result<Option<Thread>, StoreError>;
    /// Not deleted, last updated first.
    async fn list_threads(&mut self, filter: &ThreadFilter) -> Result<Vec<Thread>, StoreError>;
    async fn set_thread_status(
        &mut self,
        id: ThreadId,
        status: ThreadStatus,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Sets `updated_at`.
    async fn touch_thread(&mut self, id: ThreadId, now: Timestamp) -> Result<(), StoreError>;
}

/// Messages. They are written once and never changed.
#[async_trait]
pub trait MessageRepo {
    /// Fails with `Conflict` when thread, endpoint, role and endpoint message id were seen before.
    async fn insert_message(&mut self, message: &Message) -> Result<(), StoreError>;
    async fn lookup_message(&mut self, id: MessageId) -> Result<Option<Message>, StoreError>;
    async fn find_message(
        &mut self,
        thread: ThreadId,
        endpoint: Option<&EndpointId>,
        role: Role,
        endpoint_message_id: &str,
    ) -> Result<Option<Message>, StoreError>;
    /// Oldest first; the newest `limit` when given.
    async fn list_messages(
        &mut self,
        thread: ThreadId,
        limit: Option<u32>,
    ) -> Result<Vec<Message>, StoreError>;
}

/// Sessions, and the bindings that lead a conversation of an endpoint to its thread.
#[async_trait]
pub trait SessionRepo {
    async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError>;
    async fn update_session(&mut self, session: &Session) -> Result<(), StoreError>;
    async fn lookup_session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// Fails with `Conflict` when endpoint, strategy and key are bound already.
    async fn insert_binding(&mut self, binding: &Binding) -> Result<(), StoreError>;
    async fn update_binding(&mut self, binding: &Binding) -> Result<(), StoreError>;
    async fn find_binding(
        &mut self,
        endpoint: &EndpointId,
        strategy: ThreadStrategy,
        conversation_key: &str,
    ) -> Result<Option<Binding>, StoreError>;
    /// Threads that conversations with `address` are bound to, in order of their ids.
    async fn threads_of_address(&mut self, address: &AddressId) -> Result<Vec<ThreadId>, StoreError>;
}

/// Which runs to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub thread: Option<ThreadId>,
    pub status: Option<RunStatus>,
    /// At most so many.
    pub limit: u32,
}

/// Runs: the durable queue.
#[async_trait]
pub trait RunRepo {
    async fn insert_run(&mut self, run: &Run) -> Result<(), StoreError>;
    /// Writes every field that may change. The caller has checked the transition.
    async fn update_run(&mut self, run: &Run) -> Result<(), StoreError>;
    async fn lookup_run(&mut self, id: RunId) -> Result<Option<Run>, StoreError>;
    async fn list_runs(&mut self, filter: &RunFilter) -> Result<Vec<Run>, StoreError>;
    /// Takes the oldest queued run whose thread has no run in `running` or a waiting state, marks it `running` with
    /// `started_at` and `attempt + 1`, and returns it. Two takers never get the same run.
    async fn claim_run(&mut self, now: Timestamp) -> Result<Option<Run>, StoreError>;
    /// Runs in any state that is not final, oldest first; for the start after a crash.
    async fn open_runs(&mut self) -> Result<Vec<Run>, StoreError>;
}

/// Run events: appended, never changed.
#[async_trait]
pub trait EventRepo {
    /// Appends events and gives each its cursor and its seq within the run. Only durable types are appended.
    ///
    /// Cursors become visible in their own order and without gaps: the counter is a row of the same transaction.
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<Vec<RunEvent>, StoreError>;
    /// Events with a cursor above `after`, in order of cursor.
    async fn events_after(
        &mut self,
        scope: &EventScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, StoreError>;
    /// Events of a run with a seq above `after`, in order.
    async fn events_of_run(
        &mut self,
        run: RunId,
        after_seq: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, StoreError>;
    /// The highest cursor, 0 when there is none.
    async fn last_cursor(&mut self) -> Result<i64, StoreError>;
    /// How often `run` has told `kind`.
    async fn count_events(&mut self, run: RunId, kind: EventType) -> Result<u64, StoreError>;
}

/// Whose events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventScope {
    All,
    Thread(ThreadId),
    Run(RunId),
    Workspace(WorkspaceId),
}

/// Operations. The first final state stays.
#[async_trait]
pub trait OperationRepo {
    async fn insert_operation(&mut self, operation: &Operation) -> Result<(), StoreError>;
    /// Writes every field that may change, unless the stored state is final; false when it was.
    async fn update_operation(&mut self, operation: &Operation) -> Result<bool, StoreError>;
    async fn lookup_operation(&mut self, id: OperationId) -> Result<Option<Operation>, StoreError>;
    /// Operations of a run, oldest first.
    async fn operations_of_run(&mut self, run: RunId) -> Result<Vec<Operation>, StoreError>;
    /// Operations in a state that is not final, oldest first; for the start after a crash.
    async fn open_operations(&mut self) -> Result<Vec<Operation>, StoreError>;
    /// Sets status alone, unless the stored state is final; false when it was.
    async fn set_operation_status(
        &mut self,
        id: OperationId,
        status: OperationStatus,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// Approvals. The first decision stays.
#[async_trait]
pub trait ApprovalRepo {
    async fn insert_approval(&mut self, approval: &Approval) -> Result<(), StoreError>;
    /// Writes the decision unless one is stored already; false when it was.
    async fn decide_approval(&mut self, approval: &Approval) -> Result<bool, StoreError>;
    async fn lookup_approval(&mut self, id: ApprovalId) -> Result<Option<Approval>, StoreError>;
    /// Approvals that the calls of an operation asked for, oldest first.
    async fn approvals_of_operation(&mut self, operation: OperationId) -> Result<Vec<Approval>, StoreError>;
    /// Oldest first; of any status when `None`.
    async fn list_approvals(&mut self, status: Option<ApprovalStatus>) -> Result<Vec<Approval>, StoreError>;
}

/// Deliveries, and where each stands in the outbox.
#[async_trait]
pub trait DeliveryRepo {
    async fn insert_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError>;
    async fn update_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError>;
    async fn lookup_delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;
    /// Queued or to be retried, due at `now`, oldest first.
    async fn due_deliveries(
        &mut self,
        endpoint: &EndpointId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// Returns `sending` ones to `retry`, but not those of channels, which ask what became of them; for the start after a
    /// crash.
    async fn release_deliveries(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}

/// Installed plugins.
#[async_trait]
pub trait PluginRepo {
    async fn upsert_plugin(&mut self, plugin: &Plugin) -> Result<(), StoreError>;
    async fn lookup_plugin(&mut self, id: &PluginId) -> Result<Option<Plugin>, StoreError>;
    /// By id.
    async fn list_plugins(&mut self) -> Result<Vec<Plugin>, StoreError>;
    /// True when there was one. Grants stay.
    async fn remove_plugin(&mut self, id: &PluginId) -> Result<bool, StoreError>;
    /// When the plugin was last asked what is new, and answered.
    async fn last_pulse(&mut self, id: &PluginId) -> Result<Option<Timestamp>, StoreError>;
    async fn set_last_pulse(&mut self, id: &PluginId, at: Timestamp) -> Result<(), StoreError>;
}
