//! Messages.

use async_trait::async_trait;
use berth_core::port::store::{MessageRepo, StoreError};
use berth_model::message::{Message, Role};
use berth_model::{EndpointId, MessageId, ThreadId};
use sqlx::any::AnyRow;

use crate::row::{Row, object_text};
use crate::sql::{SqlTx, execute, insert_or_conflict, lookup, select, sql};

const COLUMNS: &str = "message_id, thread_id, session_id, run_id, workspace_id, role, channel, content, status, \
                       origin_endpoint, endpoint_message_id, metadata, created_at";

fn read(row: &AnyRow) -> Result<Message, StoreError> {
    let row = Row::new("message", row);
    let origin = row.text("origin_endpoint")?;
    Ok(Message {
        id: row.parsed("message_id")?,
        thread: row.parsed("thread_id")?,
        session: row.maybe_parsed("session_id")?,
        run: row.maybe_parsed("run_id")?,
        workspace: row.parsed("workspace_id")?,
        role: row.parsed("role")?,
        channel: row.text("channel")?,
        content: row.text("content")?,
        status: row.parsed("status")?,
        origin_endpoint: if origin.is_empty() { None } else { Some(row.parsed("origin_endpoint")?) },
        endpoint_message_id: row.maybe_text("endpoint_message_id")?,
        metadata: row.object("metadata")?,
        created_at: row.time("created_at")?,
    })
}

fn origin(endpoint: Option<&EndpointId>) -> String {
    endpoint.map(ToString::to_string).unwrap_or_default()
}

#[async_trait]
impl MessageRepo for SqlTx {
    async fn insert_message(&mut self, message: &Message) -> Result<(), StoreError> {
        insert_or_conflict!(
            self,
            "message_idempotency",
            "INSERT INTO message (message_id, thread_id, position, session_id, run_id, workspace_id, role, channel, \
             content, status, origin_endpoint, endpoint_message_id, metadata, created_at) VALUES ($1, $2, \
             (SELECT COALESCE(MAX(position), 0) + 1 FROM message WHERE thread_id = $2), \
             $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (thread_id, origin_endpoint, role, endpoint_message_id) \
             WHERE endpoint_message_id IS NOT NULL DO NOTHING",
            message.id.to_string(),
            message.thread.to_string(),
            message.session.map(|id| id.to_string()),
            message.run.map(|id| id.to_string()),
            message.workspace.to_string(),
            message.role.as_str(),
            message.channel.clone(),
            message.content.clone(),
            message.status.as_str(),
            origin(message.origin_endpoint.as_ref()),
            message.endpoint_message_id.clone(),
            object_text(&message.metadata),
            message.created_at.as_micros(),
        )
    }

    async fn lookup_message(&mut self, id: MessageId) -> Result<Option<Message>, StoreError> {
        lookup!(self, read, sql!("SELECT ", COLUMNS, " FROM message WHERE message_id = $1"), id.to_string())
    }

    async fn find_message(
        &mut self,
        thread: ThreadId,
        endpoint: Option<&EndpointId>,
        role: Role,
        endpoint_message_id: &str,
    ) -> Result<Option<Message>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM message WHERE thread_id = $1 AND origin_endpoint = $2 AND role = $3 AND endpoint_message_id = $4"
        );
        let id = endpoint_message_id.to_owned();
        lookup!(self, read, sql, thread.to_string(), origin(endpoint), role.as_str(), id)
    }

    async fn list_messages(
        &mut self,
        thread: ThreadId,
        limit: Option<u32>,
    ) -> Result<Vec<Message>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM message WHERE thread_id = $1 ORDER BY position DESC, created_at DESC, message_id LIMIT $2"
        );
        let limit = limit.map_or(i64::MAX, i64::from);
        let mut messages = select!(self, read, sql, thread.to_string(), limit)?;
        messages.reverse();
        Ok(messages)
    }
}
