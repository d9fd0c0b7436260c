//! What a database error means for core.

use berth_core::port::store::StoreError;

/// SQLite's `SQLITE_FULL` and PostgreSQL's `disk_full`.
const DISK_FULL: [&str; 2] = ["13", "53100"];
/// SQLite's `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_IOERR` and `SQLITE_CANTOPEN`; a kind of one has it in its low byte.
const SQLITE_UNAVAILABLE: [i32; 4] = [5, 6, 10, 14];
/// PostgreSQL's `too_many_connections`, `admin_shutdown`, `crash_shutdown`, `cannot_connect_now`,
/// `serialization_failure`, `deadlock_detected`, `lock_not_available`, `query_canceled`,
/// `idle_in_transaction_session_timeout`; and what begins with `08`, the connection exceptions.
const POSTGRES_UNAVAILABLE: [&str; 9] =
    ["53300", "57P01", "57P02", "57P03", "40001", "40P01", "55P03", "57014", "25P03"];

/// PostgreSQL's codes have five characters, SQLite's are numbers of at most four digits.
fn is_unavailable(code: &str) -> bool {
    if code.len() == 5 {
        return code.starts_with("08") || POSTGRES_UNAVAILABLE.contains(&code);
    }
    code.parse::<i32>().is_ok_and(|code| SQLITE_UNAVAILABLE.contains(&(code & 0xff)))
}

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
            } else if is_unavailable(&code) {
                unavailable(error)
            } else {
                StoreError::Sql { source: Box::new(error) }
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::BeginFailed
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => unavailable(error),
        _ => StoreError::Sql { source: Box::new(error) },
    }
}

/// What a health check tells of `error`: no address and no path.
pub(crate) fn problem(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { message, .. } => message.clone(),
        StoreError::DiskFull { .. } => "its disk is full".to_owned(),
        _ => "it refuses the simplest statement".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_again_later_is_told_from_what_does_not() {
        for later in ["5", "517", "6", "522", "778", "14", "08006", "57P01", "55P03", "40P01"] {
            assert!(is_unavailable(later), "{later}");
        }
        for never in ["", "1", "13", "19", "2067", "787", "42601", "23503", "22021"] {
            assert!(!is_unavailable(never), "{never}");
        }
    }
}
