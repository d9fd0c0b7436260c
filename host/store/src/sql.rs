//! Opening a database, its transactions, its migrations.

use std::fs::File;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::store::{EventRepo, EventScope, OperationRepo, Store, StoreError, StoreHealth, Tx};
use berth_model::event::RunEvent;
use berth_model::operation::Operation;
use berth_model::workspace::Workspace;
use berth_model::{ActorId, WorkspaceId};
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor, Transaction};

use crate::DatabaseUrl;
use crate::error::{problem, translate};
use crate::file::{Connections, Lease, Settings, limit_pages};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// Connections that read at the same time.
const READERS: u32 = 8;
/// Connections of one host that write to PostgreSQL: one writes, one waits; the rest wait in the process, in order.
const POSTGRES_WRITERS: u32 = 2;
/// One writer at a time in all hosts of a PostgreSQL database, as SQLite has it anyway. So a use case may look, decide
/// and write without a lost update, a deadlock or a conflict with another host. The row of the event cursor would
/// make writers wait for each other all the same. The number is ours alone.
const WRITE_LOCK: &str = "SELECT pg_advisory_xact_lock(7018134207325171297)";
/// A host that hangs in a transaction must not stop the others.
const POSTGRES_LIMITS: [&str; 3] = [
    "SET lock_timeout = '30s'",
    "SET statement_timeout = '60s'",
    "SET idle_in_transaction_session_timeout = '30s'",
];
/// How long `/health` waits for the database.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a use case waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may take to answer at the start.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database that is open and has the newest schema.
pub struct SqlStore {
    database: Database,
    /// Held while the store lives: one host per file.
    _lock: Option<File>,
    /// Removed with the store, for one that was opened in memory.
    _folder: Option<tempfile::TempDir>,
}

enum Database {
    Sqlite {
        readers: Connections,
        writer: Connections,
        /// The most pages of the file, 0 for no limit.
        max_pages: Arc<AtomicU64>,
    },
    Postgres {
        readers: AnyPool,
        writers: AnyPool,
    },
}

impl SqlStore {
    /// Opens the database and brings it to the newest schema.
    ///
    /// Fails with `InUse` when another host has the file, `NewerSchema` when a newer berth wrote it.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        match url {
            DatabaseUrl::Sqlite(path) => Self::open_sqlite(path, None).await,
            DatabaseUrl::Postgres(url) => Self::open_postgres(url).await,
        }
    }

    /// A database that is gone with its store; for tests of what stands on it.
    pub async fn open_in_memory() -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        let folder = folder.map_err(|source| StoreError::Unavailable {
            message: "no temporary folder".to_owned(),
            source: Some(Box::new(source)),
        })?;
        let path = folder.path().join("berth.db");
        Self::open_sqlite(&path, Some(folder)).await
    }

    async fn open_sqlite(path: &Path, folder: Option<tempfile::TempDir>) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        let url = format!("sqlite:{}?mode=rwc", in_url(path)?);
        let max_pages = Arc::new(AtomicU64::new(0));
        let settings = |places, mode, begin| Settings {
            url: url.clone(),
            places,
            mode,
            begin,
            max_pages: max_pages.clone(),
            patience: ACQUIRE_TIMEOUT,
        };
        // A commit survives the kill of the process; FULL makes it survive the loss of power as well. A transaction
        // that reads first and writes later could lose its right to write in between.
        let writing = settings(1, "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE");
        let writer = Connections::open(writing).await.map_err(cannot_open)?;
        migrate(&mut *writer.take().await.map_err(translate)?).await?;
        let reading = settings(READERS, "PRAGMA query_only = ON", "BEGIN");
        let readers = Connections::open(reading).await.map_err(cannot_open)?;
        let database = Database::Sqlite { readers, writer, max_pages };
        Ok(Self { database, _lock: Some(lock), _folder: folder })
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        check_postgres(url).await?;
        let writers = postgres_pool(url, POSTGRES_WRITERS).await?;
        migrate(&mut *writers.acquire().await.map_err(translate)?).await?;
        let readers = postgres_pool(url, READERS).await?;
        Ok(Self { database: Database::Postgres { readers, writers }, _lock: None, _folder: None })
    }

    /// Lets a SQLite file grow to `bytes` and no further; a write beyond fails with `DiskFull`.
    ///
    /// Does nothing on PostgreSQL, where quotas belong to the server.
    pub async fn limit_bytes(&self, bytes: u64) -> Result<(), StoreError> {
        if let Database::Sqlite { writer, max_pages, .. } = &self.database {
            let mut connection = writer.take().await.map_err(translate)?;
            let page =
                sqlx::query("PRAGMA page_size").fetch_one(&mut *connection).await.map_err(translate)?;
            let pages = (bytes / u64::try_from(number(&page)?.max(1)).unwrap_or(1)).max(1);
            max_pages.store(pages, Ordering::Relaxed);
            limit_pages(&mut connection, pages).await.map_err(translate)?;
        }
        Ok(())
    }

    /// Ends every connection. A store that is dropped without it loses nothing.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite { readers, writer, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Database::Postgres { readers, writers } => {
                readers.close().await;
                writers.close().await;
            }
        }
    }
}

