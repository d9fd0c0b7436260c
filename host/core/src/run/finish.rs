//! The end of a run: its open calls, the final message, the state and the events in one transaction.

use berth_model::event::{EventType, NewEvent};
use berth_model::message::{Message, MessageStatus, Role};
use berth_model::run::{Run, RunFailure, RunStatus};
use berth_model::{JsonMap, MessageId, RunId};
use serde_json::json;

use super::leftovers;
use crate::core::object;
use crate::message_view::message_view;
use crate::port::store::Tx;
use crate::{Core, CoreError, inbound};

/// Ends a run with its answer. `completed` is the event of the round that gave it.
pub(crate) async fn succeed(
    core: &Core,
    run: &mut Run,
    text: &str,
    facts: JsonMap,
    completed: NewEvent,
) -> Result<(), CoreError> {
    let mut tx = core.0.store.write().await?;
    leftovers::close(core, &mut *tx, run).await?;
    let mut events = vec![completed];
    if !text.trim().is_empty() {
        let message = answer(core, run, text, MessageStatus::Completed);
        tx.insert_message(&message).await?;
        inbound::queue_reply(core, &mut *tx, run, &message).await?;
        run.output_message = Some(message.id);
        events.push(core.event(run, EventType::MessageCompleted, message_completed(run, &message)));
    }
    run.metadata.extend(facts.clone());
    end(core, run, RunStatus::Succeeded);
    let mut payload = object([
        ("status", json!("succeeded")),
        ("message_id", json!(run.output_message.map(|id| id.to_string()).unwrap_or_default())),
    ]);
    payload.extend(facts);
    events.push(core.event(run, EventType::RunCompleted, payload));
    store(core, tx, run, events).await
}

/// Ends a run that was stopped; what had been said stays, marked as such.
pub(crate) async fn stop(core: &Core, run: &mut Run, said: &str) -> Result<(), CoreError> {
    let mut tx = core.0.store.write().await?;
    leftovers::close(core, &mut *tx, run).await?;
    let mut events = Vec::with_capacity(2);
    if !said.trim().is_empty() {
        let message = answer(core, run, said, MessageStatus::Stopped);
        tx.insert_message(&message).await?;
        inbound::queue_reply(core, &mut *tx, run, &message).await?;
        run.output_message = Some(message.id);
        events.push(core.event(run, EventType::MessageCompleted, message_completed(run, &message)));
    }
    end(core, run, RunStatus::Cancelled);
    events.push(cancelled(core, run));
    store(core, tx, run, events).await
}

/// Ends a run that no worker has taken yet; false when one has, or when it has ended.
pub(crate) async fn stop_queued(core: &Core, id: RunId) -> Result<bool, CoreError> {
    let mut tx = core.0.store.write().await?;
    let Some(mut run) = tx.lookup_run(id).await?.filter(|run| run.status == RunStatus::Queued) else {
        return Ok(false);
    };
    leftovers::close(core, &mut *tx, &run).await?;
    end(core, &mut run, RunStatus::Cancelled);
    let event = cancelled(core, &run);
    store(core, tx, &run, vec![event]).await?;
    Ok(true)
}

fn cancelled(core: &Core, run: &Run) -> NewEvent {
    let payload = object([("code", json!("stopped")), ("message", json!("the run was stopped"))]);
    core.event(run, EventType::RunCancelled, payload)
}

/// Ends a run with a reason, and tells it in the thread.
pub(crate) async fn fail_now(core: &Core, run: &mut Run, failure: RunFailure) -> Result<(), CoreError> {
    let mut tx = core.0.store.write().await?;
    fail(core, &mut *tx, run, failure).await?;
    tx.commit().await?;
    told(core, run);
    Ok(())
}

/// The same for a run that is known by its id alone; nothing happens to one that has ended.
pub(crate) async fn fail_by_id(core: &Core, id: RunId, failure: RunFailure) -> Result<(), CoreError> {
    let mut tx = core.0.store.write().await?;
    let Some(mut run) = tx.lookup_run(id).await?.filter(|run| !run.status.is_final()) else { return Ok(()) };
    fail(core, &mut *tx, &mut run, failure).await?;
    tx.commit().await?;
    told(core, &run);
    Ok(())
}

