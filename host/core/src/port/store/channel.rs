//! What is kept for channels.

use async_trait::async_trait;
use berth_model::channel::{Channel, ChannelEvent, ChannelTimer, DeliveryPart, PollState};
use berth_model::delivery::Delivery;
use berth_model::{AddressId, DeliveryId, EndpointId, PluginId, Timestamp};

use super::StoreError;

/// Channels with their timers, events and the parts of their deliveries.
#[async_trait]
pub trait ChannelRepo {
    async fn upsert_channel(&mut self, channel: &Channel) -> Result<(), StoreError>;
    async fn lookup_channel(&mut self, plugin: &PluginId) -> Result<Option<Channel>, StoreError>;
    /// Keeps the position behind a batch.
    async fn set_channel_position(
        &mut self,
        plugin: &PluginId,
        position: &str,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// By name.
    async fn channel_timers(&mut self, plugin: &PluginId) -> Result<Vec<ChannelTimer>, StoreError>;
    async fn upsert_channel_timer(&mut self, timer: &ChannelTimer) -> Result<(), StoreError>;
    async fn remove_channel_timer(&mut self, plugin: &PluginId, name: &str) -> Result<(), StoreError>;

    /// How far a poll of a channel has come; nothing for one that was never answered.
    async fn channel_poll(&mut self, plugin: &PluginId, name: &str) -> Result<Option<PollState>, StoreError>;
    async fn upsert_channel_poll(
        &mut self,
        plugin: &PluginId,
        name: &str,
        state: &PollState,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Stores the event or its new state.
    async fn upsert_channel_event(&mut self, event: &ChannelEvent) -> Result<(), StoreError>;
    async fn lookup_channel_event(&mut self, id: &str) -> Result<Option<ChannelEvent>, StoreError>;
    /// Oldest first.
    async fn channel_events(
        &mut self,
        plugin: &PluginId,
        limit: u32,
    ) -> Result<Vec<ChannelEvent>, StoreError>;
    async fn count_channel_events(&mut self, plugin: &PluginId) -> Result<u64, StoreError>;
    /// The pending event that may be handed over first, now or later.
    async fn next_channel_event(&mut self, plugin: &PluginId) -> Result<Option<ChannelEvent>, StoreError>;
    /// True when there was one.
    async fn remove_channel_event(&mut self, id: &str) -> Result<bool, StoreError>;

    /// By index.
    async fn delivery_parts(&mut self, delivery: DeliveryId) -> Result<Vec<DeliveryPart>, StoreError>;
    async fn upsert_delivery_part(&mut self, part: &DeliveryPart) -> Result<(), StoreError>;
    /// The queued delivery that may be sent first, now or later.
    async fn next_delivery(&mut self, endpoint: &EndpointId) -> Result<Option<Delivery>, StoreError>;
    /// Newest first.
    async fn list_deliveries(
        &mut self,
        endpoint: &EndpointId,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// Deliveries of an endpoint that broke off while they were sent, oldest first.
    async fn interrupted_deliveries(&mut self, endpoint: &EndpointId) -> Result<Vec<Delivery>, StoreError>;
    /// Queues what waits for a message from an address, or for the whole endpoint when `None`.
    async fn release_waiting(
        &mut self,
        endpoint: &EndpointId,
        address: Option<&AddressId>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
}
