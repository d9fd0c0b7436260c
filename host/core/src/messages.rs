//! A message comes in: its row and its run's row are one transaction, so what was accepted is never lost.

use berth_model::event::EventType;
use berth_model::message::{Message, MessageStatus, Role};
use berth_model::run::{Run, RunStatus, Trigger};
use berth_model::{
    ActorId, AddressId, EndpointId, JsonMap, MessageId, RunId, SessionId, ThreadId, WorkspaceId,
};
use serde_json::{Value, json};

use crate::boot::OWNER;
use crate::core::object;
use crate::message_view::message_view;
use crate::port::store::{StoreError, Tx};
use crate::threads::{live_thread, workspace};
use crate::{Core, CoreError};

/// The longest content, in bytes.
const MAX_CONTENT_BYTES: usize = 512 * 1024;

/// A message on its way in.
#[derive(Debug, Clone)]
pub struct NewMessage {
    pub thread: ThreadId,
    /// The session's, else the thread's own, when `None`.
    pub workspace: Option<WorkspaceId>,
    pub session: Option<SessionId>,
    pub endpoint: Option<EndpointId>,
    pub role: Role,
    pub content: String,
    /// The sender's own id: the same one twice is stored once.
    pub endpoint_message_id: Option<String>,
    /// The caller's facts; keys that Core uses itself are dropped.
    pub metadata: JsonMap,
    /// Wishes for the model.
    pub options: JsonMap,
    /// Whether a run shall answer.
    pub reply: bool,
}

impl NewMessage {
    /// A message of a person in `thread`, which a run shall answer.
    pub fn of_user(thread: ThreadId, content: impl Into<String>) -> Self {
        Self {
            thread,
            workspace: None,
            session: None,
            endpoint: None,
            role: Role::User,
            content: content.into(),
            endpoint_message_id: None,
            metadata: JsonMap::new(),
            options: JsonMap::new(),
            reply: true,
        }
    }
}

/// An accepted message.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub message: Message,
    /// The run that answers it.
    pub run: Option<RunId>,
    /// True when it had been accepted before.
    pub replay: bool,
}

/// Where a message comes from, when not from the owner.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// On whose behalf its run is; the owner's when `None`.
    pub actor: Option<ActorId>,
    /// The address that the answer is delivered to.
    pub reply_to: Option<AddressId>,
}

/// Metadata that callers cannot set.
const RESERVED: [&str; 6] =
    ["thread_id", "workspace_id", "message_id", "run_id", "session_id", "endpoint_id"];

impl Core {
    /// Stores the message, queues its run and wakes a worker. Idempotent by thread, endpoint, role and the sender's id;
    /// another content under the same id is refused as `message_conflict`.
    pub async fn post_message(&self, new: NewMessage) -> Result<Accepted, CoreError> {
        match self.accept(&new).await {
            // Somebody sent the same message at the same time and was first.
            Err(CoreError::Store(StoreError::Conflict { .. })) if new.endpoint_message_id.is_some() => {
                let mut tx = self.0.store.read().await?;
                find_same(&mut *tx, &new).await?.ok_or(CoreError::Conflict {
                    code: "message_conflict",
                    message: "the message was sent twice at the same time: try again".to_owned(),
                })
            }
            other => other,
        }
    }

    async fn accept(&self, new: &NewMessage) -> Result<Accepted, CoreError> {
        let mut tx = self.0.store.write().await?;
        let (accepted, run) = self.accept_in(&mut *tx, new, &Origin::default()).await?;
        tx.commit().await?;
        if let Some(run) = &run {
            self.tell_accepted(&accepted.message, run);
        }
        Ok(accepted)
    }

