//! Calls that wait for a person while the host stops or is killed: the next start waits on, and runs them again from the
//! start when there is a yes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::event::EventType;
use berth_model::operation::{Operation, OperationStatus, WaitingCall};
use berth_model::run::{Run, RunFailure, RunStatus};
use berth_model::tool::{Blame, Risk, ToolFailure};
use berth_model::{ApprovalId, OperationId, RunId};
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{Ask, Finished};
use crate::core::{Working, lock, object};
use crate::gate::{Consent, Verdict};
use crate::port::store::{StoreError, Tx};
use crate::redact::redacted;
use crate::run::{close, finish, prompt};
use crate::{Core, CoreError};

/// A call that a start found waiting.
pub(crate) struct Waiting {
    operation: Operation,
    call: WaitingCall,
    approval: Approval,
}

/// What a start found waiting for a person.
#[derive(Default)]
pub(crate) struct Found {
    pub calls: Vec<Waiting>,
    /// Questions of plugins.
    pub questions: Vec<Approval>,
}

impl Found {
    /// Whether the run of a call that is kept is kept as well.
    pub fn has_run(&self, run: RunId) -> bool {
        self.calls.iter().any(|waiting| waiting.operation.run == Some(run))
    }

    pub fn has_operation(&self, operation: OperationId) -> bool {
        self.calls.iter().any(|waiting| waiting.operation.id == operation)
            || self.questions.iter().any(|question| question.operation == operation)
    }

    /// Has answers heard that come from now on.
    pub fn await_answers(&self, core: &Core) {
        for waiting in &self.calls {
            let is_answered = waiting.approval.status != ApprovalStatus::Pending;
            lock(&core.0.waiting).insert(waiting.approval.id, watch::channel(is_answered).0);
            lock(&core.0.asked).insert(waiting.operation.id, waiting.approval.id);
        }
        for question in &self.questions {
            lock(&core.0.waiting).insert(question.id, watch::channel(false).0);
        }
    }

    pub fn has_approval(&self, id: ApprovalId) -> bool {
        self.calls.iter().any(|waiting| waiting.approval.id == id)
            || self.questions.iter().any(|question| question.id == id)
    }
}

/// What of the open operations waits for a person and can go on. A call of a run can where every open call of the run
/// can: what else was under way has an end that nobody knows.
pub(crate) async fn found(tx: &mut dyn Tx, open: &[Operation]) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let mut lost: Vec<RunId> = Vec::new();
    for operation in open {
        let approval = match operation.approval {
            Some(id) => tx.lookup_approval(id).await?,
            None => None,
        };
        let waits = matches!(operation.status, OperationStatus::WaitingApproval | OperationStatus::Queued);
        let approval = approval.filter(|_| waits);
        if let Some(approval) = approval.clone().filter(|approval| approval.kind == "plugin_question") {
            found.questions.push(approval);
            continue;
        }
        let is_of_open_run = match operation.run {
            Some(run) => tx.lookup_run(run).await?.is_some_and(|run| !run.status.is_final()),
            None => true,
        };
        let call = tx.lookup_waiting_call(operation.id).await?.filter(|_| is_of_open_run);
        match (approval, call) {
            (Some(approval), Some(call)) => {
                found.calls.push(Waiting { operation: operation.clone(), call, approval });
            }
            _ => lost.extend(operation.run),
        }
    }
    found.calls.retain(|waiting| waiting.operation.run.is_none_or(|run| !lost.contains(&run)));
    Ok(found)
}

impl Ask {
    /// What would have to be kept to run the call again; `None` where its arguments must not be stored.
    pub(in crate::operations) fn kept(&self, operation: &Operation) -> Option<WaitingCall> {
        // A dry run that forgot that it is one would be a real one.
        (!self.dry_run && redacted(&self.arguments) == self.arguments).then(|| WaitingCall {
            operation: operation.id,
            tool: self.tool.clone(),
            target: self.target.clone(),
            origin: self.origin.clone(),
            is_consented: self.consent == Consent::Given,
            endpoints_only: self.endpoints_only,
            timeout: self.timeout,
        })
    }

    fn of_waiting(
        operation: &Operation,
        call: WaitingCall,
        is_agreed: bool,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            tool: call.tool,
            target: call.target,
            arguments: operation.arguments.clone(),
            workspace: operation.workspace.clone(),
            thread: operation.thread,
            session: operation.session,
            run: operation.run,
            actor: operation.actor.clone(),
            origin: call.origin,
            // Who would have to be asked now has not been.
            consent: if call.is_consented || is_agreed { Consent::Given } else { Consent::Missing },
            endpoints_only: call.endpoints_only,
            kind: operation.kind.clone(),
            title: operation.title.clone(),
            timeout: call.timeout,
            locale: None,
            dry_run: false,
            cancel,
            listener: None,
        }
    }
}

impl Core {
    /// Lets what waited for a person at the last stop wait on. Called once, when plugins and endpoints are in reach.
    pub fn go_on(&self) {
        let Found { calls, questions } = std::mem::take(&mut *lock(&self.0.found));
        for question in questions {
            let left = question.expires_at.since(self.now());
            self.watch_question(question.id, left);
        }
        let mut of_runs: BTreeMap<RunId, Vec<Waiting>> = BTreeMap::new();
        for waiting in calls {
            match waiting.operation.run {
                Some(run) => of_runs.entry(run).or_default().push(waiting),
                None => {
                    let core = self.clone();
                    self.0.tasks.spawn(async move {
                        let cancel = core.0.kill.child_token();
                        core.end_of(waiting, None, &cancel).await;
                    });
                }
            }
        }
        for (run, calls) in of_runs {
            let core = self.clone();
            let cancel = self.0.kill.child_token();
            self.0.tasks.spawn(async move {
                if let Err(error) = core.run_goes_on(run, calls, cancel).await {
                    tracing::error!(run.id = %run, %error, "a run that waited for a person broke off");
                    lock(&core.0.running).remove(&run);
                    let (code, retryable) = (error.code(), error.retryable());
                    let failure = RunFailure { code, message: error.to_string(), retryable };
                    close(&core, run, failure).await;
                }
            });
        }
    }

