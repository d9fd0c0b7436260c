//! A run event, stored or live, as streams and answers carry it.

use berth_model::JsonMap;
use berth_model::event::{LiveEvent, NewEvent, RunEvent};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::route::text;

/// What a run did.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    event_id: String,
    run_id: String,
    thread_id: String,
    session_id: String,
    /// 1, 2, 3 … within the run; null for an event that is not stored.
    seq: Option<i64>,
    /// Growing over the whole host; null for an event that is not stored.
    cursor: Option<i64>,
    r#type: String,
    #[schema(value_type = Object)]
    payload: JsonMap,
    /// Whether the event is stored.
    durable: bool,
    turn_id: String,
    stream_id: String,
    created_at: String,
}

impl EventView {
    fn new(event: &NewEvent, place: Option<(i64, i64)>) -> Self {
        let of_payload =
            |key: &str| event.payload.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            event_id: event.id.to_string(),
            run_id: event.run.to_string(),
            thread_id: text(event.thread.as_ref()),
            session_id: text(event.session.as_ref()),
            seq: place.map(|(seq, _)| seq),
            cursor: place.map(|(_, cursor)| cursor),
            r#type: event.kind.to_string(),
            payload: event.payload.clone(),
            durable: place.is_some(),
            turn_id: of_payload("turn_id"),
            stream_id: of_payload("stream_id"),
            created_at: event.created_at.to_string(),
        }
    }
}

impl From<&RunEvent> for EventView {
    fn from(stored: &RunEvent) -> Self {
        Self::new(&stored.event, Some((stored.seq, stored.cursor)))
    }
}

impl From<&LiveEvent> for EventView {
    fn from(event: &LiveEvent) -> Self {
        match event {
            LiveEvent::Stored(stored) => stored.into(),
            LiveEvent::Transient(event) => Self::new(event, None),
        }
    }
}