    /// Stores a message and its run inside of a transaction. Once that is committed, a fresh run has to be told with
    /// [`Self::tell_accepted`].
    pub(crate) async fn accept_in(
        &self,
        tx: &mut dyn Tx,
        new: &NewMessage,
        origin: &Origin,
    ) -> Result<(Accepted, Option<Run>), CoreError> {
        check(new)?;
        let now = self.now();
        let thread = live_thread(tx, new.thread).await?;
        if let Some(same) = find_same(tx, new).await? {
            return Ok((same, None));
        }
        let session = match new.session {
            Some(id) => {
                let session = tx.lookup_session(id).await?.filter(|session| session.thread == thread.id);
                Some(session.ok_or_else(|| CoreError::NotFound { kind: "session", id: id.to_string() })?)
            }
            None => None,
        };
        let place = new
            .workspace
            .clone()
            .or_else(|| session.map(|session| session.workspace))
            .unwrap_or_else(|| thread.workspace.clone());
        workspace(tx, &place).await?;

        let wants_run = new.reply && new.role == Role::User;
        let run = wants_run.then(|| RunId::from_uuid(self.uuid()));
        let mut metadata = new.metadata.clone();
        metadata.retain(|key, _| !RESERVED.contains(&key.as_str()));
        if let Some(id) = &new.endpoint_message_id {
            metadata.insert("endpoint_message_id".to_owned(), json!(id));
        }
        let message = Message {
            id: MessageId::from_uuid(self.uuid()),
            thread: thread.id,
            session: new.session,
            run,
            workspace: place.clone(),
            role: new.role,
            channel: "message".to_owned(),
            content: new.content.clone(),
            status: MessageStatus::Completed,
            origin_endpoint: new.endpoint.clone(),
            endpoint_message_id: new.endpoint_message_id.clone(),
            metadata,
            created_at: now,
        };
        tx.insert_message(&message).await?;
        tx.touch_thread(thread.id, now).await?;
        let run = match run {
            Some(id) => {
                let run = self.queued_run(id, &message, &new.options, origin);
                tx.insert_run(&run).await?;
                let payload = object([
                    ("trigger_type", json!(run.trigger.as_str())),
                    ("message_id", json!(message.id.to_string())),
                ]);
                tx.append_events(&[self.event(&run, EventType::RunCreated, payload)]).await?;
                Some(run)
            }
            None => None,
        };
        Ok((Accepted { message, run: run.as_ref().map(|run| run.id), replay: false }, run))
    }

    /// Tells a message and its run, which are committed, and wakes a worker.
    pub(crate) fn tell_accepted(&self, message: &Message, run: &Run) {
        self.0.bus.committed();
        let payload =
            object([("thread_id", json!(message.thread.to_string())), ("message", message_view(message))]);
        self.0.bus.transient(self.event(run, EventType::MessageCreated, payload));
        self.0.queue.notify_one();
    }

    fn queued_run(&self, id: RunId, message: &Message, options: &JsonMap, origin: &Origin) -> Run {
        let mut metadata = JsonMap::new();
        if let Some(address) = &origin.reply_to {
            metadata.insert(crate::inbound::REPLY_TO.to_owned(), json!(address.as_str()));
        }
        if !options.is_empty() {
            metadata.insert("options".to_owned(), Value::Object(options.clone()));
        }
        Run {
            id,
            workspace: message.workspace.clone(),
            thread: Some(message.thread),
            session: message.session,
            trigger: Trigger::UserMessage,
            actor: origin.actor.clone().unwrap_or_else(|| ActorId::fixed(OWNER)),
            origin_endpoint: message.origin_endpoint.clone(),
            status: RunStatus::Queued,
            input_message: Some(message.id),
            output_message: None,
            failure: None,
            effects_started: false,
            attempt: 0,
            metadata,
            created_at: message.created_at,
            started_at: None,
            finished_at: None,
        }
    }

    /// Oldest first. Fails with `thread_not_found`.
    pub async fn list_messages(&self, thread: ThreadId) -> Result<Vec<Message>, CoreError> {
        let mut tx = self.0.store.read().await?;
        live_thread(&mut *tx, thread).await?;
        Ok(tx.list_messages(thread, None).await?)
    }
}

fn check(new: &NewMessage) -> Result<(), CoreError> {
    let invalid = |message: &str| CoreError::Invalid { code: "invalid_request", message: message.to_owned() };
    if new.content.trim().is_empty() {
        return Err(invalid("content is empty"));
    }
    if new.content.len() > MAX_CONTENT_BYTES {
        return Err(invalid("content is longer than 512 KiB"));
    }
    // PostgreSQL has no NUL in a text.
    if new.content.contains('\0') {
        return Err(invalid("content has a NUL character"));
    }
    if new.endpoint_message_id.as_ref().is_some_and(|id| id.chars().count() > 255 || id.contains('\0')) {
        return Err(invalid("endpoint_message_id must have at most 255 characters, and no NUL"));
    }
    Ok(())
}

async fn find_same(tx: &mut dyn Tx, new: &NewMessage) -> Result<Option<Accepted>, CoreError> {
    let Some(id) = &new.endpoint_message_id else { return Ok(None) };
    let found = tx.find_message(new.thread, new.endpoint.as_ref(), new.role, id).await?;
    match found {
        Some(message) if message.content != new.content => Err(CoreError::Conflict {
            code: "message_conflict",
            message: format!("endpoint_message_id {id} was used for another message"),
        }),
        found => Ok(found.map(|message| Accepted { run: message.run, message, replay: true })),
    }
}
