//! Events that wait for an answer of the owner.

use berth_core::port::store::StoreError;
use berth_model::channel::ChannelEventStatus;

use super::{APPROVAL, Ingress, MAX_EVENTS};

impl Ingress {
    /// Ends what stands for an event that has asked the owner.
    pub(super) async fn close(&mut self, event: &str, error: Option<&str>) {
        let operation = self.binding.operation_of(event);
        if let Err(error) = self.binding.core.close_event(operation, error).await {
            tracing::warn!(plugin.id = %self.binding.plugin, event, %error, "what an event asked could not be ended");
        }
    }

    /// Has the events come again that waited for an answer when the host stopped: their questions ended with it.
    pub(super) async fn ask_anew(&mut self) {
        while !self.binding.stop.is_cancelled() {
            let waiting = async {
                let mut tx = self.binding.host.parts().store.read().await?;
                let limit = u32::try_from(MAX_EVENTS).unwrap_or(u32::MAX);
                tx.channel_events(&self.binding.plugin, limit).await
            };
            match waiting.await {
                Ok(events) => {
                    for event in events.iter().filter(|event| event.payload.get(APPROVAL).is_some()) {
                        self.release(&event.id).await;
                    }
                    return;
                }
                Err(error) => self.store_failed(&error).await,
            }
        }
    }

    /// Has an event come again at once.
    pub(super) async fn release(&mut self, id: &str) {
        loop {
            let released = async {
                let mut tx = self.binding.host.parts().store.write().await?;
                let found = tx.lookup_channel_event(id).await?;
                if let Some(mut event) = found.filter(|event| event.status == ChannelEventStatus::Pending) {
                    event.available_at = None;
                    event.updated_at = self.binding.alarm.now();
                    tx.upsert_channel_event(&event).await?;
                    tx.commit().await?;
                }
                Ok::<(), StoreError>(())
            };
            match released.await {
                Ok(()) => return,
                Err(_) if self.binding.stop.is_cancelled() => return,
                Err(error) => self.store_failed(&error).await,
            }
        }
    }
}
