//! Operations: a tool call from its wish to its end, whoever asked and whoever runs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use berth_model::approval::{Approval, ApprovalStatus};
use berth_model::event::{EventType, NewEvent};
use berth_model::operation::{Operation, OperationStatus};
use berth_model::run::{Run, RunStatus};
use berth_model::tool::{Blame, ExecutionTarget, ToolFailure, ToolOutcome};
use berth_model::{
    ActorId, ApprovalId, CallId, EndpointId, OperationId, RunId, SessionId, ThreadId, WorkspaceId,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::boot::OWNER;
use crate::core::{lock, object};
use crate::gate::{self, Consent, Verdict};
use crate::port::endpoint_link::EndpointCall;
use crate::port::store::Tx;
use crate::port::target::{Progress, ToolCall};
use crate::redact::redacted;
use crate::router::{Route, Wanted, endpoint_of};
use crate::threads::{live_thread, workspace};
use crate::{Core, CoreError, builtin};

/// The shortest time between two told steps of progress of one call, in microseconds.
const PROGRESS_GAP_US: i64 = 100_000;
/// What a summary of a result shows, in characters.
const SUMMARY_CHARS: usize = 200;

/// A tool call that somebody wants.
#[derive(Clone)]
pub struct Ask {
    pub tool: String,
    /// An endpoint, `core.local`, `plugin.<id>` or `provider:<type>`; the router decides when `None`.
    pub target: Option<String>,
    pub arguments: Value,
    pub workspace: WorkspaceId,
    pub thread: Option<ThreadId>,
    pub session: Option<SessionId>,
    pub run: Option<RunId>,
    pub actor: ActorId,
    pub origin: Option<EndpointId>,
    pub consent: Consent,
    pub endpoints_only: bool,
    pub kind: String,
    pub title: String,
    /// Not longer than the tool's own limit.
    pub timeout: Option<Duration>,
    pub cancel: CancellationToken,
    /// Hears the progress besides the run's listeners.
    pub listener: Option<Arc<dyn Progress>>,
}

impl Ask {
    /// A call of the owner, on nobody's behalf.
    pub fn of_owner(tool: impl Into<String>, arguments: Value, workspace: WorkspaceId) -> Self {
        Self {
            tool: tool.into(),
            target: None,
            arguments,
            workspace,
            thread: None,
            session: None,
            run: None,
            actor: ActorId::fixed(OWNER),
            origin: None,
            consent: Consent::Given,
            endpoints_only: false,
            kind: "tool_call".to_owned(),
            title: String::new(),
            timeout: None,
            cancel: CancellationToken::new(),
            listener: None,
        }
    }
}

/// A finished call.
#[derive(Debug, Clone)]
pub struct Finished {
    pub operation: Operation,
    pub outcome: Result<ToolOutcome, ToolFailure>,
}

impl Core {
    /// Routes a call, passes it through the gate, runs it and waits for its end.
    ///
    /// Fails before there is an operation when nobody can run it or the gate refuses; from then on the failure is
    /// part of the finished operation.
    /// The call goes on when the caller stops to wait; `ask.cancel` ends it.
    pub async fn operate(&self, ask: Ask) -> Result<Finished, CoreError> {
        let core = self.clone();
        let work = self.0.tasks.spawn(async move { core.operate_in(ask, None).await });
        work.await.unwrap_or_else(|_| {
            Err(CoreError::Busy {
                code: "call_lost",
                message: "the call broke off inside the host".to_owned(),
            })
        })
    }

    /// The same for a call of `run`, whose row changes with it.
    pub(crate) async fn operate_in(
        &self,
        ask: Ask,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Finished, CoreError> {
        if !ask.arguments.is_object() {
            let failure =
                ToolFailure::new("tool_arguments_invalid", "arguments must be a JSON object", Blame::Caller);
            return Err(failure.into());
        }
        let (route, mut operation, verdict) = self.prepare(&ask).await?;
        match verdict {
            Verdict::Refuse(failure) => return Err(failure.into()),
            Verdict::Ask => {
                if let Err(failure) = self.ask_and_wait(&ask, &route, &mut operation, run).await? {
                    return self.finish(operation, Err(failure), run).await;
                }
            }
            Verdict::Pass => {}
        }
        self.dispatch(&ask, &route, &mut operation, run).await?;
        let outcome = self.execute(&ask, &route, &operation, run).await;
        self.finish(operation, outcome, run).await
    }

    async fn prepare(&self, ask: &Ask) -> Result<(Route, Operation, Verdict), CoreError> {
        let mut tx = self.0.store.read().await?;
        let place = workspace(&mut *tx, &ask.workspace).await?;
        let wanted = Wanted {
            tool: ask.tool.clone(),
            target: ask.target.clone(),
            origin: ask.origin.clone(),
            endpoints_only: ask.endpoints_only,
            consented: ask.consent == Consent::Given,
        };
        let route = self.route(&mut *tx, &place, &wanted).await?;
        let verdict = gate::decide(&gate::Request {
            actor_known: tx.actor_exists(&ask.actor).await?,
            workspace: &place,
            tool: &route.tool,
            consent: ask.consent,
            read_only: false,
        });
        let operation = self.new_operation(ask, &route);
        Ok((route, operation, verdict))
    }

    fn new_operation(&self, ask: &Ask, route: &Route) -> Operation {
        let tool = &route.tool;
        Operation {
            id: OperationId::from_uuid(self.uuid()),
            call: CallId::from_uuid(self.uuid()),
            kind: ask.kind.clone(),
            title: if ask.title.is_empty() { format!("Tool: {}", tool.name) } else { ask.title.clone() },
            thread: ask.thread,
            workspace: ask.workspace.clone(),
            run: ask.run,
            session: ask.session,
            actor: ask.actor.clone(),
            tool: tool.name.clone(),
            tool_key: tool.key.clone(),
            target_kind: tool.target.kind().to_owned(),
            target_id: tool.target.id(),
            target_endpoint: endpoint_of(tool),
            approval: None,
            status: OperationStatus::Queued,
            arguments: redacted(&ask.arguments),
            result: Value::Null,
            error: Value::Null,
            receipt: Value::Null,
            routing: route.decision.clone(),
            created_at: self.now(),
            started_at: None,
            finished_at: None,
        }
    }

    /// Stores that the call goes out, before it does.
    async fn dispatch(
        &self,
        ask: &Ask,
        route: &Route,
        operation: &mut Operation,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<(), CoreError> {
        let known = operation.status != OperationStatus::Queued;
        operation.status = OperationStatus::Running;
        operation.started_at = Some(self.now());
        let mut tx = self.0.store.write().await?;
        if known {
            tx.update_operation(operation).await?;
        } else {
            tx.insert_operation(operation).await?;
        }
        if let Some(run) = run {
            let mut run = run.lock().await;
            if route.tool.risk.has_effects() && !run.effects_started {
                run.effects_started = true;
                tx.update_run(&run).await?;
            }
            let mut events = Vec::with_capacity(2);
            if !known {
                events.push(self.event(
                    &run,
                    EventType::ToolCallCreated,
                    created_payload(ask, route, operation),
                ));
            }
            let payload = object([
                ("call_id", json!(operation.call.to_string())),
                ("operation_id", json!(operation.id.to_string())),
                ("tool_key", json!(operation.tool.as_str())),
                ("target", json!(operation.target_id)),
            ]);
            events.push(self.event(&run, EventType::ToolCallDispatched, payload));
            tx.append_events(&events).await?;
        }
        tx.commit().await?;
        self.0.bus.committed();
        self.0.operations.tell(operation, "dispatched", "");
        Ok(())
    }

    async fn execute(
        &self,
        ask: &Ask,
        route: &Route,
        operation: &Operation,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<ToolOutcome, ToolFailure> {
        let teller = match run {
            Some(run) => Some(self.event(&*run.lock().await, EventType::ToolCallProgress, object([]))),
            None => None,
        };
        let progress = Arc::new(Teller {
            core: self.clone(),
            event: teller,
            operation: operation.clone(),
            last: AtomicI64::new(i64::MIN),
            listener: ask.listener.clone(),
        });
        let timeout = ask.timeout.map_or(route.tool.timeout, |limit| limit.min(route.tool.timeout));
        let call = ToolCall {
            id: operation.call,
            operation: operation.id,
            run: ask.run,
            thread: ask.thread,
            session: ask.session,
            workspace: ask.workspace.clone(),
            actor: ask.actor.clone(),
            tool: operation.tool.clone(),
            key: operation.tool_key.clone(),
            arguments: ask.arguments.clone(),
            timeout,
            idempotency_key: operation.id.to_string(),
            cancel: ask.cancel.clone(),
            progress: progress.clone(),
        };
        let work = async {
            match &route.tool.target {
                ExecutionTarget::CoreLocal => tokio::time::timeout(timeout, builtin::call(self, &call))
                    .await
                    .unwrap_or_else(|_| Err(timed_out(operation, timeout))),
                ExecutionTarget::Plugin(plugin) => self.0.plugins.call(plugin, call.clone()).await,
                ExecutionTarget::Endpoint(endpoint) => {
                    let capability =
                        route.capability.as_ref().map(|c| c.capability_id.clone()).unwrap_or_default();
                    let outcome = self.0.endpoints.call(EndpointCall {
                        endpoint: endpoint.clone(),
                        operation: operation.id,
                        call: operation.call,
                        run: ask.run,
                        workspace: ask.workspace.clone(),
                        actor: ask.actor.clone(),
                        tool_key: operation.tool_key.clone(),
                        capability_id: capability,
                        arguments: ask.arguments.clone(),
                        risk: route.tool.risk,
                        timeout,
                        cancel: ask.cancel.clone(),
                        progress: progress.clone(),
                    });
                    outcome.await.map(ToolOutcome::ok)
                }
            }
        };
        tokio::select! {
            outcome = work => outcome,
            // The targets hear of it by the same token; one that does not answer is left behind.
            () = cancelled_and_overdue(&ask.cancel) => {
                Err(ToolFailure::new("tool_call_cancelled", "the call was stopped", Blame::Caller))
            }
        }
    }

    async fn finish(
        &self,
        mut operation: Operation,
        outcome: Result<ToolOutcome, ToolFailure>,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Finished, CoreError> {
        let now = self.now();
        operation.finished_at = Some(now);
        let kind = match &outcome {
            Ok(outcome) => {
                operation.receipt = outcome.receipt.clone();
                operation.result = redacted(&outcome.content);
                if outcome.is_error {
                    operation.status = OperationStatus::Failed;
                    operation.error = json!({
                        "code": "tool_reported_error", "message": summary(&outcome.content), "retryable": false,
                    });
                    EventType::ToolCallFailed
                } else {
                    operation.status = OperationStatus::Succeeded;
                    EventType::ToolCallCompleted
                }
            }
            Err(failure) => {
                operation.status = match failure.code.as_str() {
                    "tool_call_cancelled" | "endpoint_tool_cancelled" | "PLUGIN_CANCELLED" => {
                        OperationStatus::Cancelled
                    }
                    "approval_rejected" | "approval_expired" => OperationStatus::Rejected,
                    _ => OperationStatus::Failed,
                };
                operation.error = failure_value(failure);
                EventType::ToolCallFailed
            }
        };
        let mut tx = self.0.store.write().await?;
        if !tx.update_operation(&operation).await? {
            tracing::warn!(operation.id = %operation.id, "an operation had ended already; the late end is only logged");
        }
        if let Some(run) = run {
            let run = run.lock().await;
            let payload = object([
                ("call_id", json!(operation.call.to_string())),
                ("operation_id", json!(operation.id.to_string())),
                ("tool_key", json!(operation.tool.as_str())),
                ("target", json!(operation.target_id)),
                ("status", json!(operation.status.as_str())),
                ("result_summary", json!(summary(&operation.result))),
                ("error", operation.error.clone()),
                ("duration_ms", json!(now.since(operation.created_at).as_millis() as u64)),
            ]);
            tx.append_events(&[self.event(&run, kind, payload)]).await?;
        }
        self.note_routing(&mut *tx, &operation).await?;
        tx.commit().await?;
        self.0.bus.committed();
        self.0.operations.tell_end(&operation);
        Ok(Finished { operation, outcome })
    }

    /// What the router learns from a call at an endpoint.
    async fn note_routing(&self, tx: &mut dyn Tx, operation: &Operation) -> Result<(), CoreError> {
        let Some(id) = &operation.target_endpoint else { return Ok(()) };
        let Some(mut endpoint) = tx.lookup_endpoint(id).await? else { return Ok(()) };
        let mut stats = endpoint.metadata.get("routing_stats").cloned().unwrap_or_else(|| json!({}));
        let good = operation.status == OperationStatus::Succeeded;
        let (count, time) =
            if good { ("success_count", "last_success_at") } else { ("failure_count", "last_failure_at") };
        stats[count] = json!(stats[count].as_u64().unwrap_or(0) + 1);
        stats[time] = json!(self.now().to_string());
        if good {
            let latest = self.now().since(operation.created_at).as_secs_f64() * 1000.0;
            let average = stats["average_latency_ms"].as_f64().map_or(latest, |old| 0.8 * old + 0.2 * latest);
            stats["average_latency_ms"] = json!((average * 1000.0).round() / 1000.0);
            stats["last_latency_ms"] = json!((latest * 1000.0).round() / 1000.0);
        }
        endpoint.metadata.insert("routing_stats".to_owned(), stats);
        tx.upsert_endpoint(&endpoint).await?;
        Ok(())
    }

    /// Fails with `operation_not_found`.
    pub async fn operation(&self, id: OperationId) -> Result<Operation, CoreError> {
        let operation = self.0.store.read().await?.lookup_operation(id).await?;
        operation.ok_or_else(|| CoreError::NotFound { kind: "operation", id: id.to_string() })
    }

    /// Fails with `thread_not_found` when the thread of a direct operation is none.
    pub async fn check_thread(&self, id: ThreadId) -> Result<(), CoreError> {
        live_thread(&mut *self.0.store.read().await?, id).await.map(|_| ())
    }

    /// Stores the question, waits for the answer; `Err` inside is the no.
    async fn ask_and_wait(
        &self,
        ask: &Ask,
        route: &Route,
        operation: &mut Operation,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Result<(), ToolFailure>, CoreError> {
        let now = self.now();
        let approval = Approval {
            id: ApprovalId::from_uuid(self.uuid()),
            operation: operation.id,
            kind: "tool_call".to_owned(),
            risk: route.tool.risk.as_str().to_owned(),
            prompt: format!(
                "Run {} at {} with {}?",
                operation.tool,
                operation.target_id,
                summary(&operation.arguments)
            ),
            status: ApprovalStatus::Pending,
            reason: String::new(),
            decided_by: None,
            expires_at: now.plus(self.0.config.approval_wait),
            created_at: now,
            decided_at: None,
        };
        operation.status = OperationStatus::WaitingApproval;
        operation.approval = Some(approval.id);
        let (answer, mut answered) = watch::channel(false);
        lock(&self.0.waiting).insert(approval.id, answer);
        let _forget = Forget { core: self, id: approval.id };

        let mut tx = self.0.store.write().await?;
        tx.insert_operation(operation).await?;
        tx.insert_approval(&approval).await?;
        if let Some(run) = run {
            let mut run = run.lock().await;
            run.status = RunStatus::WaitingForApproval;
            tx.update_run(&run).await?;
            let mut payload = created_payload(ask, route, operation);
            let created = self.event(&run, EventType::ToolCallCreated, payload.clone());
            payload.insert("approval_id".to_owned(), json!(approval.id.to_string()));
            payload.insert("prompt".to_owned(), json!(approval.prompt));
            payload.insert("expires_at".to_owned(), json!(approval.expires_at.to_string()));
            let required = self.event(&run, EventType::ApprovalRequired, payload);
            tx.append_events(&[created, required]).await?;
        }
        tx.commit().await?;
        self.0.bus.committed();
        self.0.operations.tell(operation, "waiting_approval", "");

        tokio::select! {
            _ = answered.wait_for(|answered| *answered) => {}
            () = ask.cancel.cancelled() => {}
            () = tokio::time::sleep(self.0.config.approval_wait) => {}
        }
        let decision = self.settle_approval(approval.id, ask.cancel.is_cancelled(), run).await?;
        let refuse = |code: &str, message: String| {
            let details = json!({ "approval_id": approval.id.to_string() });
            Ok(Err(ToolFailure::new(code, message, Blame::Operator).with_details(details)))
        };
        match decision.status {
            ApprovalStatus::Approved => Ok(Ok(())),
            ApprovalStatus::Rejected if decision.reason.is_empty() => {
                refuse("approval_rejected", format!("{} was not approved", operation.tool))
            }
            ApprovalStatus::Rejected => refuse(
                "approval_rejected",
                format!("{} was not approved: {}", operation.tool, decision.reason),
            ),
            _ if ask.cancel.is_cancelled() => {
                refuse("tool_call_cancelled", "the call was stopped".to_owned())
            }
            _ => refuse("approval_expired", format!("nobody approved {} in time", operation.tool)),
        }
    }

    /// Expires the approval when it is still open, and lets its run go on.
    async fn settle_approval(
        &self,
        id: ApprovalId,
        cancelled: bool,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Approval, CoreError> {
        let mut tx = self.0.store.write().await?;
        let mut approval = known_approval(&mut *tx, id).await?;
        if approval.status == ApprovalStatus::Pending {
            approval.status = ApprovalStatus::Expired;
            approval.reason =
                if cancelled { "the call was stopped" } else { "nobody answered in time" }.to_owned();
            approval.decided_at = Some(self.now());
            tx.decide_approval(&approval).await?;
        }
        if let Some(run) = run {
            let mut run = run.lock().await;
            run.status = RunStatus::Running;
            tx.update_run(&run).await?;
            let payload = object([
                ("approval_id", json!(id.to_string())),
                ("approval_status", json!(approval.status.as_str())),
                ("reason", json!(approval.reason)),
            ]);
            tx.append_events(&[self.event(&run, EventType::ApprovalResolved, payload)]).await?;
        }
        tx.commit().await?;
        self.0.bus.committed();
        Ok(approval)
    }

    /// Oldest first; of any status when `None`.
    pub async fn list_approvals(&self, status: Option<ApprovalStatus>) -> Result<Vec<Approval>, CoreError> {
        Ok(self.0.store.read().await?.list_approvals(status).await?)
    }

    /// Answers an approval. Fails with `approval_not_found`, or `approval_decided` when it has an answer already.
    pub async fn decide_approval(
        &self,
        id: ApprovalId,
        approve: bool,
        reason: String,
    ) -> Result<(Approval, Operation), CoreError> {
        let mut tx = self.0.store.write().await?;
        let mut approval = known_approval(&mut *tx, id).await?;
        approval.status = if approve { ApprovalStatus::Approved } else { ApprovalStatus::Rejected };
        approval.reason = reason.chars().take(1000).collect();
        approval.decided_by = Some(ActorId::fixed(OWNER));
        approval.decided_at = Some(self.now());
        if !tx.decide_approval(&approval).await? {
            let known = known_approval(&mut *tx, id).await?;
            let message = format!("{id} is already {}", known.status);
            return Err(CoreError::Conflict { code: "approval_decided", message });
        }
        let operation = tx.lookup_operation(approval.operation).await?;
        let operation = operation
            .ok_or_else(|| CoreError::NotFound { kind: "operation", id: approval.operation.to_string() })?;
        tx.commit().await?;
        if let Some(waiter) = lock(&self.0.waiting).get(&id) {
            waiter.send_replace(true);
        }
        Ok((approval, operation))
    }
}

async fn known_approval(tx: &mut dyn Tx, id: ApprovalId) -> Result<Approval, CoreError> {
    tx.lookup_approval(id).await?.ok_or_else(|| CoreError::NotFound { kind: "approval", id: id.to_string() })
}

/// Removes a waiter when its call is over, however that ends.
struct Forget<'a> {
    core: &'a Core,
    id: ApprovalId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.core.0.waiting).remove(&self.id);
    }
}

/// Ends two seconds after a cancel: a target has that long to say how it ended.
async fn cancelled_and_overdue(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
}

fn timed_out(operation: &Operation, timeout: Duration) -> ToolFailure {
    let message = format!("{} did not end within {} s", operation.tool, timeout.as_secs_f32());
    ToolFailure::new("tool_timeout", message, Blame::Host).retryable()
}

fn created_payload(ask: &Ask, route: &Route, operation: &Operation) -> berth_model::JsonMap {
    object([
        ("call_id", json!(operation.call.to_string())),
        ("operation_id", json!(operation.id.to_string())),
        ("tool_key", json!(operation.tool.as_str())),
        ("target", json!(operation.target_id)),
        ("risk", json!(route.tool.risk.as_str())),
        ("arguments_redacted", operation.arguments.clone()),
        ("actor_id", json!(ask.actor.as_str())),
    ])
}

/// The stored and public form of a failure.
pub(crate) fn failure_value(failure: &ToolFailure) -> Value {
    json!({
        "code": failure.code, "message": failure.message, "retryable": failure.retryable,
        "blame": failure.blame.as_str(), "details": failure.details,
    })
}

fn summary(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let said = ["summary", "message"].into_iter().find_map(|key| value.get(key)?.as_str());
    let text = said.map_or_else(|| value.to_string(), str::to_owned);
    let mut short: String = text.chars().take(SUMMARY_CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Tells the listeners of a run how far a call is.
struct Teller {
    core: Core,
    /// What the told events are made from; `None` outside of a run.
    event: Option<NewEvent>,
    operation: Operation,
    last: AtomicI64,
    listener: Option<Arc<dyn Progress>>,
}

impl Teller {
    fn tell(&self, phase: &str, fraction: Option<f32>, detail: &str) {
        let detail = detail.chars().take(500).collect::<String>();
        self.core.0.operations.tell(&self.operation, phase, &detail);
        if let Some(event) = &self.event {
            let mut event = event.clone();
            event.id = berth_model::EventId::from_uuid(self.core.uuid());
            event.created_at = self.core.now();
            event.payload = object([
                ("call_id", json!(self.operation.call.to_string())),
                ("tool_key", json!(self.operation.tool.as_str())),
                ("phase", json!(phase)),
                ("fraction", json!(fraction)),
                ("detail", json!(detail)),
            ]);
            self.core.0.bus.transient(event);
        }
    }
}

#[async_trait]
impl Progress for Teller {
    fn accepted(&self) {
        self.tell("accepted", None, "");
        if let Some(listener) = &self.listener {
            listener.accepted();
        }
    }

    fn report(&self, fraction: Option<f32>, message: &str) {
        let now = self.core.now().as_micros();
        let last = self.last.load(Ordering::Relaxed);
        if now.saturating_sub(last) < PROGRESS_GAP_US {
            return;
        }
        self.last.store(now, Ordering::Relaxed);
        self.tell("running", fraction, message);
        if let Some(listener) = &self.listener {
            listener.report(fraction, message);
        }
    }

    async fn partial(&self, bytes: Vec<u8>) {
        self.tell("partial", None, &String::from_utf8_lossy(&bytes));
        if let Some(listener) = &self.listener {
            listener.partial(bytes).await;
        }
    }
}