/// Says what is wrong with a file in the words of SQLite.
fn cannot_open(error: sqlx::Error) -> StoreError {
    let message = error.to_string();
    match translate(error) {
        StoreError::Sql { source } | StoreError::Unavailable { source: Some(source), .. } => {
            StoreError::Unavailable { message, source: Some(source) }
        }
        known => known,
    }
}

/// A pool tries again for as long as it may and then says only that it timed out; one connection says what is wrong.
async fn check_postgres(url: &str) -> Result<(), StoreError> {
    let attempt = tokio::time::timeout(CONNECT_TIMEOUT, AnyConnection::connect(url)).await;
    let connection = match attempt {
        Ok(connection) => connection.map_err(|source| StoreError::Unavailable {
            message: source.to_string(),
            source: Some(Box::new(source)),
        })?,
        Err(_) => {
            let message = format!("the server did not answer within {} s", CONNECT_TIMEOUT.as_secs());
            return Err(StoreError::Unavailable { message, source: None });
        }
    };
    connection.close().await.map_err(translate)
}

async fn postgres_pool(url: &str, connections: u32) -> Result<AnyPool, StoreError> {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                for limit in POSTGRES_LIMITS {
                    connection.execute(limit).await?;
                }
                Ok(())
            })
        })
        .connect(url)
        .await
        .map_err(translate)
}

/// `path` as the part of an address that it is, so that `?`, `#` and `%` stay what they are.
fn in_url(path: &Path) -> Result<String, StoreError> {
    let text = path.to_str().ok_or_else(|| StoreError::Unavailable {
        message: format!("the path `{}` is not UTF-8", path.display()),
        source: None,
    })?;
    Ok(text.replace('%', "%25").replace('?', "%3F").replace('#', "%23"))
}

/// Takes the lock beside the file. The lock goes with the process, however that ends.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let beside = PathBuf::from(beside);
    let unavailable = |source: std::io::Error| {
        if source.kind() == std::io::ErrorKind::StorageFull {
            return StoreError::DiskFull { source: Some(Box::new(source)) };
        }
        StoreError::Unavailable {
            message: format!("`{}` cannot be opened: {source}", beside.display()),
            source: Some(Box::new(source)),
        }
    };
    let file = File::options().create(true).truncate(false).write(true).open(&beside).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.display().to_string() }),
        Err(std::fs::TryLockError::Error(source)) => Err(unavailable(source)),
    }
}

async fn migrate(connection: &mut AnyConnection) -> Result<(), StoreError> {
    match MIGRATIONS.run(connection).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(StoreError::NewerSchema { found, known: newest() }),
        Err(MigrateError::Execute(error)) => match translate(error) {
            StoreError::Sql { source } => Err(StoreError::Migration { source }),
            known => Err(known),
        },
        Err(error) => Err(StoreError::Migration { source: Box::new(error) }),
    }
}

fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// What a transaction is for.
#[derive(Clone, Copy)]
enum Access {
    Reading,
    Writing,
}

impl SqlStore {
    async fn begin(&self, access: Access) -> Result<SqlTx, StoreError> {
        let tx = match (&self.database, access) {
            (Database::Sqlite { readers, .. }, Access::Reading) => readers.begin().await.map(Open::File),
            (Database::Sqlite { writer, .. }, Access::Writing) => writer.begin().await.map(Open::File),
            (Database::Postgres { readers, .. }, Access::Reading) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                readers.begin_with(begin).await.map(Open::Server)
            }
            (Database::Postgres { writers, .. }, Access::Writing) => {
                let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
                let mut tx = writers.begin_with(begin).await.map_err(translate)?;
                sqlx::query(WRITE_LOCK).execute(&mut *tx).await.map_err(translate)?;
                Ok(Open::Server(tx))
            }
        };
        Ok(SqlTx { tx: tx.map_err(translate)? })
    }

    /// A transaction of one statement. On SQLite that statement begins and commits it, with the same promise as any
    /// other commit, which saves two trips to the thread of the connection.
    async fn single(&self, access: Access) -> Result<SqlTx, StoreError> {
        let connections = match (&self.database, access) {
            (Database::Sqlite { readers, .. }, Access::Reading) => readers,
            (Database::Sqlite { writer, .. }, Access::Writing) => writer,
            (Database::Postgres { .. }, access) => return self.begin(access).await,
        };
        Ok(SqlTx { tx: Open::File(connections.single().await.map_err(translate)?) })
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn read(&self) -> Result<Box<dyn Tx>, StoreError> {
        Ok(Box::new(self.begin(Access::Reading).await?))
    }

    async fn write(&self) -> Result<Box<dyn Tx>, StoreError> {
        Ok(Box::new(self.begin(Access::Writing).await?))
    }

    async fn caller(
        &self,
        workspace: &WorkspaceId,
        actor: &ActorId,
    ) -> Result<(Option<Workspace>, bool), StoreError> {
        let mut tx = self.single(Access::Reading).await?;
        let caller = tx.lookup_caller(workspace, actor).await?;
        tx.ended().await?;
        Ok(caller)
    }

    async fn events_after(
        &self,
        scope: &EventScope,
        after: i64,
        limit: u32,
    ) -> Result<Vec<RunEvent>, StoreError> {
        let mut tx = self.single(Access::Reading).await?;
        let events = EventRepo::events_after(&mut tx, scope, after, limit).await?;
        tx.ended().await?;
        Ok(events)
    }

    async fn insert_operation(&self, operation: &Operation) -> Result<(), StoreError> {
        let mut tx = self.single(Access::Writing).await?;
        OperationRepo::insert_operation(&mut tx, operation).await?;
        tx.ended().await
    }

    async fn update_operation(&self, operation: &Operation) -> Result<bool, StoreError> {
        let mut tx = self.single(Access::Writing).await?;
        let is_written = OperationRepo::update_operation(&mut tx, operation).await?;
        tx.ended().await?;
        Ok(is_written)
    }

    async fn health(&self) -> StoreHealth {
        let statement = async {
            match &self.database {
                Database::Sqlite { readers, .. } => {
                    sqlx::query("SELECT 1").fetch_one(&mut *readers.take().await?).await
                }
                Database::Postgres { readers, .. } => sqlx::query("SELECT 1").fetch_one(readers).await,
            }
        };
        let answer = tokio::time::timeout(HEALTH_TIMEOUT, statement).await;
        let kind = match &self.database {
            Database::Sqlite { .. } => "sqlite",
            Database::Postgres { .. } => "postgres",
        };
        let problem = match answer {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the database does not answer");
                Some(problem(&translate(error)))
            }
            Err(_) => {
                tracing::warn!(waited = ?HEALTH_TIMEOUT, "the database does not answer in time");
                Some(format!("it took longer than {} s", HEALTH_TIMEOUT.as_secs()))
            }
        };
        StoreHealth { kind, schema_version: newest(), problem }
    }
}

