//! How far a call is: told to the listeners of its run, and to whoever asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use berth_model::event::NewEvent;
use berth_model::operation::Operation;
use serde_json::json;

use crate::Core;
use crate::core::object;
use crate::port::target::Progress;

/// The shortest time between two told steps of progress of one call, in microseconds.
const PROGRESS_GAP_US: i64 = 100_000;

/// Tells the listeners of a run how far a call is.
pub(super) struct Teller {
    core: Core,
    event: Option<NewEvent>,
    operation: Operation,
    last: AtomicI64,
    listener: Option<Arc<dyn Progress>>,
}

impl Teller {
    /// `event` is what told events are made from; `None` outside of a run.
    pub(super) fn new(
        core: Core,
        event: Option<NewEvent>,
        operation: Operation,
        listener: Option<Arc<dyn Progress>>,
    ) -> Self {
        Self { core, event, operation, last: AtomicI64::new(i64::MIN), listener }
    }

    fn tell(&self, phase: &str, fraction: Option<f32>, detail: &str) {
        let detail = detail.chars().take(500).collect::<String>();
        self.core.0.operations.tell(&self.operation, phase, &detail);
        if let Some(event) = &self.event {
            let mut event = event.clone();
            event.id = berth_model::EventId::from_uuid(self.core.uuid());
            event.created_at = self.core.now();
            event.payload = super::facts(&self.operation);
            event.payload.extend(object([
                ("phase", json!(phase)),
                ("fraction", json!(fraction)),
                ("detail", json!(detail)),
            ]));
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
