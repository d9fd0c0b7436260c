//! Tool calls at endpoints: one socket gets the request, and only its first final word counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use berth_core::port::endpoint_link::EndpointCall;
use berth_core::port::target::Progress;
use berth_core::redact::redacted;
use berth_model::tool::{Blame, Risk, ToolFailure};
use berth_model::{CallId, EndpointId};
use berth_proto::limits::{CANCEL_GRACE, MIN_CALL_TIMEOUT};
use berth_proto::tool::{AuditContext, EncryptedArguments, ToolCancel, ToolRequest};
use berth_proto::{CoreFrame, Envelope, JsonMap, sealed};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::{Links, SocketId, failure};
use crate::outbound::{NotSent, Outbound};

/// Calls of one endpoint at the same time; providers queue behind a few of them without a bound of their own.
const MAX_CALLS_PER_ENDPOINT: usize = 64;

type End = Result<Value, ToolFailure>;

/// A call in flight.
pub(super) struct Pending {
    pub(super) socket: SocketId,
    endpoint: EndpointId,
    risk: Risk,
    accepted: bool,
    progress: Arc<dyn Progress>,
    end: oneshot::Sender<End>,
}

impl Pending {
    /// The socket is gone: what became of the call, nobody knows.
    pub(super) fn disconnected(self) {
        let message = format!("{} went away during the call", self.endpoint);
        let mut failure = failure("endpoint_disconnected", message, Blame::Provider);
        failure.retryable = self.risk == Risk::Read || !self.accepted;
        // Who waited may have left.
        let _ = self.end.send(Err(failure));
    }
}

/// What a provider says of a call.
pub(crate) enum Step {
    Accepted,
    Progress { phase: String, detail: String },
    Ended(End),
}

impl Links {
    /// Takes a step of a call from the socket that got its request; false when there is no such call.
    pub(crate) fn step(&self, socket: SocketId, call: &str, step: Step) -> bool {
        let Ok(id) = call.parse::<CallId>() else { return false };
        let mut state = self.state();
        let Some(pending) = state.calls.get_mut(&id).filter(|pending| pending.socket == socket) else {
            return false;
        };
        match step {
            Step::Accepted => {
                let first = !std::mem::replace(&mut pending.accepted, true);
                let progress = pending.progress.clone();
                drop(state);
                if first {
                    progress.accepted();
                }
            }
            Step::Progress { phase, detail } => {
                // Work has begun, whether or not it was said so.
                pending.accepted = true;
                let progress = pending.progress.clone();
                drop(state);
                progress.report(None, if detail.is_empty() { &phase } else { &detail });
            }
            Step::Ended(end) => {
                let pending = state.calls.remove(&id);
                drop(state);
                if let Some(pending) = pending {
                    let _ = pending.end.send(end);
                }
                self.ended.notify_waiters();
            }
        }
        true
    }

    /// Chooses the socket, notes the call, and only then sends it: an answer may come at once.
    fn dispatch(&self, call: &EndpointCall) -> Result<(Waiting<'_>, oneshot::Receiver<End>), ToolFailure> {
        let request = request(call, self.secret.get().map_or("", String::as_str))?;
        let (end, ended) = oneshot::channel();
        let outbound = {
            let mut state = self.state();
            let newest =
                state.sockets.iter().rev().find(|(_, socket)| socket.providing.contains(&call.endpoint));
            let Some((&socket, outbound)) = newest.map(|(id, socket)| (id, socket.outbound.clone())) else {
                return Err(unavailable(&call.endpoint));
            };
            if state.calls.values().filter(|other| other.endpoint == call.endpoint).count()
                >= MAX_CALLS_PER_ENDPOINT
            {
                let message = format!("{} has {MAX_CALLS_PER_ENDPOINT} calls to do already", call.endpoint);
                return Err(failure("endpoint_busy", message, Blame::Provider).retryable());
            }
            let pending = Pending {
                socket,
                endpoint: call.endpoint.clone(),
                risk: call.risk,
                accepted: false,
                progress: call.progress.clone(),
                end,
            };
            state.calls.insert(call.call, pending);
            outbound
        };
        let waiting = Waiting {
            links: self,
            outbound,
            endpoint: call.endpoint.clone(),
            call: call.call,
            told: AtomicBool::new(false),
        };
        match waiting.outbound.push(request.write()) {
            Ok(()) => Ok((waiting, ended)),
            Err(error) => {
                waiting.forget();
                Err(match error {
                    NotSent::TooBig => failure(
                        "tool_arguments_too_large",
                        format!("the arguments for {} are larger than an endpoint takes", call.tool_key),
                        Blame::Caller,
                    ),
                    NotSent::Closed => unavailable(&call.endpoint),
                })
            }
        }
    }
}

