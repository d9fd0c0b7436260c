//! Databases that a story reaches behind the host's back.

use sqlx::{AnyConnection, Connection, Executor};

/// Runs a statement on the database at `url`.
pub async fn execute(url: &str, statement: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

/// A database of its own on the server that the test command started.
pub struct PostgresDatabase {
    admin: String,
    name: String,
}

impl PostgresDatabase {
    /// `None` where the tests run without a server.
    pub async fn create() -> Option<Self> {
        let admin = std::env::var("BERTH_TEST_POSTGRES_URL").ok()?;
        let name = format!("berth_life_{}", std::process::id());
        execute(&admin, &format!("CREATE DATABASE {name}")).await;
        Some(Self { admin, name })
    }

    pub fn url(&self) -> String {
        format!("{}/{}", self.admin.rsplit_once('/').unwrap().0, self.name)
    }

    pub async fn remove(self) {
        execute(&self.admin, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}
