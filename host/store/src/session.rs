//! Sessions and bindings.

use async_trait::async_trait;
use berth_core::port::store::{SessionRepo, StoreError};
use berth_model::session::{Binding, Session, ThreadStrategy};
use berth_model::{AddressId, EndpointId, SessionId, ThreadId};
use sqlx::any::AnyRow;

use crate::row::{Row, object_text};
use crate::sql::{SqlTx, execute, insert_or_conflict, lookup, select, sql, update};

const SESSION: &str =
    "session_id, thread_id, endpoint_id, workspace_id, status, metadata, created_at, updated_at";
const BINDING: &str = "binding_id, endpoint_id, thread_id, workspace_id, address_id, strategy, conversation_key, \
                       display_name, status, metadata, created_at, updated_at";

fn read_session(row: &AnyRow) -> Result<Session, StoreError> {
    let row = Row::new("session", row);
    Ok(Session {
        id: row.parsed("session_id")?,
        thread: row.parsed("thread_id")?,
        endpoint: row.maybe_parsed("endpoint_id")?,
        workspace: row.parsed("workspace_id")?,
        status: row.text("status")?,
        metadata: row.object("metadata")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_binding(row: &AnyRow) -> Result<Binding, StoreError> {
    let row = Row::new("binding", row);
    Ok(Binding {
        id: row.parsed("binding_id")?,
        endpoint: row.parsed("endpoint_id")?,
        thread: row.parsed("thread_id")?,
        workspace: row.parsed("workspace_id")?,
        address: row.maybe_parsed("address_id")?,
        strategy: row.parsed("strategy")?,
        conversation_key: row.text("conversation_key")?,
        display_name: row.text("display_name")?,
        status: row.text("status")?,
        metadata: row.object("metadata")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_thread_id(row: &AnyRow) -> Result<ThreadId, StoreError> {
    Row::new("binding", row).parsed("thread_id")
}

#[async_trait]
impl SessionRepo for SqlTx {
    async fn insert_session(&mut self, session: &Session) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO session (session_id, thread_id, endpoint_id, workspace_id, status, metadata, created_at, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            session.id.to_string(),
            session.thread.to_string(),
            session.endpoint.as_ref().map(ToString::to_string),
            session.workspace.to_string(),
            session.status.clone(),
            object_text(&session.metadata),
            session.created_at.as_micros(),
            session.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn update_session(&mut self, session: &Session) -> Result<(), StoreError> {
        update!(
            self,
            "session"."session_id" = session.id,
            "UPDATE session SET workspace_id = $2, status = $3, metadata = $4, updated_at = $5 WHERE session_id = $1",
            session.workspace.to_string(),
            session.status.clone(),
            object_text(&session.metadata),
            session.updated_at.as_micros(),
        )
    }

    async fn lookup_session(&mut self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let sql = sql!("SELECT ", SESSION, " FROM session WHERE session_id = $1");
        lookup!(self, read_session, sql, id.to_string())
    }

    async fn insert_binding(&mut self, binding: &Binding) -> Result<(), StoreError> {
        insert_or_conflict!(
            self,
            "binding_conversation",
            "INSERT INTO binding (binding_id, endpoint_id, thread_id, workspace_id, address_id, strategy, \
             conversation_key, display_name, status, metadata, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT DO NOTHING",
            binding.id.to_string(),
            binding.endpoint.to_string(),
            binding.thread.to_string(),
            binding.workspace.to_string(),
            binding.address.as_ref().map(ToString::to_string),
            binding.strategy.as_str(),
            binding.conversation_key.clone(),
            binding.display_name.clone(),
            binding.status.clone(),
            object_text(&binding.metadata),
            binding.created_at.as_micros(),
            binding.updated_at.as_micros(),
        )
    }

    async fn update_binding(&mut self, binding: &Binding) -> Result<(), StoreError> {
        update!(
            self,
            "binding"."binding_id" = binding.id,
            "UPDATE binding SET thread_id = $2, workspace_id = $3, address_id = $4, display_name = $5, status = $6, \
             metadata = $7, updated_at = $8 WHERE binding_id = $1",
            binding.thread.to_string(),
            binding.workspace.to_string(),
            binding.address.as_ref().map(ToString::to_string),
            binding.display_name.clone(),
            binding.status.clone(),
            object_text(&binding.metadata),
            binding.updated_at.as_micros(),
        )
    }

    async fn find_binding(
        &mut self,
        endpoint: &EndpointId,
        strategy: ThreadStrategy,
        conversation_key: &str,
    ) -> Result<Option<Binding>, StoreError> {
        let sql = sql!(
            "SELECT ",
            BINDING,
            " FROM binding WHERE endpoint_id = $1 AND strategy = $2 AND conversation_key = $3"
        );
        lookup!(self, read_binding, sql, endpoint.to_string(), strategy.as_str(), conversation_key.to_owned())
    }

    async fn threads_of_address(&mut self, address: &AddressId) -> Result<Vec<ThreadId>, StoreError> {
        let sql = sql!("SELECT DISTINCT thread_id FROM binding WHERE address_id = $1 ORDER BY thread_id");
        select!(self, read_thread_id, sql, address.to_string())
    }
}
