//! From Core's events to frames.
//!
//! Source: MeetYou V4, delivery frames.

use std::sync::Arc;
use std::time::Duration;

use berth_core::EventStream;
use berth_core::operation_updates::OperationUpdate;
use berth_model::event::{EventType, LiveEvent, NewEvent};
use berth_model::operation::OperationStatus;
use berth_proto::delivery::{self, RunEvent, kind};
use berth_proto::fields::Fields;
use berth_proto::{CoreFrame, JsonMap};
use serde_json::{Value, json};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::outbound::{NotSent, Outbound};
use crate::session::Wanted;

/// The wait before the store is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// Tells the events of a stream until the socket is gone. With `besides`, those that the feed of a thread tells on the
/// same socket are left out.
pub(crate) async fn tell_events(mut stream: EventStream, outbound: Outbound, besides: Option<Arc<Wanted>>) {
    loop {
        let event = match stream.next().await {
            Ok(Some(event)) => event,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "events cannot be read; they are told later");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let twice = besides.as_ref().zip(event.event().thread);
        if twice.is_some_and(|(wanted, thread)| wanted.is_told_by_thread(thread, event.cursor())) {
            continue;
        }
        let of_thread = besides.is_none();
        for frame in frames(&event, stream.cursor(), stream.is_replayed(&event), of_thread) {
            if !tell(&outbound, &frame).await {
                return;
            }
        }
    }
}

