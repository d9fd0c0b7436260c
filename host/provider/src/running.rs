//! The calls of one connection: who may start, who waits, and that each ends once.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use berth_proto::sealed;
use berth_proto::tool::ToolRequest;
use futures::FutureExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::call::{CallContext, CallError};
use crate::capability::Concurrency;
use crate::credentials::Token;
use crate::operations::{Operations, Work, conflict};
use crate::provider::{Limits, Shared};
use crate::tools::{Tool, Tools};
use crate::wire::{self, Outcome, ReplyTo};
use crate::writer::{Behind, Outbox, Progress};

/// How long calls that were cut off may take to notice, at the end of a connection.
const CUT_OFF_WITHIN: Duration = Duration::from_secs(2);

/// Calls that may wait for the end of an operation beside the one that does it.
const MAX_FOLLOWERS: usize = 32;

/// Calls that run or wait, by call id.
pub(crate) struct Calls<'a> {
    tools: &'a Tools,
    limits: &'a Limits,
    /// Opens sensitive arguments.
    secret: &'a Token,
    operations: &'a mut Operations,
    outbox: Outbox,
    live: HashMap<String, Live>,
    tasks: JoinSet<Ended>,
    /// A place for each call that runs.
    slots: Arc<Semaphore>,
    /// No new calls: the provider is about to stop.
    closed: bool,
}

struct Live {
    task: tokio::task::Id,
    to: ReplyTo,
    operation_id: String,
    work: Work,
    cancel: CancellationToken,
    /// Calls that came for the same operation meanwhile, and get the same end.
    followers: Vec<ReplyTo>,
}

/// A call whose task is over.
pub(crate) struct Ended {
    call_id: String,
    outcome: Outcome,
}

impl<'a> Calls<'a> {
    pub fn new(shared: &'a Shared, operations: &'a mut Operations, outbox: Outbox) -> Self {
        let Shared { tools, limits, secret, .. } = shared;
        let slots = Arc::new(Semaphore::new(limits.max_running));
        let (live, tasks) = (HashMap::new(), JoinSet::new());
        Self { tools, limits, secret, operations, outbox, live, tasks, slots, closed: false }
    }

    pub fn active(&self) -> usize {
        self.live.len()
    }

    /// Takes a call, or ends it at once with the reason why not.
    pub fn request(&mut self, mut request: ToolRequest, to: ReplyTo) -> Result<(), Behind> {
        // Without its two names a call could not be answered; MeetYou's providers drop it as well.
        if request.call_id.is_empty() || request.tool_key.is_empty() {
            tracing::warn!(call.id = %request.call_id, tool = %request.tool_key, "a call without name was dropped");
            return Ok(());
        }
        if self.follower_or_live(&to.call_id) {
            tracing::warn!(call.id = %request.call_id, "a call that is already here came again");
            return Ok(());
        }
        if let Some(sealed) = &request.encrypted_arguments {
            match sealed::open(self.secret.expose(), sealed) {
                Ok(opened) => request.arguments = opened,
                Err(error) => {
                    return self.end(&to, Err(CallError::new(error.code(), error.to_string())));
                }
            }
        }
        let work = self.operations.work(&request.tool_key, &request.arguments);
        if !request.operation_id.is_empty() {
            if let Some(outcome) = self.operations.lookup(&request.operation_id, work) {
                tracing::info!(operation.id = %request.operation_id, "a finished operation is told again");
                return self.end(&to, outcome);
            }
            let mut running = self.live.values_mut();
            if let Some(first) = running.find(|live| live.operation_id == request.operation_id) {
                if first.work != work {
                    return self.end(&to, Err(conflict(&request.operation_id)));
                }
                if first.followers.len() == MAX_FOLLOWERS {
                    let message = format!("{MAX_FOLLOWERS} calls wait for this operation already");
                    return self.end(&to, Err(CallError::new("busy", message).retryable()));
                }
                first.followers.push(to.clone());
                return self.outbox.text(wire::accepted(&to));
            }
        }
        match self.admit(&request) {
            Ok(tool) => self.start(tool, request, to, work),
            Err(error) => self.end(&to, Err(error)),
        }
    }

    fn admit(&self, request: &ToolRequest) -> Result<Arc<Tool>, CallError> {
        let tool = self.tools.get(&request.tool_key)?;
        if self.closed {
            return Err(CallError::new("provider_stopping", "this provider is about to stop").retryable());
        }
        let limit = self.limits.max_running + self.limits.max_waiting;
        if self.live.len() >= limit {
            let message = format!("{limit} calls run or wait already");
            return Err(CallError::new("busy", message).retryable());
        }
        Ok(Arc::clone(tool))
    }