    /// Carries the waiting calls of a run to their end, then puts the run back into the queue.
    async fn run_goes_on(
        &self,
        id: RunId,
        calls: Vec<Waiting>,
        cancel: CancellationToken,
    ) -> Result<(), CoreError> {
        let run = Arc::new(Mutex::new(self.run(id).await?));
        lock(&self.0.running).insert(id, Working { cancel: cancel.clone(), run: run.clone() });
        let ends = calls.into_iter().map(|waiting| self.end_of(waiting, Some(&run), &cancel));
        futures::future::join_all(ends).await;
        if self.0.kill.is_cancelled() {
            // The next start finds the run where it is.
            return Ok(());
        }
        let mut run: Run = run.lock().await.clone();
        if cancel.is_cancelled() {
            finish::stop(self, &mut run, "").await?;
        } else {
            run.status = RunStatus::Queued;
            run.metadata.insert(prompt::HAS_CALLS.to_owned(), json!(true));
            let mut tx = self.0.store.write().await?;
            tx.update_run(&run).await?;
            let payload = object([("reason", json!("approval_answered")), ("attempt", json!(run.attempt))]);
            tx.append_events(&[self.event(&run, EventType::RunResumed, payload)]).await?;
            tx.commit().await?;
            self.0.bus.committed();
        }
        lock(&self.0.running).remove(&id);
        self.0.queue.notify_one();
        Ok(())
    }

    async fn end_of(&self, waiting: Waiting, run: Option<&Mutex<Run>>, cancel: &CancellationToken) {
        let id = waiting.operation.id;
        match self.settled(waiting, run, cancel).await {
            Ok(_) => {}
            Err(_) if self.0.kill.is_cancelled() => {}
            Err(error) => {
                tracing::error!(operation.id = %id, %error, "a call that waited for a person broke off")
            }
        }
    }

    /// Waits for the answer, and runs the call again from the start when it is a yes.
    async fn settled(
        &self,
        waiting: Waiting,
        run: Option<&Mutex<Run>>,
        cancel: &CancellationToken,
    ) -> Result<Finished, CoreError> {
        let Waiting { mut operation, call, approval } = waiting;
        let mut tx = self.0.store.read().await?;
        let known = tx.approvals_of_operation(operation.id).await?;
        drop(tx);
        let agreed = |known: &Approval| known.kind == "tool_call" && known.status == ApprovalStatus::Approved;
        let is_agreed = approval.kind == "tool_call" || known.iter().any(agreed);
        let ask = Ask::of_waiting(&operation, call, is_agreed, cancel.child_token());
        let risk = approval.risk.parse().unwrap_or(Risk::Destructive);
        if let Err(failure) = self.wait_parked(&ask, &mut operation, approval.id, run).await? {
            return self.finish(operation, risk, Err(failure), run).await;
        }
        // What may be called, and by whom, may have changed since.
        let (route, _, verdict) = match self.prepare(&ask).await {
            Ok(prepared) => prepared,
            Err(CoreError::Tool(failure)) => return self.finish(operation, risk, Err(failure), run).await,
            Err(error) => {
                let failure = ToolFailure::new(error.code(), error.to_string(), Blame::Host);
                return self.finish(operation, risk, Err(failure), run).await;
            }
        };
        match verdict {
            Verdict::Pass => self.carry_out(&ask, &route, operation, run).await,
            Verdict::Refuse(failure) => self.finish(operation, risk, Err(failure), run).await,
            Verdict::Ask => {
                let message = format!("{} wants a confirmation", operation.tool);
                let failure = ToolFailure::new("tool_confirmation_required", message, Blame::Caller);
                self.finish(operation, risk, Err(failure), run).await
            }
        }
    }

    /// Why a call that waits ends here and now: the host stops, and the next start waits on.
    pub(in crate::operations) fn stops(&self) -> Result<(), CoreError> {
        if !self.0.kill.is_cancelled() {
            return Ok(());
        }
        let message = "the host stops: the call waits on at its next start".to_owned();
        Err(CoreError::Busy { code: "call_lost", message })
    }

    /// Whether a call that the stop of the host has ended still waits for a person, and is to be found by the next start.
    pub(in crate::operations) async fn is_left_waiting(&self, id: OperationId) -> Result<bool, CoreError> {
        if !self.0.kill.is_cancelled() {
            return Ok(false);
        }
        let mut tx = self.0.store.read().await?;
        let is_kept = tx.lookup_waiting_call(id).await?.is_some();
        let waits = tx.lookup_operation(id).await?.is_some_and(|operation| {
            matches!(operation.status, OperationStatus::WaitingApproval | OperationStatus::Queued)
        });
        Ok(is_kept && waits)
    }

    /// Ends a question that nobody answers in time.
    pub(super) fn watch_question(&self, id: ApprovalId, left: Duration) {
        let mut answered =
            lock(&self.0.waiting).entry(id).or_insert_with(|| watch::channel(false).0).subscribe();
        let core = self.clone();
        self.0.tasks.spawn(async move {
            let is_unanswered = tokio::select! {
                _ = answered.wait_for(|answered| *answered) => false,
                () = core.0.kill.cancelled() => false,
                () = tokio::time::sleep(left) => true,
            };
            if is_unanswered && let Err(error) = core.expire_question(id).await {
                tracing::warn!(approval.id = %id, %error, "a question could not be ended");
            }
        });
    }
}
