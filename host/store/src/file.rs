//! The connections to a SQLite file.
//!
//! The pool of sqlx asks a connection whether it lives whenever it is taken and whenever it comes back; each question is
//! a trip to the connection's thread, and the one writer would answer two of them between any two transactions. A file
//! does not hang up, so here nobody asks: a connection on which no transaction can begin is replaced.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{AnyConnection, Connection, Error, Executor, SqlSafeStr};
use sqlx_core::any::AnyTransactionManager;
use sqlx_core::transaction::TransactionManager;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the connections of a file have in common.
pub(crate) struct Settings {
    pub url: String,
    /// Connections at the same time.
    pub places: u32,
    /// A pragma of these connections alone.
    pub mode: &'static str,
    /// How their transactions begin.
    pub begin: &'static str,
    /// The most pages of the file, 0 for no limit; every new connection is told.
    pub max_pages: Arc<AtomicU64>,
    /// How long a use case waits for a connection.
    pub patience: Duration,
}

/// Connections to one file. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    settings: Settings,
    idle: Mutex<Vec<AnyConnection>>,
    places: Arc<Semaphore>,
}

impl Connections {
    /// Opens the first connection; the others when they are needed.
    pub async fn open(settings: Settings) -> Result<Self, Error> {
        let places = Arc::new(Semaphore::new(settings.places as usize));
        let all = Self(Arc::new(Inner { settings, idle: Mutex::default(), places }));
        all.take().await?;
        Ok(all)
    }

    /// Begins a transaction. Waits for a connection in the order of the asking.
    pub async fn begin(&self) -> Result<Lease, Error> {
        let mut lease = self.take().await?;
        match lease.begin().await {
            // SQLite ends a transaction by itself when the disk is full; the connection still counts it as open.
            Err(Error::InvalidSavePointStatement | Error::WorkerCrashed) => {
                lease.connection = Some(self.0.connect().await?);
                lease.begin().await?;
            }
            begun => begun?,
        }
        Ok(lease)
    }

    /// A connection for one statement, which is a transaction of its own. [`Lease::commit`] says that it went well; a
    /// connection on which it did not is closed, as nobody asks it whether it lives.
    pub async fn single(&self) -> Result<Lease, Error> {
        let mut lease = self.take().await?;
        lease.ends = Ends::Alone;
        Ok(lease)
    }

    /// A connection without a transaction.
    pub async fn take(&self) -> Result<Lease, Error> {
        let place = tokio::time::timeout(self.0.settings.patience, self.0.places.clone().acquire_owned());
        let place = place.await.map_err(|_| Error::PoolTimedOut)?.map_err(|_| Error::PoolClosed)?;
        let idle = self.0.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.0.connect().await?,
        };
        Ok(Lease { connection: Some(connection), ends: Ends::Back, home: self.0.clone(), _place: place })
    }

    /// Closes every connection, once those in use have come back.
    pub async fn close(&self) {
        let _all = self.0.places.acquire_many(self.0.settings.places).await;
        self.0.places.close();
        let idle = std::mem::take(&mut *self.0.idle());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a connection to the database was not closed well");
            }
        }
    }
}

impl Inner {
    async fn connect(&self) -> Result<AnyConnection, Error> {
        let mut connection = AnyConnection::connect(&self.settings.url).await?;
        for pragma in [
            "PRAGMA busy_timeout = 10000",
            "PRAGMA journal_mode = WAL",
            "PRAGMA foreign_keys = ON",
            "PRAGMA temp_store = MEMORY",
            self.settings.mode,
        ] {
            connection.execute(pragma).await?;
        }
        limit_pages(&mut connection, self.settings.max_pages.load(Ordering::Relaxed)).await?;
        Ok(connection)
    }

    /// Each change under the lock is one step, so one whose holder panicked is still whole.
    fn idle(&self) -> MutexGuard<'_, Vec<AnyConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds a connection to `pages`; 0 changes nothing.
pub(crate) async fn limit_pages(connection: &mut AnyConnection, pages: u64) -> Result<(), Error> {
    if pages > 0 {
        connection.execute(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"))).await?;
    }
    Ok(())
}

/// A connection in use. Dropping it rolls its transaction back and gives it to the next one.
pub(crate) struct Lease {
    /// `None` once it is dropped.
    connection: Option<AnyConnection>,
    ends: Ends,
    home: Arc<Inner>,
    /// Given up after the connection is back.
    _place: OwnedSemaphorePermit,
}

/// What becomes of a connection whose lease is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// It goes back.
    Back,
    /// Its transaction is rolled back, and it goes back.
    RolledBack,
    /// Its one statement was not heard to go well: it is closed.
    Alone,
}

impl Lease {
    async fn begin(&mut self) -> Result<(), Error> {
        // Before the fact: one that is dropped half-way may have begun.
        self.ends = Ends::RolledBack;
        let statement = self.home.settings.begin.into_sql_str();
        AnyTransactionManager::begin(self, Some(statement)).await
    }

    /// Ends the transaction. When this fails, nothing of it is stored.
    pub async fn commit(mut self) -> Result<(), Error> {
        if self.ends == Ends::RolledBack {
            AnyTransactionManager::commit(&mut self).await?;
        }
        self.ends = Ends::Back;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match self.ends {
            Ends::Back => {}
            // The thread of the connection does it before whatever it is asked next.
            Ends::RolledBack => AnyTransactionManager::start_rollback(&mut connection),
            Ends::Alone => return,
        }
        self.home.idle().push(connection);
    }
}

impl Deref for Lease {
    type Target = AnyConnection;

    #[expect(clippy::expect_used, reason = "only drop takes it")]
    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect("a lease that lives has its connection")
    }
}

impl DerefMut for Lease {
    #[expect(clippy::expect_used, reason = "only drop takes it")]
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect("a lease that lives has its connection")
    }
}
