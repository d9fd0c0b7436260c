//! Sessions, and the binding of external conversations to threads.

use berth_model::endpoint::{Endpoint, Membership};
use berth_model::session::{Binding, Session, ThreadStrategy};
use berth_model::thread::Thread;
use berth_model::{AddressId, BindingId, EndpointId, JsonMap, SessionId, ThreadId, WorkspaceId};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::boot::PERSONAL;
use crate::port::store::{StoreError, Tx};
use crate::threads::{NewThread, live_thread, workspace};
use crate::{Core, CoreError};

/// A provider's conversation that wants a thread.
#[derive(Debug, Clone)]
pub struct Conversation {
    pub endpoint: EndpointId,
    pub workspace: Option<WorkspaceId>,
    pub provider_type: String,
    pub endpoint_type: String,
    pub display_name: String,
    pub conversation_key: String,
    pub address: Option<AddressId>,
    pub strategy: ThreadStrategy,
    pub title: String,
    /// Decides under `explicit_thread`; a hint otherwise.
    pub explicit_thread: Option<ThreadId>,
    pub metadata: JsonMap,
}

/// A conversation with its thread.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub thread: Thread,
    pub session: Session,
    pub binding: Binding,
}

impl Core {
    /// Finds or makes the thread of a conversation, with a fresh session on it. Idempotent in thread and binding.
    pub async fn resolve_conversation(&self, conversation: Conversation) -> Result<Resolved, CoreError> {
        match self.resolve_once(&conversation).await {
            // Two at once bound the same conversation; the second finds what the first made.
            Err(CoreError::Store(StoreError::Conflict { .. })) => self.resolve_once(&conversation).await,
            other => other,
        }
    }

    async fn resolve_once(&self, conversation: &Conversation) -> Result<Resolved, CoreError> {
        let mut tx = self.0.store.write().await?;
        let (thread, binding) = self.bind(&mut *tx, conversation).await?;
        let place = conversation.workspace.clone().unwrap_or_else(|| WorkspaceId::fixed(PERSONAL));
        let session = self.new_session(thread.id, Some(conversation.endpoint.clone()), place);
        tx.insert_session(&session).await?;
        tx.commit().await?;
        Ok(Resolved { thread, session, binding })
    }

    /// The thread of a conversation and its binding, inside of a transaction.
    pub(crate) async fn bind(
        &self,
        tx: &mut dyn Tx,
        conversation: &Conversation,
    ) -> Result<(Thread, Binding), CoreError> {
        let key = canonical_key(conversation)?;
        let place = conversation.workspace.clone().unwrap_or_else(|| WorkspaceId::fixed(PERSONAL));
        workspace(tx, &place).await?;
        self.ensure_endpoint(tx, conversation, &place).await?;

        let bound = tx.find_binding(&conversation.endpoint, conversation.strategy, &key).await?;
        let thread = self.thread_of(tx, conversation, bound.as_ref(), &place, &key).await?;
        let now = self.now();
        let binding = match bound {
            Some(mut binding) => {
                if binding.thread != thread.id {
                    binding.thread = thread.id;
                    binding.workspace = thread.workspace.clone();
                    binding.updated_at = now;
                    tx.update_binding(&binding).await?;
                }
                binding
            }
            None => {
                let binding = Binding {
                    id: binding_id(&conversation.endpoint, conversation.strategy, &key)?,
                    endpoint: conversation.endpoint.clone(),
                    thread: thread.id,
                    workspace: thread.workspace.clone(),
                    address: conversation.address.clone(),
                    strategy: conversation.strategy,
                    conversation_key: key.clone(),
                    display_name: conversation.display_name.clone(),
                    status: "active".to_owned(),
                    metadata: conversation.metadata.clone(),
                    created_at: now,
                    updated_at: now,
                };
                tx.insert_binding(&binding).await?;
                binding
            }
        };
        Ok((thread, binding))
    }

    async fn thread_of(
        &self,
        tx: &mut dyn Tx,
        conversation: &Conversation,
        bound: Option<&Binding>,
        place: &WorkspaceId,
        key: &str,
    ) -> Result<Thread, CoreError> {
        if conversation.strategy == ThreadStrategy::ExplicitThread {
            return explicit_thread(tx, conversation, place).await;
        }
        if let Some(binding) = bound
            && let Ok(thread) = live_thread(tx, binding.thread).await
        {
            return Ok(thread);
        }
        if let Some(id) = conversation.explicit_thread
            && let Ok(thread) = live_thread(tx, id).await
            && thread.workspace == *place
        {
            return Ok(thread);
        }
        let title =
            [&conversation.title, &conversation.display_name].into_iter().find(|text| !text.is_empty());
        let new = NewThread {
            workspace: place.clone(),
            title: title.cloned().unwrap_or_else(|| key.to_owned()),
            mode: "general".to_owned(),
        };
        let thread = self.new_thread(new, None);
        tx.insert_thread(&thread).await?;
        Ok(thread)
    }