/// A transaction; the repositories of all aggregates are implemented on it, a file each.
pub(crate) struct SqlTx {
    pub(crate) tx: Open,
}

/// An open transaction, as its connection.
pub(crate) enum Open {
    File(Lease),
    Server(Transaction<'static, Any>),
}

impl Deref for Open {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        match self {
            Self::File(lease) => lease,
            Self::Server(tx) => tx,
        }
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        match self {
            Self::File(lease) => lease,
            Self::Server(tx) => tx,
        }
    }
}

impl SqlTx {
    async fn ended(self) -> Result<(), StoreError> {
        let committed = match self.tx {
            Open::File(lease) => lease.commit().await,
            Open::Server(tx) => tx.commit().await,
        };
        committed.map_err(translate)
    }
}

#[async_trait]
impl Tx for SqlTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.ended().await
    }
}

/// Runs a statement and yields how many rows it touched.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        sqlx::query($sql)$(.bind($crate::row::Stored::stored($value)))*.execute(&mut *$tx.tx).await.map(|done| done.rows_affected())
            .map_err($crate::error::translate)
    };
}

/// Runs a query and reads every row with `read`.
macro_rules! select {
    ($tx:expr, $read:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        match sqlx::query($sql)$(.bind($crate::row::Stored::stored($value)))*.fetch_all(&mut *$tx.tx).await {
            Ok(rows) => rows.iter().map($read).collect::<Result<Vec<_>, berth_core::port::store::StoreError>>(),
            Err(error) => Err($crate::error::translate(error)),
        }
    };
}

/// Runs a query and reads the one row there may be with `read`.
macro_rules! lookup {
    ($tx:expr, $read:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        match sqlx::query($sql)$(.bind($crate::row::Stored::stored($value)))*.fetch_optional(&mut *$tx.tx).await {
            Ok(row) => row.as_ref().map($read).transpose(),
            Err(error) => Err($crate::error::translate(error)),
        }
    };
}

/// Runs an update of the row `$id`, which the caller has seen; that it is gone is an error.
macro_rules! update {
    ($tx:expr, $table:literal . $column:literal = $id:expr, $sql:expr $(, $value:expr)* $(,)?) => {
        match execute!($tx, $sql, $id.to_string() $(, $value)*)? {
            0 => Err(berth_core::port::store::StoreError::Inconsistent {
                table: $table,
                column: $column,
                row: $id.to_string(),
            }),
            _ => Ok(()),
        }
    };
}

/// Runs an insert that leaves the row of `$index` alone when there is one already.
///
/// The conflict is not an error of the database's: PostgreSQL would end the transaction with it, and the caller wants
/// to see in this one who was first.
macro_rules! insert_or_conflict {
    ($tx:expr, $index:literal, $sql:expr $(, $value:expr)* $(,)?) => {
        match execute!($tx, $sql $(, $value)*)? {
            0 => Err(berth_core::port::store::StoreError::Conflict { index: $index.to_owned() }),
            _ => Ok(()),
        }
    };
}

/// Joins pieces of our own text into a statement; values never go this way.
macro_rules! sql {
    ($($piece:expr),+ $(,)?) => {
        sqlx::AssertSqlSafe([$($piece),+].concat())
    };
}

pub(crate) use {execute, insert_or_conflict, lookup, select, sql, update};

/// The first column of `row`, a number.
pub(crate) fn number(row: &AnyRow) -> Result<i64, StoreError> {
    number_at(row, 0)
}

/// The number in a column.
pub(crate) fn number_at(row: &AnyRow, column: usize) -> Result<i64, StoreError> {
    use sqlx::Row as _;
    row.try_get(column).map_err(translate)
}
