//! Run events: what a run did, append-only.

use crate::{EventId, JsonMap, RunId, SessionId, ThreadId, Timestamp, WorkspaceId, word_enum};

word_enum!(
    /// What a run event tells.
    pub enum EventType {
        RunCreated = "run.created",
        RunStarted = "run.started",
        RunResumed = "run.resumed",
        RunCompleted = "run.completed",
        RunFailed = "run.failed",
        RunCancelled = "run.cancelled",
        MessageCreated = "message.created",
        MessageDelta = "message.delta",
        MessageCompleted = "message.completed",
        ReasoningDelta = "reasoning.delta",
        ModelStarted = "model.started",
        ModelCompleted = "model.completed",
        ToolCallCreated = "tool.call.created",
        ToolCallDispatched = "tool.call.dispatched",
        ToolCallProgress = "tool.call.progress",
        ToolCallCompleted = "tool.call.completed",
        ToolCallFailed = "tool.call.failed",
        ApprovalRequired = "approval.required",
        ApprovalResolved = "approval.resolved",
    }
);

impl EventType {
    /// Whether events of this type are stored. The others are only told to who listens now.
    pub const fn is_durable(self) -> bool {
        !matches!(
            self,
            Self::MessageCreated | Self::MessageDelta | Self::ReasoningDelta | Self::ToolCallProgress
        )
    }
}

/// An event about to be appended: the store gives it its place.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    pub id: EventId,
    pub run: RunId,
    pub thread: Option<ThreadId>,
    pub session: Option<SessionId>,
    pub workspace: WorkspaceId,
    pub kind: EventType,
    pub payload: JsonMap,
    pub created_at: Timestamp,
}

/// A stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEvent {
    /// Core-wide, strictly growing; a reader resumes behind it. Readers never see a cursor appear behind one that
    /// they have already seen.
    pub cursor: i64,
    /// 1, 2, 3 … within the run.
    pub seq: i64,
    pub event: NewEvent,
}

/// What a listener hears: a stored event, or one that is told once and not kept.
#[derive(Debug, Clone, PartialEq)]
pub enum LiveEvent {
    Stored(RunEvent),
    Transient(NewEvent),
}

impl LiveEvent {
    pub fn event(&self) -> &NewEvent {
        match self {
            Self::Stored(stored) => &stored.event,
            Self::Transient(event) => event,
        }
    }

    pub fn cursor(&self) -> Option<i64> {
        match self {
            Self::Stored(stored) => Some(stored.cursor),
            Self::Transient(_) => None,
        }
    }
}
