//! A run: one durable execution. Its row is the queue.

use crate::{
    ActorId, EndpointId, JsonMap, MessageId, RunId, SessionId, ThreadId, Timestamp, WorkspaceId, word_enum,
};

word_enum!(
    /// What started a run.
    pub enum Trigger {
        UserMessage = "user_message",
        ScheduledJob = "scheduled_job",
        SystemHeartbeat = "system_heartbeat",
        Webhook = "webhook",
        Manual = "manual",
        Retry = "retry",
        /// An operation that a client asked for directly.
        Operation = "operation",
    }
);

word_enum!(
    /// Where a run stands. The last three are final.
    pub enum RunStatus {
        Queued = "queued",
        Running = "running",
        WaitingForApproval = "waiting_for_approval",
        WaitingForEndpoint = "waiting_for_endpoint",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }
);

impl RunStatus {
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Whether a run may go from here to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use RunStatus::{
            Cancelled, Failed, Queued, Running, Succeeded, WaitingForApproval, WaitingForEndpoint,
        };
        match (self, next) {
            (Queued, Running | Cancelled | Failed) => true,
            // Back to the queue: a restart found that no tool with effects had started.
            (Running, Queued | WaitingForApproval | WaitingForEndpoint | Succeeded | Failed | Cancelled) => {
                true
            }
            (WaitingForApproval | WaitingForEndpoint, Running | Queued | Failed | Cancelled) => true,
            _ => false,
        }
    }
}

/// Why a run ended without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// A stable word, such as `core_restarted` or `run_limit_reached`.
    pub code: String,
    pub message: String,
    pub retryable: bool,
}

/// The ceilings of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunLimits {
    pub rounds: u32,
    pub tool_calls: u32,
    pub wall: std::time::Duration,
}

impl Default for RunLimits {
    /// 40 rounds, 200 tool calls, 15 minutes.
    fn default() -> Self {
        Self { rounds: 40, tool_calls: 200, wall: std::time::Duration::from_secs(15 * 60) }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: RunId,
    pub workspace: WorkspaceId,
    pub thread: Option<ThreadId>,
    pub session: Option<SessionId>,
    pub trigger: Trigger,
    pub actor: ActorId,
    pub origin_endpoint: Option<EndpointId>,
    pub status: RunStatus,
    /// The message that started it.
    pub input_message: Option<MessageId>,
    /// The final assistant message.
    pub output_message: Option<MessageId>,
    pub failure: Option<RunFailure>,
    /// True from the moment before the first tool call with effects goes out; such a run is never resumed by itself.
    pub effects_started: bool,
    /// How often a start took it up.
    pub attempt: u32,
    /// Facts for clients: turn and stream id, model, finish reason, usage.
    pub metadata: JsonMap,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::RunStatus::{self, *};

    #[test]
    fn a_final_run_stays_as_it_ended() {
        for last in [Succeeded, Failed, Cancelled] {
            for next in RunStatus::ALL {
                assert!(!last.may_become(*next), "{last} -> {next}");
            }
        }
    }

    #[test]
    fn every_open_state_can_fail_and_be_cancelled() {
        for open in [Queued, Running, WaitingForApproval, WaitingForEndpoint] {
            assert!(open.may_become(Failed) && open.may_become(Cancelled), "{open}");
        }
    }
}
