//! Operations: a tool call from its wish to its end, whoever asked and whoever runs it.

pub mod approvals;
mod teller;

use std::sync::Arc;
use std::time::Duration;

use berth_model::event::EventType;
use berth_model::operation::{Operation, OperationStatus};
use berth_model::run::Run;
use berth_model::tool::{Blame, ExecutionTarget, Risk, ToolFailure, ToolOutcome};
use berth_model::{
    ActorId, CallId, EndpointId, OperationId, RunId, SessionId, ThreadId, Timestamp, WorkspaceId,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::boot::OWNER;
use crate::core::{lock, object};
use crate::gate::{self, Consent, Verdict};
use crate::port::endpoint_link::EndpointCall;
use crate::port::store::Tx;
use crate::port::target::{self, Progress, ToolCall};
use crate::redact::redacted;
use crate::router::{Route, Wanted, endpoint_of};
use crate::threads::live_thread;
use crate::{Core, CoreError, builtin, locale};
use approvals::capability::MOST_PARKINGS;
use teller::Teller;

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
    /// The language of who waits; that of the thread or of the host when `None`.
    pub locale: Option<String>,
    /// To be told what would be done, while nothing is: see [`Core::operate`].
    pub dry_run: bool,
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
            locale: None,
            dry_run: false,
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
    /// A dry run of a plugin's tool tells the plugin so and is denied every use that changes something; it needs no
    /// confirmation. Core and endpoints know no dry run: what has effects there is refused with `dry_run_unsupported`.
    /// The call goes on when the caller stops to wait; `ask.cancel` ends it. A call on behalf of a run that is at work
    /// here is told among the run's events.
    pub async fn operate(&self, ask: Ask) -> Result<Finished, CoreError> {
        let core = self.clone();
        let run = ask.run.and_then(|id| lock(&self.0.running).get(&id).map(|working| working.run.clone()));
        let work = self.0.tasks.spawn(async move {
            let cancel = ask.cancel.clone();
            let mut work = std::pin::pin!(core.operate_in(ask, run.as_deref()));
            tokio::select! {
                biased;
                finished = &mut work => return finished,
                // A host that stops does not wait for a call that goes on.
                () = core.0.kill.cancelled() => cancel.cancel(),
            }
            work.await
        });
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
                    return self.finish(operation, route.tool.risk, Err(failure), run).await;
                }
            }
            Verdict::Pass => {}
        }
        self.carry_out(&ask, &route, operation, run).await
    }

    /// Runs a call that the gate let pass, again from the start after each answer that it had to wait for.
    async fn carry_out(
        &self,
        ask: &Ask,
        route: &Route,
        mut operation: Operation,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Finished, CoreError> {
        let risk = route.tool.risk;
        let _call = self.keep_call(ask, &operation);
        for _ in 0..MOST_PARKINGS {
            self.dispatch(ask, route, &mut operation, run).await?;
            let outcome = self.execute(ask, route, &operation, run).await;
            if self.is_left_waiting(operation.id).await? {
                self.stops()?;
            }
            let parked = outcome.as_ref().err().and_then(target::parked_by);
            let Some(approval) = parked else { return self.finish(operation, risk, outcome, run).await };
            if let Err(failure) = self.wait_parked(ask, &mut operation, approval, run).await? {
                return self.finish(operation, risk, Err(failure), run).await;
            }
            // Once more from the start: what the guest did before it asked is not kept.
        }
        let message = format!("{} asked for more than {MOST_PARKINGS} approvals", operation.tool);
        let failure = ToolFailure::new("approval_too_many", message, Blame::Guest);
        self.finish(operation, risk, Err(failure), run).await
    }

    /// Has what is kept of a call at hand, should its guest ask for an approval; until the call is over.
    fn keep_call(&self, ask: &Ask, operation: &Operation) -> KeptCall<'_> {
        if let Some(call) = ask.kept(operation) {
            lock(&self.0.calls).insert(operation.id, call);
        }
        KeptCall { core: self, operation: operation.id }
    }

    async fn prepare(&self, ask: &Ask) -> Result<(Route, Operation, Verdict), CoreError> {
        let (place, actor_known) = self.0.store.caller(&ask.workspace, &ask.actor).await?;
        let place =
            place.ok_or_else(|| CoreError::NotFound { kind: "workspace", id: ask.workspace.to_string() })?;
        let wanted = Wanted {
            tool: ask.tool.clone(),
            target: ask.target.clone(),
            origin: ask.origin.clone(),
            endpoints_only: ask.endpoints_only,
            consented: ask.consent != Consent::None,
        };
        let route = match self.own_route(&place, &wanted) {
            Some(own) => own,
            None => self.route(&mut *self.0.store.read().await?, &place, &wanted).await?,
        };
        let is_plugin = matches!(route.tool.target, ExecutionTarget::Plugin(_));
        if ask.dry_run && !is_plugin && route.tool.risk.has_effects() {
            let message = format!("{} changes something and knows no dry run", route.tool.name);
            return Err(ToolFailure::new("dry_run_unsupported", message, Blame::Caller).into());
        }
        let verdict = gate::decide(&gate::Request {
            actor_known,
            workspace: &place,
            tool: &route.tool,
            consent: if ask.dry_run { Consent::Given } else { ask.consent },
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
            routing: routing_of(ask, route),
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
        if let Some(run) = run {
            let mut tx = self.0.store.write().await?;
            if known {
                tx.update_operation(operation).await?;
            } else {
                tx.insert_operation(operation).await?;
            }
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
            let mut payload = facts(operation);
            payload.insert("risk".to_owned(), json!(route.tool.risk.as_str()));
            events.push(self.event(&run, EventType::ToolCallDispatched, payload));
            tx.append_events(&events).await?;
            tx.commit().await?;
            self.0.bus.committed();
        } else if known {
            self.0.store.update_operation(operation).await?;
        } else {
            self.0.store.insert_operation(operation).await?;
        }
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
        let progress = Arc::new(Teller::new(self.clone(), teller, operation.clone(), ask.listener.clone()));
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
            locale: ask.locale.clone().unwrap_or_else(|| self.0.config.locale.clone()),
            dry_run: ask.dry_run,
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
        risk: Risk,
        outcome: Result<ToolOutcome, ToolFailure>,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<Finished, CoreError> {
        operation.finished_at = Some(self.now());
        let kind = match &outcome {
            Ok(outcome) => {
                operation.receipt = outcome.receipt.clone();
                operation.result = redacted(&outcome.content);
                if outcome.is_error {
                    operation.status = OperationStatus::Failed;
                    operation.error = json!({
                        "code": "tool_reported_error", "message": summary(&operation.result), "retryable": false,
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
                operation.receipt = failure.receipt.as_deref().cloned().unwrap_or(Value::Null);
                EventType::ToolCallFailed
            }
        };
        // Nothing else changes with a call that no run, endpoint or question is part of.
        let is_alone = run.is_none()
            && operation.target_endpoint.is_none()
            && operation.approval.is_none()
            && !self.has_asked(operation.id);
        let is_first_end = if is_alone {
            self.0.store.update_operation(&operation).await?
        } else {
            self.store_end(&mut operation, risk, kind, run).await?
        };
        if !is_first_end {
            tracing::warn!(operation.id = %operation.id, "an operation had ended already; the late end is only logged");
        }
        self.0.operations.tell_end(&operation);
        Ok(Finished { operation, outcome })
    }

    /// Stores how a call ended with all that changes with it; false when it had ended already.
    async fn store_end(
        &self,
        operation: &mut Operation,
        risk: Risk,
        kind: EventType,
        run: Option<&tokio::sync::Mutex<Run>>,
    ) -> Result<bool, CoreError> {
        let mut tx = self.0.store.write().await?;
        self.forget_questions(&mut *tx, operation).await?;
        let is_first_end = tx.update_operation(operation).await?;
        if let Some(run) = run.filter(|_| is_first_end) {
            let run = run.lock().await;
            let mut payload = facts(operation);
            payload.extend(object([
                ("risk", json!(risk.as_str())),
                ("status", json!(operation.status.as_str())),
                ("result_summary", json!(summary(&operation.result))),
                ("error", operation.error.clone()),
                ("duration_ms", json!(ended(operation).since(begun(operation)).as_millis() as u64)),
            ]));
            tx.append_events(&[self.event(&run, kind, payload)]).await?;
        }
        if is_first_end {
            self.note_routing(&mut *tx, operation).await?;
        }
        tx.commit().await?;
        self.0.bus.committed();
        Ok(is_first_end)
    }

    /// What the router learns from a call at an endpoint: nothing from one that it never got or that we stopped.
    async fn note_routing(&self, tx: &mut dyn Tx, operation: &Operation) -> Result<(), CoreError> {
        let Some(id) = &operation.target_endpoint else { return Ok(()) };
        if operation.status == OperationStatus::Rejected || operation.error["code"] == "tool_call_cancelled" {
            return Ok(());
        }
        let Some(mut endpoint) = tx.lookup_endpoint(id).await? else { return Ok(()) };
        let mut stats = endpoint.metadata.get("routing_stats").cloned().unwrap_or_else(|| json!({}));
        let good = operation.status == OperationStatus::Succeeded;
        let (count, time) =
            if good { ("success_count", "last_success_at") } else { ("failure_count", "last_failure_at") };
        stats[count] = json!(stats[count].as_u64().unwrap_or(0) + 1);
        stats[time] = json!(self.now().to_string());
        if good {
            let latest = self.now().since(begun(operation)).as_secs_f64() * 1000.0;
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
    /// Its language, where it has one.
    pub async fn check_thread(&self, id: ThreadId) -> Result<Option<String>, CoreError> {
        let thread = live_thread(&mut *self.0.store.read().await?, id).await?;
        Ok(locale::of(&thread.metadata))
    }

    /// The language of the people who wait where nothing else says it; may be empty.
    pub fn locale(&self) -> &str {
        &self.0.config.locale
    }
}

/// Why the target was chosen, and whether the call is a dry run.
fn routing_of(ask: &Ask, route: &Route) -> Value {
    let mut routing = route.decision.clone();
    if let (true, Some(routing)) = (ask.dry_run, routing.as_object_mut()) {
        routing.insert("dry_run".to_owned(), json!(true));
    }
    routing
}

/// See [`Core::keep_call`].
struct KeptCall<'a> {
    core: &'a Core,
    operation: OperationId,
}

impl Drop for KeptCall<'_> {
    fn drop(&mut self) {
        lock(&self.core.0.calls).remove(&self.operation);
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
    let mut payload = facts(operation);
    payload.extend(object([
        ("risk", json!(route.tool.risk.as_str())),
        ("arguments_redacted", operation.arguments.clone()),
        ("actor_id", json!(ask.actor.as_str())),
    ]));
    payload
}

/// What every event about a call tells.
pub(crate) fn facts(operation: &Operation) -> berth_model::JsonMap {
    object([
        ("call_id", json!(operation.call.to_string())),
        ("operation_id", json!(operation.id.to_string())),
        ("tool_key", json!(told_key(operation))),
        ("tool_id", json!(operation.tool.as_str())),
        ("target", json!(operation.target_id)),
    ])
}

/// The provider's own name of an endpoint's tool, which clients know; the model's name of any other.
pub(crate) fn told_key(operation: &Operation) -> &str {
    if operation.target_endpoint.is_some() { operation.tool_key.as_str() } else { operation.tool.as_str() }
}

/// When the call went out; a wait for an approval is before that.
fn begun(operation: &Operation) -> Timestamp {
    operation.started_at.unwrap_or(operation.created_at)
}

fn ended(operation: &Operation) -> Timestamp {
    operation.finished_at.unwrap_or_else(|| begun(operation))
}

/// The stored and public form of a failure.
pub(crate) fn failure_value(failure: &ToolFailure) -> Value {
    json!({
        "code": failure.code, "message": failure.message, "retryable": failure.retryable,
        "blame": failure.blame.as_str(), "details": redacted(&failure.details),
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
