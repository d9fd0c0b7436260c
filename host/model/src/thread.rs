//! A thread: a conversation that Core owns.

use crate::{JsonMap, ThreadId, Timestamp, WorkspaceId, word_enum};

word_enum!(
    /// Whether a thread is listed, put away or gone. Rows are never removed.
    pub enum ThreadStatus {
        Active = "active",
        Archived = "archived",
        Deleted = "deleted",
    }
);

/// A thread.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    pub id: ThreadId,
    pub workspace: WorkspaceId,
    pub title: String,
    pub status: ThreadStatus,
    pub summary: String,
    /// The default mode of its turns, such as `general`.
    pub mode: String,
    /// Set for the default thread of a workspace; unique with the workspace.
    pub default_key: Option<String>,
    pub metadata: JsonMap,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Why a thread was or was not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    AlreadyDeleted,
    /// A default thread goes only by force.
    RefusedDefault,
}

impl Thread {
    /// Decides what a request to delete this thread does.
    pub fn decide_deletion(&self, force: bool) -> Deletion {
        if self.status == ThreadStatus::Deleted {
            Deletion::AlreadyDeleted
        } else if self.default_key.is_some() && !force {
            Deletion::RefusedDefault
        } else {
            Deletion::Deleted
        }
    }
}