    async fn ensure_endpoint(
        &self,
        tx: &mut dyn Tx,
        conversation: &Conversation,
        place: &WorkspaceId,
    ) -> Result<(), CoreError> {
        if tx.lookup_endpoint(&conversation.endpoint).await?.is_some() {
            return Ok(());
        }
        let inferred = conversation.endpoint.as_str().split_once('.').map_or("external", |(head, _)| head);
        let provider =
            if conversation.provider_type.is_empty() { inferred } else { &conversation.provider_type };
        if provider == "core" {
            return Err(CoreError::Forbidden {
                code: "core_endpoint_reserved",
                message: format!("{} would belong to Core", conversation.endpoint),
            });
        }
        let kind = if conversation.endpoint_type.is_empty() {
            format!("{provider}_ui")
        } else {
            conversation.endpoint_type.clone()
        };
        let now = self.now();
        tx.upsert_endpoint(&Endpoint {
            id: conversation.endpoint.clone(),
            kind,
            provider_type: provider.to_owned(),
            transport: "http".to_owned(),
            display_name: conversation.display_name.clone(),
            status: "active".to_owned(),
            labels: vec!["input".to_owned(), "output".to_owned()],
            priority: 100,
            metadata: JsonMap::from_iter([("source".to_owned(), json!("endpoint-session"))]),
            created_at: now,
            updated_at: now,
        })
        .await?;
        tx.upsert_membership(&Membership {
            endpoint: conversation.endpoint.clone(),
            workspace: place.clone(),
            is_primary: true,
            enabled: true,
            source: "core".to_owned(),
        })
        .await?;
        Ok(())
    }

    /// A session of an endpoint on a thread; in the thread's own workspace when none is named.
    pub async fn create_session(
        &self,
        thread: ThreadId,
        endpoint: EndpointId,
        place: Option<WorkspaceId>,
    ) -> Result<Session, CoreError> {
        let mut tx = self.0.store.write().await?;
        let thread = live_thread(&mut *tx, thread).await?;
        let place = place.unwrap_or_else(|| thread.workspace.clone());
        workspace(&mut *tx, &place).await?;
        let session = self.new_session(thread.id, Some(endpoint), place);
        tx.insert_session(&session).await?;
        tx.commit().await?;
        Ok(session)
    }

    fn new_session(&self, thread: ThreadId, endpoint: Option<EndpointId>, place: WorkspaceId) -> Session {
        let now = self.now();
        Session {
            id: SessionId::from_uuid(self.uuid()),
            thread,
            endpoint,
            workspace: place,
            status: "active".to_owned(),
            metadata: JsonMap::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Fails with `session_not_found`.
    pub async fn session(&self, id: SessionId) -> Result<Session, CoreError> {
        let session = self.0.store.read().await?.lookup_session(id).await?;
        session.ok_or_else(|| CoreError::NotFound { kind: "session", id: id.to_string() })
    }

    /// Fails with `session_not_found` or `workspace_not_found`.
    pub async fn switch_workspace(&self, id: SessionId, place: WorkspaceId) -> Result<Session, CoreError> {
        let mut tx = self.0.store.write().await?;
        let session = tx.lookup_session(id).await?;
        let mut session =
            session.ok_or_else(|| CoreError::NotFound { kind: "session", id: id.to_string() })?;
        workspace(&mut *tx, &place).await?;
        session.workspace = place;
        session.updated_at = self.now();
        tx.update_session(&session).await?;
        tx.commit().await?;
        Ok(session)
    }
}

async fn explicit_thread(
    tx: &mut dyn Tx,
    conversation: &Conversation,
    place: &WorkspaceId,
) -> Result<Thread, CoreError> {
    let missing = CoreError::Invalid {
        code: "explicit_thread_id_required",
        message: "thread_strategy explicit_thread needs an explicit_thread_id".to_owned(),
    };
    let id = conversation.explicit_thread.ok_or(missing)?;
    let thread = tx
        .lookup_thread(id)
        .await?
        .ok_or_else(|| CoreError::NotFound { kind: "explicit_thread", id: id.to_string() })?;
    if thread.status == berth_model::thread::ThreadStatus::Deleted {
        let message = format!("{id} was deleted");
        return Err(CoreError::Invalid { code: "explicit_thread_deleted", message });
    }
    if thread.workspace != *place {
        let message = format!("{id} belongs to workspace {}", thread.workspace);
        return Err(CoreError::Invalid { code: "explicit_thread_workspace_mismatch", message });
    }
    Ok(thread)
}

fn canonical_key(conversation: &Conversation) -> Result<String, CoreError> {
    let missing = || CoreError::Invalid {
        code: "conversation_key_required",
        message: format!("thread_strategy {} needs a conversation_key", conversation.strategy),
    };
    let key = Some(conversation.conversation_key.trim()).filter(|key| !key.is_empty());
    let text = match conversation.strategy {
        ThreadStrategy::PerConversation => format!("conversation:{}", key.ok_or_else(missing)?),
        ThreadStrategy::PerAddress => {
            let address = conversation.address.as_ref().map(AddressId::as_str);
            format!("address:{}", address.or(key).ok_or_else(missing)?)
        }
        ThreadStrategy::SharedEndpoint => format!("endpoint:{}", conversation.endpoint),
        ThreadStrategy::ExplicitThread => {
            format!("thread:{}", conversation.explicit_thread.map(|id| id.to_string()).unwrap_or_default())
        }
    };
    if text.chars().count() > 512 || text.contains('\0') {
        let message = "conversation_key must have at most 500 characters, and no NUL".to_owned();
        return Err(CoreError::Invalid { code: "invalid_request", message });
    }
    Ok(text)
}

fn binding_id(endpoint: &EndpointId, strategy: ThreadStrategy, key: &str) -> Result<BindingId, CoreError> {
    let digest = hex::encode(Sha256::digest(format!("{endpoint}\n{strategy}\n{key}")));
    BindingId::new(format!("etb.{}", &digest[..32]))
        .map_err(|error| CoreError::Invalid { code: "invalid_request", message: error.to_string() })
}