/// The same inside of a transaction.
pub(crate) async fn fail(
    core: &Core,
    tx: &mut dyn Tx,
    run: &mut Run,
    failure: RunFailure,
) -> Result<(), CoreError> {
    leftovers::close(core, tx, run).await?;
    let mut events = Vec::with_capacity(2);
    if run.thread.is_some() {
        let text = format!("This could not be done: {} ({})", failure.message, failure.code);
        let message = answer(core, run, &text, MessageStatus::Failed);
        tx.insert_message(&message).await?;
        inbound::queue_reply(core, tx, run, &message).await?;
        run.output_message = Some(message.id);
        events.push(core.event(run, EventType::MessageCompleted, message_completed(run, &message)));
    }
    let payload = object([
        ("status", json!("failed")),
        ("code", json!(failure.code)),
        ("message", json!(failure.message)),
        ("retryable", json!(failure.retryable)),
        ("message_id", json!(run.output_message.map(|id| id.to_string()).unwrap_or_default())),
    ]);
    run.failure = Some(failure);
    end(core, run, RunStatus::Failed);
    events.push(core.event(run, EventType::RunFailed, payload));
    tx.update_run(run).await?;
    tx.append_events(&events).await?;
    Ok(())
}

async fn store(core: &Core, mut tx: Box<dyn Tx>, run: &Run, events: Vec<NewEvent>) -> Result<(), CoreError> {
    tx.update_run(run).await?;
    tx.append_events(&events).await?;
    if let Some(thread) = run.thread {
        tx.touch_thread(thread, core.now()).await?;
    }
    tx.commit().await?;
    told(core, run);
    Ok(())
}

/// Tells the end of a run that is committed, to the listeners and to the channel that carries its answer.
fn told(core: &Core, run: &Run) {
    core.0.bus.committed();
    if let Some(endpoint) = &run.origin_endpoint {
        core.0.endpoints.ring(endpoint);
    }
}

fn end(core: &Core, run: &mut Run, status: RunStatus) {
    run.status = status;
    run.finished_at = Some(core.now());
}

fn answer(core: &Core, run: &Run, text: &str, status: MessageStatus) -> Message {
    let metadata = object([("turn_id", json!(turn_id(run))), ("stream_id", json!(stream_id(run)))]);
    Message {
        id: MessageId::from_uuid(core.uuid()),
        // A run without a thread has no messages; its callers check that.
        thread: run.thread.unwrap_or_else(|| berth_model::ThreadId::from_uuid(run.id.uuid())),
        session: run.session,
        run: Some(run.id),
        workspace: run.workspace.clone(),
        role: Role::Assistant,
        channel: "message".to_owned(),
        content: text.replace('\0', "\u{fffd}"),
        status,
        origin_endpoint: None,
        endpoint_message_id: None,
        metadata,
        created_at: core.now(),
    }
}

fn message_completed(run: &Run, message: &Message) -> JsonMap {
    let mut payload = place(run);
    payload.insert("message".to_owned(), message_view(message));
    payload
}

/// Where an event of a turn belongs, as clients want it told.
pub(crate) fn place(run: &Run) -> JsonMap {
    object([
        ("thread_id", json!(run.thread.map(|id| id.to_string()).unwrap_or_default())),
        ("session_id", json!(run.session.map(|id| id.to_string()).unwrap_or_default())),
        ("turn_id", json!(turn_id(run))),
        ("stream_id", json!(stream_id(run))),
    ])
}

/// A run is one turn; its number in 32 hex digits.
pub(crate) fn turn_id(run: &Run) -> String {
    run.id.uuid().simple().to_string()
}

/// Each attempt at a turn is a stream of its own.
pub(crate) fn stream_id(run: &Run) -> String {
    format!("{}-{}", run.id.uuid().simple(), run.attempt)
}
