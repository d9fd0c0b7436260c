//! Threads and workspaces.

use berth_model::thread::{Deletion, Thread, ThreadStatus};
use berth_model::workspace::Workspace;
use berth_model::{JsonMap, ThreadId, WorkspaceId};

use crate::port::store::{StoreError, ThreadFilter, Tx};
use crate::{Core, CoreError};

/// A thread to be made.
#[derive(Debug, Clone)]
pub struct NewThread {
    pub workspace: WorkspaceId,
    pub title: String,
    pub mode: String,
}

/// What became of a wish to delete a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    Done { default_thread: bool },
    AlreadyDeleted { default_thread: bool },
    RefusedDefault,
    Unknown,
}

impl Core {
    /// Active ones, by id.
    pub async fn list_workspaces(&self) -> Result<Vec<Workspace>, CoreError> {
        Ok(self.0.store.read().await?.list_workspaces(false).await?)
    }

    /// Fails with `workspace_not_found`.
    pub async fn create_thread(&self, new: NewThread) -> Result<Thread, CoreError> {
        let mut tx = self.0.store.write().await?;
        workspace(&mut *tx, &new.workspace).await?;
        let thread = self.new_thread(new, None);
        tx.insert_thread(&thread).await?;
        tx.commit().await?;
        Ok(thread)
    }

    /// The thread of a workspace and key, made when there is none. Two at once get the same one.
    pub async fn default_thread(&self, new: NewThread, default_key: &str) -> Result<Thread, CoreError> {
        if default_key.is_empty() || default_key.chars().count() > 255 {
            let message = "default_key must have 1 to 255 characters".to_owned();
            return Err(CoreError::Invalid { code: "invalid_request", message });
        }
        let mut tx = self.0.store.write().await?;
        workspace(&mut *tx, &new.workspace).await?;
        if let Some(thread) = tx.find_default_thread(&new.workspace, default_key).await? {
            return Ok(thread);
        }
        let thread = self.new_thread(new, Some(default_key.to_owned()));
        match tx.insert_thread(&thread).await {
            Ok(()) => {
                tx.commit().await?;
                Ok(thread)
            }
            Err(StoreError::Conflict { .. }) => {
                drop(tx);
                let mut tx = self.0.store.read().await?;
                let found = tx.find_default_thread(&thread.workspace, default_key).await?;
                found.ok_or(CoreError::Conflict {
                    code: "thread_changed",
                    message: "the default thread was changed at the same time: try again".to_owned(),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn new_thread(&self, new: NewThread, default_key: Option<String>) -> Thread {
        let now = self.now();
        Thread {
            id: ThreadId::from_uuid(self.uuid()),
            workspace: new.workspace,
            title: new.title.chars().take(255).collect(),
            status: ThreadStatus::Active,
            summary: String::new(),
            mode: new.mode,
            default_key,
            metadata: JsonMap::new(),
            created_at: now,
            updated_at: now,
        }
    }

    /// Fails with `thread_not_found`, also when it was deleted.
    pub async fn thread(&self, id: ThreadId) -> Result<Thread, CoreError> {
        let mut tx = self.0.store.read().await?;
        live_thread(&mut *tx, id).await
    }

    /// Threads that are not deleted, last updated first.
    pub async fn list_threads(&self, filter: ThreadFilter) -> Result<Vec<Thread>, CoreError> {
        Ok(self.0.store.read().await?.list_threads(&filter).await?)
    }

    /// Marks a thread as deleted; nothing is removed.
    pub async fn delete_thread(&self, id: ThreadId, force: bool) -> Result<Deleted, CoreError> {
        let mut tx = self.0.store.write().await?;
        let Some(thread) = tx.lookup_thread(id).await? else {
            return Ok(Deleted::Unknown);
        };
        let default_thread = thread.default_key.is_some();
        match thread.decide_deletion(force) {
            Deletion::AlreadyDeleted => Ok(Deleted::AlreadyDeleted { default_thread }),
            Deletion::RefusedDefault => Ok(Deleted::RefusedDefault),
            Deletion::Deleted => {
                tx.set_thread_status(id, ThreadStatus::Deleted, self.now()).await?;
                tx.commit().await?;
                Ok(Deleted::Done { default_thread })
            }
        }
    }
}

/// The workspace, or `workspace_not_found`.
pub(crate) async fn workspace(tx: &mut dyn Tx, id: &WorkspaceId) -> Result<Workspace, CoreError> {
    tx.lookup_workspace(id)
        .await?
        .ok_or_else(|| CoreError::NotFound { kind: "workspace", id: id.to_string() })
}

/// The thread unless it was deleted, or `thread_not_found`.
pub(crate) async fn live_thread(tx: &mut dyn Tx, id: ThreadId) -> Result<Thread, CoreError> {
    tx.lookup_thread(id)
        .await?
        .filter(|thread| thread.status != ThreadStatus::Deleted)
        .ok_or_else(|| CoreError::NotFound { kind: "thread", id: id.to_string() })
}