    fn start(
        &mut self,
        tool: Arc<Tool>,
        request: ToolRequest,
        to: ReplyTo,
        work: Work,
    ) -> Result<(), Behind> {
        self.outbox.text(wire::accepted(&to))?;
        let cancel = CancellationToken::new();
        let context = CallContext {
            call_id: request.call_id.clone(),
            operation_id: request.operation_id.clone(),
            tool_key: request.tool_key,
            workspace_id: request.workspace_id,
            actor_id: request.audit_context.requested_by_actor_id,
            run_id: request.audit_context.requested_by_run_id,
            arguments: request.arguments,
            timeout: Duration::from_secs(request.timeout_seconds).min(self.limits.max_timeout),
            sealed: request.encrypted_arguments.is_some(),
            cancel: cancel.clone(),
            progress: Progress::new(self.outbox.clone(), to.clone(), cancel.clone()),
        };
        let slots = Arc::clone(&self.slots);
        let call_id = request.call_id.clone();
        let task = self.tasks.spawn(async move {
            let cancel = context.cancel.clone();
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(CallError::cancelled()),
                outcome = run(tool, slots, context) => outcome,
            };
            // Whatever the call left behind on other threads shall stop, and reports nothing any more.
            cancel.cancel();
            Ended { call_id, outcome }
        });
        let (operation_id, followers) = (request.operation_id, Vec::new());
        let live = Live { task: task.id(), to, operation_id, work, cancel, followers };
        self.live.insert(request.call_id, live);
        Ok(())
    }

    /// Cuts a call off; one that is not here is over already.
    pub fn cancel(&mut self, call_id: &str) -> Result<(), Behind> {
        if let Some(live) = self.live.get(call_id) {
            live.cancel.cancel();
            return Ok(());
        }
        for live in self.live.values_mut() {
            if let Some(place) = live.followers.iter().position(|to| to.call_id == call_id) {
                let to = live.followers.swap_remove(place);
                return self.end(&to, Err(CallError::cancelled()));
            }
        }
        Ok(())
    }

    /// The next call whose task is over; waits for ever while there is none. Cancel-safe.
    pub async fn ended(&mut self) -> Ended {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(ended)) => return ended,
                // Nothing aborts a task; one that panics outside of its handler dropped something that did.
                Some(Err(error)) => {
                    tracing::error!(%error, "a call broke down");
                    let lost = self.live.iter().find(|(_, live)| live.task == error.id());
                    if let Some((call_id, _)) = lost {
                        return Ended { call_id: call_id.clone(), outcome: Err(broke_down()) };
                    }
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Answers a call that is over, and all that follow it.
    pub fn finish(&mut self, ended: Ended) -> Result<(), Behind> {
        let Some(live) = self.live.remove(&ended.call_id) else { return Ok(()) };
        self.operations.remember(&live.operation_id, live.work, &ended.outcome);
        for to in &live.followers {
            self.end(to, ended.outcome.clone())?;
        }
        self.end(&live.to, ended.outcome)
    }

    /// Takes no calls from here on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    pub fn cancel_all(&mut self) {
        for live in self.live.values() {
            live.cancel.cancel();
        }
    }

    /// Cuts everything off without an answer: the connection is gone. What became of it is remembered.
    pub async fn abandon(mut self) {
        self.cancel_all();
        let noticed = timeout(CUT_OFF_WITHIN, async {
            while let Some(ended) = self.tasks.join_next().await {
                let Ok(Ended { call_id, outcome }) = ended else { continue };
                if let Some(live) = self.live.remove(&call_id) {
                    self.operations.remember(&live.operation_id, live.work, &outcome);
                }
            }
        });
        if noticed.await.is_err() {
            tracing::warn!(calls = self.live.len(), "some calls do not let themselves be cut off");
        }
    }

    fn end(&self, to: &ReplyTo, outcome: Outcome) -> Result<(), Behind> {
        if let Err(error) = &outcome {
            tracing::info!(call.id = %to.call_id, code = error.code, "a call failed");
            // The message may repeat an argument.
            tracing::debug!(call.id = %to.call_id, "{error}");
        }
        self.outbox.text(wire::end(to, outcome))
    }

    fn follower_or_live(&self, call_id: &str) -> bool {
        let follows = |live: &Live| live.followers.iter().any(|to| to.call_id == call_id);
        self.live.contains_key(call_id) || self.live.values().any(follows)
    }
}

/// Waits for the tool's turn, then for a place, so that a queue before one tool never takes a place from another.
async fn run(tool: Arc<Tool>, slots: Arc<Semaphore>, context: CallContext) -> Outcome {
    let closed = |_| CallError::cancelled();
    let _turn = match tool.capability.concurrency {
        Concurrency::Serial => Some(Arc::clone(&tool.turn).acquire_owned().await.map_err(closed)?),
        Concurrency::Parallel => None,
    };
    let _slot = slots.acquire_owned().await.map_err(closed)?;
    context.progress("running", "the call has started");
    let limit = context.timeout;
    let work = AssertUnwindSafe(async { tool.handler.call(context).await }).catch_unwind();
    match timeout(limit, work).await {
        Ok(Ok(Ok(Value::Object(result)))) => Ok(result),
        Ok(Ok(Ok(_))) => {
            let tool = &tool.capability.tool_key;
            tracing::error!(tool, "a handler answered with something that is no object");
            Err(CallError::new("tool_execution_failed", "the tool gave no usable answer"))
        }
        Ok(Ok(Err(error))) => Err(error),
        Ok(Err(_)) => Err(broke_down()),
        Err(_) => {
            let message = format!("the call did not end within {} s", limit.as_secs());
            Err(CallError::new("operation_timeout", message).retryable())
        }
    }
}

fn broke_down() -> CallError {
    CallError::new("tool_execution_failed", "the tool broke down")
}
