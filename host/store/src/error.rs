//! What a database error means for core.

use berth_core::port::store::StoreError;

/// SQLite's `SQLITE_FULL` and PostgreSQL's `disk_full`.
const DISK_FULL: [&str; 2] = ["13", "53100"];
/// SQLite's `SQLITE_BUSY` and its kinds, PostgreSQL's `too_many_connections`, `admin_shutdown`, `cannot_connect_now`,
/// `serialization_failure`, `deadlock_detected`.
const UNAVAILABLE: [&str; 9] = ["5", "261", "517", "773", "53300", "57P01", "57P03", "40001", "40P01"];

pub(crate) fn translate(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            if DISK_FULL.contains(&code.as_ref()) {
                StoreError::DiskFull { source: Some(Box::new(error)) }
            } else if database.is_unique_violation() {
                // SQLite names the columns in its message, PostgreSQL the index.
                let index = database.constraint().unwrap_or_else(|| {
                    database.message().rsplit_once("failed: ").map_or("unique", |(_, columns)| columns)
                });
                StoreError::Conflict { index: index.to_owned() }
            } else if UNAVAILABLE.contains(&code.as_ref()) {
                unavailable(error)
            } else {
                StoreError::Sql { source: Box::new(error) }
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => unavailable(error),
        _ => StoreError::Sql { source: Box::new(error) },
    }
}

fn unavailable(error: sqlx::Error) -> StoreError {
    let message = match &error {
        sqlx::Error::PoolTimedOut => "no connection became free in time",
        sqlx::Error::PoolClosed => "it was closed",
        sqlx::Error::Database(_) => "it is busy",
        _ => "the connection broke",
    };
    StoreError::Unavailable { message: message.to_owned(), source: Some(Box::new(error)) }
}
