//! A database for each story.

use std::sync::atomic::{AtomicU64, Ordering};

use berth_store::DatabaseUrl;
use sqlx::{AnyConnection, Connection, Executor};

static DATABASES: AtomicU64 = AtomicU64::new(1);

/// Tells the story on SQLite, and on PostgreSQL where `BERTH_TEST_POSTGRES_URL` names one. Each time the database is
/// new, and gone afterwards.
pub async fn on_each_database(story: impl AsyncFn(DatabaseUrl)) {
    let folder = tempfile::tempdir().unwrap();
    story(DatabaseUrl::sqlite(folder.path().join("berth.db"))).await;
    let Ok(admin) = std::env::var("BERTH_TEST_POSTGRES_URL") else { return };
    let name = format!("berth_story_{}_{}", std::process::id(), DATABASES.fetch_add(1, Ordering::Relaxed));
    execute(&admin, &format!("CREATE DATABASE {name}")).await;
    let place = admin.rsplit_once('/').unwrap().0;
    story(format!("{place}/{name}").parse().unwrap()).await;
    execute(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

async fn execute(url: &str, statement: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}