fn unavailable(endpoint: &EndpointId) -> ToolFailure {
    failure(
        "target_endpoint_unavailable",
        format!("{endpoint} is not there to take the call"),
        Blame::Provider,
    )
    .retryable()
}

fn request(call: &EndpointCall, secret: &str) -> Result<Envelope, ToolFailure> {
    let (arguments, encrypted_arguments) = arguments(call, secret)?;
    let request = ToolRequest {
        operation_id: call.operation.to_string(),
        call_id: call.call.to_string(),
        workspace_id: call.workspace.to_string(),
        tool_key: call.tool_key.to_string(),
        capability_id: call.capability_id.clone(),
        arguments,
        encrypted_arguments,
        timeout_seconds: (call.timeout + Duration::from_millis(999)).as_secs().max(1),
        audit_context: AuditContext {
            requested_by_actor_id: call.actor.to_string(),
            requested_by_run_id: call.run.map(|run| run.to_string()).unwrap_or_default(),
            execution_target_id: call.endpoint.to_string(),
        },
    };
    let frame = CoreFrame::ToolRequest(Box::new(request)).envelope().with_endpoint(call.endpoint.as_str());
    Ok(frame.with_message_id(format!("dispatch-{}", call.call)))
}

/// The arguments as they go out: with a sensitive value among them, all are sealed and a copy without it goes beside.
fn arguments(
    call: &EndpointCall,
    secret: &str,
) -> Result<(JsonMap, Option<EncryptedArguments>), ToolFailure> {
    let plain = call.arguments.as_object().cloned().unwrap_or_default();
    let shown = redacted(&call.arguments);
    if shown == call.arguments {
        return Ok((plain, None));
    }
    let sealed = sealed::seal(secret, rand::random(), &plain);
    let sealed = sealed.map_err(|error| failure(error.code(), error.to_string(), Blame::Operator))?;
    Ok((shown.as_object().cloned().unwrap_or_default(), Some(sealed)))
}

/// See `EndpointLink::call`.
pub(super) async fn run(links: &Links, call: EndpointCall) -> End {
    let (waiting, mut ended) = links.dispatch(&call)?;
    let wait = call.timeout.max(MIN_CALL_TIMEOUT);
    tokio::select! {
        biased;
        end = &mut ended => end.unwrap_or_else(|_| Err(unavailable(&call.endpoint))),
        () = call.cancel.cancelled() => {
            waiting.cancel("the call was stopped");
            match timeout(CANCEL_GRACE, ended).await {
                Ok(Ok(end)) => end,
                _ => Err(failure("tool_call_cancelled", "the call was stopped".to_owned(), Blame::Caller)),
            }
        }
        () = sleep(wait) => {
            let message = format!("{} did not answer within {} s", call.endpoint, wait.as_secs());
            Err(failure("endpoint_tool_timeout", message, Blame::Provider).retryable())
        }
    }
}

/// Tells the provider to stop when nobody waits any more.
struct Waiting<'a> {
    links: &'a Links,
    outbound: Outbound,
    endpoint: EndpointId,
    call: CallId,
    /// Whether the provider was asked to stop.
    told: AtomicBool,
}

impl Waiting<'_> {
    fn forget(&self) -> bool {
        let forgotten = self.links.state().calls.remove(&self.call).is_some();
        self.links.ended.notify_waiters();
        forgotten
    }

    fn cancel(&self, reason: &str) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let cancel = ToolCancel {
            call_id: self.call.to_string(),
            reason: reason.to_owned(),
            cancelled_at: String::new(),
        };
        let frame = CoreFrame::ToolCancel(cancel).envelope();
        let frame =
            frame.with_endpoint(self.endpoint.as_str()).with_message_id(format!("cancel-{}", self.call));
        if let Err(error) = self.outbound.push(frame.write()) {
            tracing::debug!(%error, call.id = %self.call, "a cancel found no socket");
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // A call that is still noted has not ended.
        if self.forget() {
            self.cancel("nobody waits for the call any more");
        }
    }
}