/// Tells the steps of operations that the socket wants to hear of.
pub(crate) async fn tell_operations(
    mut updates: broadcast::Receiver<Arc<OperationUpdate>>,
    outbound: Outbound,
    wanted: Arc<Wanted>,
) {
    loop {
        match updates.recv().await {
            Ok(update) if wanted.wants_operation(update.operation.thread, update.operation.id) => {
                if !tell(&outbound, &CoreFrame::operation_update(&operation_update(&update))).await {
                    return;
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(lost)) => tracing::info!(lost, "a slow socket misses steps of operations"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// False when the socket is gone.
async fn tell(outbound: &Outbound, frame: &CoreFrame) -> bool {
    match outbound.tell(frame.envelope().write()).await {
        Ok(()) => true,
        Err(NotSent::Closed) => false,
        Err(NotSent::TooBig) => {
            let CoreFrame::Delivery { kind, payload } = frame else { return true };
            tracing::warn!(
                frame.kind = kind,
                "an event is larger than a frame may be: its content is left out"
            );
            let mut payload = payload.clone();
            payload.insert("payload".to_owned(), json!({ "omitted": "frame_too_large" }));
            payload.remove("content");
            payload.remove("result");
            let short = CoreFrame::Delivery { kind: kind.clone(), payload };
            outbound.tell(short.envelope().write()).await != Err(NotSent::Closed)
        }
    }
}

/// The frames that one event becomes.
fn frames(event: &LiveEvent, cursor: i64, replayed: bool, of_thread: bool) -> Vec<CoreFrame> {
    let inner = event.event();
    let mut frames = vec![CoreFrame::run_event(&run_event(event, cursor))];
    if replayed {
        return frames;
    }
    match inner.kind {
        // Those who show only final messages count this frame, with the same message id.
        EventType::MessageCompleted if of_thread => {
            if let Some(Value::Object(message)) = inner.payload.get("message") {
                frames.push(CoreFrame::Delivery { kind: kind::MESSAGE.to_owned(), payload: message.clone() });
            }
        }
        EventType::ApprovalRequired => frames.push(CoreFrame::run_event(&confirm_requested(inner, cursor))),
        EventType::ApprovalResolved => frames.push(CoreFrame::run_event(&confirm_resolved(inner, cursor))),
        _ => {}
    }
    frames
}

fn run_event(event: &LiveEvent, cursor: i64) -> RunEvent {
    let inner = event.event();
    let fields = Fields(&inner.payload);
    RunEvent {
        event_id: inner.id.to_string(),
        run_id: inner.run.to_string(),
        thread_id: inner.thread.map(|id| id.to_string()).unwrap_or_default(),
        session_id: inner.session.map(|id| id.to_string()).unwrap_or_default(),
        seq: event.cursor().unwrap_or(cursor),
        kind: inner.kind.as_str().to_owned(),
        turn_id: fields.maybe_text(&["turn_id"]).unwrap_or_else(|| inner.run.uuid().simple().to_string()),
        stream_id: fields.text(&["stream_id"]),
        payload: inner.payload.clone(),
        durable: event.cursor().is_some(),
        created_at: inner.created_at.to_string(),
    }
}

/// The question as clients of MeetYou know it; the approval's id answers it.
fn confirm_requested(event: &NewEvent, cursor: i64) -> RunEvent {
    let fields = Fields(&event.payload);
    let expires = fields.text(&["expires_at"]).parse::<berth_model::Timestamp>().ok();
    let timeout = expires.map_or(0.0, |expires| expires.since(event.created_at).as_secs_f64().round());
    confirm(
        event,
        cursor,
        "confirm.requested",
        json!({
            "content": fields.text(&["prompt"]), "timeout": timeout as u64, "default_decision": false,
            "approval_status": "pending", "approval_type": "tool_call", "risk_level": fields.text(&["risk"]),
            "operation_id": fields.text(&["operation_id"]),
        }),
    )
}

fn confirm_resolved(event: &NewEvent, cursor: i64) -> RunEvent {
    let status = Fields(&event.payload).text(&["approval_status"]);
    let accepted = status == "approved";
    confirm(
        event,
        cursor,
        "confirm.resolved",
        json!({
            "accepted": accepted, "approval_status": status,
            "operation_id": Fields(&event.payload).text(&["operation_id"]),
        }),
    )
}

fn confirm(event: &NewEvent, cursor: i64, word: &str, more: Value) -> RunEvent {
    let approval = Fields(&event.payload).text(&["approval_id"]);
    let mut told = run_event(&LiveEvent::Transient(event.clone()), cursor);
    let mut payload = JsonMap::from_iter([
        ("thread_id".to_owned(), json!(told.thread_id)),
        ("session_id".to_owned(), json!(told.session_id)),
        ("request_id".to_owned(), json!(approval)),
        ("approval_id".to_owned(), json!(approval)),
    ]);
    if let Value::Object(more) = more {
        payload.extend(more);
    }
    word.clone_into(&mut told.kind);
    told.event_id = format!("{}.{word}", told.event_id);
    told.payload = payload;
    told
}

fn operation_update(update: &OperationUpdate) -> delivery::OperationUpdate {
    let operation = &update.operation;
    let text = |id: Option<String>| id.unwrap_or_default();
    let approval_status = match (operation.approval, operation.status) {
        (None, _) => "",
        (_, OperationStatus::WaitingApproval) => "pending",
        (_, OperationStatus::Rejected) => "rejected",
        _ => "approved",
    };
    let routing_reason = ["reason", "mode"].into_iter().find_map(|key| operation.routing[key].as_str());
    let as_object = |value: &Value| if value.is_object() { value.clone() } else { json!({}) };
    delivery::OperationUpdate {
        thread_id: text(operation.thread.map(|id| id.to_string())),
        workspace_id: operation.workspace.to_string(),
        operation_id: operation.id.to_string(),
        title: operation.title.clone(),
        operation_type: operation.kind.clone(),
        execution_target: operation.target_kind.clone(),
        execution_target_id: operation.target_id.clone(),
        target_endpoint_id: text(operation.target_endpoint.as_ref().map(ToString::to_string)),
        tool_key: operation.tool_key.to_string(),
        tool_id: operation.tool.to_string(),
        call_id: operation.call.to_string(),
        status: operation.status.to_string(),
        phase: update.phase.clone(),
        detail: update.detail.clone(),
        routing_reason: routing_reason.unwrap_or_default().to_owned(),
        routing_decision: as_object(&operation.routing),
        approval_id: text(operation.approval.map(|id| id.to_string())),
        approval_status: approval_status.to_owned(),
        approval_required: operation.approval.is_some(),
        result: (operation.status == OperationStatus::Succeeded).then(|| as_object(&operation.result)),
        error: (!operation.error.is_null()).then(|| operation.error.clone()),
    }
}
