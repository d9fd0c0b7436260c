//! Sealed secrets.

use async_trait::async_trait;
use berth_core::port::store::{SecretRepo, StoreError};
use berth_model::secret::{SecretKey, SecretRow};
use sqlx::any::AnyRow;

use crate::row::{Row, list_text};
use crate::sql::{SqlTx, execute, lookup, select, sql};

const SECRET: &str = "owner, name, workspace_id, plugins, sealed, recipient, version, created_at, updated_at";

fn read_secret(row: &AnyRow) -> Result<SecretRow, StoreError> {
    let row = Row::new("secret", row);
    Ok(SecretRow {
        key: SecretKey {
            owner: row.text("owner")?,
            name: row.text("name")?,
            workspace: row.text("workspace_id")?,
        },
        plugins: row.list("plugins")?,
        sealed: row.text("sealed")?,
        recipient: row.text("recipient")?,
        version: row.number("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

#[async_trait]
impl SecretRepo for SqlTx {
    async fn put_secret(&mut self, secret: &SecretRow) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO secret (owner, name, workspace_id, plugins, sealed, recipient, version, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (owner, name, workspace_id) \
             DO UPDATE SET plugins = excluded.plugins, sealed = excluded.sealed, \
             recipient = excluded.recipient, version = secret.version + 1, updated_at = excluded.updated_at",
            secret.key.owner.clone(),
            secret.key.name.clone(),
            secret.key.workspace.clone(),
            list_text(&secret.plugins),
            secret.sealed.clone(),
            secret.recipient.clone(),
            secret.version,
            secret.created_at.as_micros(),
            secret.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn reseal_secret(&mut self, secret: &SecretRow) -> Result<bool, StoreError> {
        let changed = execute!(
            self,
            "UPDATE secret SET sealed = $5, recipient = $6 \
             WHERE owner = $1 AND name = $2 AND workspace_id = $3 AND version = $4",
            secret.key.owner.clone(),
            secret.key.name.clone(),
            secret.key.workspace.clone(),
            secret.version,
            secret.sealed.clone(),
            secret.recipient.clone(),
        )?;
        Ok(changed > 0)
    }

    async fn lookup_secret(&mut self, key: &SecretKey) -> Result<Option<SecretRow>, StoreError> {
        lookup!(
            self,
            read_secret,
            sql!("SELECT ", SECRET, " FROM secret WHERE owner = $1 AND name = $2 AND workspace_id = $3"),
            key.owner.clone(),
            key.name.clone(),
            key.workspace.clone(),
        )
    }

    async fn list_secrets(&mut self, name: Option<&str>) -> Result<Vec<SecretRow>, StoreError> {
        let sql = sql!(
            "SELECT ",
            SECRET,
            " FROM secret WHERE $1 = '' OR name = $1 ORDER BY owner, name, workspace_id"
        );
        select!(self, read_secret, sql, name.unwrap_or_default().to_owned())
    }

    async fn remove_secret(&mut self, key: &SecretKey) -> Result<bool, StoreError> {
        let removed = execute!(
            self,
            "DELETE FROM secret WHERE owner = $1 AND name = $2 AND workspace_id = $3",
            key.owner.clone(),
            key.name.clone(),
            key.workspace.clone(),
        )?;
        Ok(removed > 0)
    }
}
