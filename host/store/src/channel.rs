//! Channels, their timers and events, and the parts of their deliveries.

use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::store::{ChannelRepo, StoreError};
use berth_model::channel::{Channel, ChannelEvent, ChannelTimer, DeliveryPart, PollState};
use berth_model::delivery::Delivery;
use berth_model::{AddressId, DeliveryId, EndpointId, PluginId, Timestamp};
use sqlx::any::AnyRow;

use crate::delivery;
use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, number, select, sql, update};

const CHANNEL: &str = "plugin_id, endpoint_id, workspace_id, digest, hook_token, description, wishes, state, \
                       position, created_at, updated_at";
const TIMER: &str = "name, plugin_id, every_us, first_at, next_at";
const POLL: &str = "plugin_id, request, cursor_text, etag, modified, seen, told";
const EVENT: &str = "event_id, plugin_id, kind, payload, status, attempts, error, available_at, created_at, \
                     updated_at";
const PART: &str = "delivery_id, part_index, body, status, reference, error, updated_at";

fn read_channel(row: &AnyRow) -> Result<Channel, StoreError> {
    let row = Row::new("channel", row);
    Ok(Channel {
        plugin: row.parsed("plugin_id")?,
        endpoint: row.parsed("endpoint_id")?,
        workspace: row.parsed("workspace_id")?,
        digest: row.text("digest")?,
        hook_token: row.text("hook_token")?,
        description: row.json("description")?,
        wishes: row.json("wishes")?,
        state: row.bytes("state")?,
        position: row.text("position")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_timer(row: &AnyRow) -> Result<ChannelTimer, StoreError> {
    let row = Row::new("channel_timer", row);
    Ok(ChannelTimer {
        plugin: row.parsed("plugin_id")?,
        name: row.text("name")?,
        every: row
            .maybe_number("every_us")?
            .map(|us| Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))),
        first_at: row.maybe_time("first_at")?,
        next_at: row.maybe_time("next_at")?,
    })
}

fn read_poll(row: &AnyRow) -> Result<PollState, StoreError> {
    let row = Row::new("channel_poll", row);
    Ok(PollState {
        request: row.text("request")?,
        cursor: row.maybe_text("cursor_text")?,
        etag: row.text("etag")?,
        modified: row.text("modified")?,
        seen: row.text("seen")?,
        told: u64::try_from(row.number("told")?).unwrap_or(0),
    })
}

fn read_event(row: &AnyRow) -> Result<ChannelEvent, StoreError> {
    let row = Row::new("channel_event", row);
    Ok(ChannelEvent {
        id: row.text("event_id")?,
        plugin: row.parsed("plugin_id")?,
        kind: row.text("kind")?,
        payload: row.json("payload")?,
        status: row.parsed("status")?,
        attempts: u32::try_from(row.number("attempts")?).unwrap_or(u32::MAX),
        error: row.text("error")?,
        available_at: row.maybe_time("available_at")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn read_part(row: &AnyRow) -> Result<DeliveryPart, StoreError> {
    let row = Row::new("delivery_part", row);
    Ok(DeliveryPart {
        delivery: row.parsed("delivery_id")?,
        index: u32::try_from(row.number("part_index")?).unwrap_or(u32::MAX),
        text: row.text("body")?,
        status: row.parsed("status")?,
        reference: row.text("reference")?,
        error: row.text("error")?,
        updated_at: row.time("updated_at")?,
    })
}

#[async_trait]
impl ChannelRepo for SqlTx {
    async fn upsert_channel(&mut self, channel: &Channel) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO channel (plugin_id, endpoint_id, workspace_id, digest, hook_token, description, wishes, \
             state, position, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (plugin_id) DO UPDATE SET endpoint_id = excluded.endpoint_id, \
             workspace_id = excluded.workspace_id, digest = excluded.digest, hook_token = excluded.hook_token, \
             description = excluded.description, wishes = excluded.wishes, state = excluded.state, \
             position = excluded.position, updated_at = excluded.updated_at",
            channel.plugin.to_string(),
            channel.endpoint.to_string(),
            channel.workspace.to_string(),
            channel.digest.clone(),
            channel.hook_token.clone(),
            channel.description.to_string(),
            channel.wishes.to_string(),
            hex::encode(&channel.state),
            channel.position.clone(),
            channel.created_at.as_micros(),
            channel.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn lookup_channel(&mut self, plugin: &PluginId) -> Result<Option<Channel>, StoreError> {
        let sql = sql!("SELECT ", CHANNEL, " FROM channel WHERE plugin_id = $1");
        lookup!(self, read_channel, sql, plugin.to_string())
    }

    async fn set_channel_position(
        &mut self,
        plugin: &PluginId,
        position: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        update!(
            self,
            "channel"."plugin_id" = plugin,
            "UPDATE channel SET position = $2, updated_at = $3 WHERE plugin_id = $1",
            position.to_owned(),
            now.as_micros(),
        )
    }

    async fn channel_timers(&mut self, plugin: &PluginId) -> Result<Vec<ChannelTimer>, StoreError> {
        let sql = sql!("SELECT ", TIMER, " FROM channel_timer WHERE plugin_id = $1 ORDER BY name");
        select!(self, read_timer, sql, plugin.to_string())
    }

    async fn upsert_channel_timer(&mut self, timer: &ChannelTimer) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO channel_timer (plugin_id, name, every_us, first_at, next_at) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (plugin_id, name) DO UPDATE SET every_us = excluded.every_us, \
             first_at = excluded.first_at, next_at = excluded.next_at",
            timer.plugin.to_string(),
            timer.name.clone(),
            timer.every.map(|every| i64::try_from(every.as_micros()).unwrap_or(i64::MAX)),
            timer.first_at.map(Timestamp::as_micros),
            timer.next_at.map(Timestamp::as_micros),
        )?;
        Ok(())
    }

    async fn remove_channel_timer(&mut self, plugin: &PluginId, name: &str) -> Result<(), StoreError> {
        execute!(
            self,
            "DELETE FROM channel_timer WHERE plugin_id = $1 AND name = $2",
            plugin.to_string(),
            name.to_owned(),
        )?;
        Ok(())
    }

    async fn channel_poll(&mut self, plugin: &PluginId, name: &str) -> Result<Option<PollState>, StoreError> {
        let sql = sql!("SELECT ", POLL, " FROM channel_poll WHERE plugin_id = $1 AND name = $2");
        lookup!(self, read_poll, sql, plugin.to_string(), name.to_owned())
    }

    async fn upsert_channel_poll(
        &mut self,
        plugin: &PluginId,
        name: &str,
        state: &PollState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO channel_poll (plugin_id, name, request, cursor_text, etag, modified, seen, told, \
             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (plugin_id, name) DO UPDATE SET \
             request = excluded.request, cursor_text = excluded.cursor_text, etag = excluded.etag, \
             modified = excluded.modified, seen = excluded.seen, told = excluded.told, \
             updated_at = excluded.updated_at",
            plugin.to_string(),
            name.to_owned(),
            state.request.clone(),
            state.cursor.clone(),
            state.etag.clone(),
            state.modified.clone(),
            state.seen.clone(),
            i64::try_from(state.told).unwrap_or(i64::MAX),
            now.as_micros(),
        )?;
        Ok(())
    }

    async fn upsert_channel_event(&mut self, event: &ChannelEvent) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO channel_event (event_id, plugin_id, kind, payload, status, attempts, error, available_at, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (event_id) DO UPDATE SET status = excluded.status, attempts = excluded.attempts, \
             error = excluded.error, available_at = excluded.available_at, updated_at = excluded.updated_at",
            event.id.clone(),
            event.plugin.to_string(),
            event.kind.clone(),
            event.payload.to_string(),
            event.status.as_str(),
            i64::from(event.attempts),
            event.error.clone(),
            event.available_at.map(Timestamp::as_micros),
            event.created_at.as_micros(),
            event.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn lookup_channel_event(&mut self, id: &str) -> Result<Option<ChannelEvent>, StoreError> {
        let sql = sql!("SELECT ", EVENT, " FROM channel_event WHERE event_id = $1");
        lookup!(self, read_event, sql, id.to_owned())
    }

    async fn channel_events(
        &mut self,
        plugin: &PluginId,
        limit: u32,
    ) -> Result<Vec<ChannelEvent>, StoreError> {
        let sql = sql!(
            "SELECT ",
            EVENT,
            " FROM channel_event WHERE plugin_id = $1 ORDER BY created_at, event_id LIMIT $2"
        );
        select!(self, read_event, sql, plugin.to_string(), i64::from(limit))
    }

    async fn count_channel_events(&mut self, plugin: &PluginId) -> Result<u64, StoreError> {
        let counted = lookup!(
            self,
            number,
            "SELECT COUNT(*) FROM channel_event WHERE plugin_id = $1",
            plugin.to_string()
        )?;
        Ok(counted.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    async fn next_channel_event(&mut self, plugin: &PluginId) -> Result<Option<ChannelEvent>, StoreError> {
        let sql = sql!(
            "SELECT ",
            EVENT,
            " FROM channel_event WHERE plugin_id = $1 AND status = 'pending' \
             ORDER BY COALESCE(available_at, 0), created_at, event_id LIMIT 1"
        );
        lookup!(self, read_event, sql, plugin.to_string())
    }

    async fn remove_channel_event(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(execute!(self, "DELETE FROM channel_event WHERE event_id = $1", id.to_owned())? > 0)
    }

    async fn delivery_parts(&mut self, delivery: DeliveryId) -> Result<Vec<DeliveryPart>, StoreError> {
        let sql = sql!("SELECT ", PART, " FROM delivery_part WHERE delivery_id = $1 ORDER BY part_index");
        select!(self, read_part, sql, delivery.to_string())
    }

    async fn upsert_delivery_part(&mut self, part: &DeliveryPart) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO delivery_part (delivery_id, part_index, body, status, reference, error, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (delivery_id, part_index) DO UPDATE SET \
             status = excluded.status, reference = excluded.reference, error = excluded.error, \
             updated_at = excluded.updated_at",
            part.delivery.to_string(),
            i64::from(part.index),
            part.text.clone(),
            part.status.as_str(),
            part.reference.clone(),
            part.error.clone(),
            part.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn next_delivery(&mut self, endpoint: &EndpointId) -> Result<Option<Delivery>, StoreError> {
        let sql = sql!(
            "SELECT ",
            delivery::COLUMNS,
            " FROM delivery WHERE endpoint_id = $1 AND status IN ('queued', 'retry') \
             ORDER BY COALESCE(available_at, 0), created_at, delivery_id LIMIT 1"
        );
        lookup!(self, delivery::read, sql, endpoint.to_string())
    }

    async fn list_deliveries(
        &mut self,
        endpoint: &EndpointId,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = sql!(
            "SELECT ",
            delivery::COLUMNS,
            " FROM delivery WHERE endpoint_id = $1 ORDER BY created_at DESC, delivery_id DESC LIMIT $2"
        );
        select!(self, delivery::read, sql, endpoint.to_string(), i64::from(limit))
    }

    async fn interrupted_deliveries(&mut self, endpoint: &EndpointId) -> Result<Vec<Delivery>, StoreError> {
        let sql = sql!(
            "SELECT ",
            delivery::COLUMNS,
            " FROM delivery WHERE endpoint_id = $1 AND status = 'sending' ORDER BY created_at, delivery_id"
        );
        select!(self, delivery::read, sql, endpoint.to_string())
    }

    async fn release_waiting(
        &mut self,
        endpoint: &EndpointId,
        address: Option<&AddressId>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        execute!(
            self,
            "UPDATE delivery SET status = 'queued', available_at = NULL, updated_at = $3 \
             WHERE endpoint_id = $1 AND ($2 = '' OR address_id = $2) AND status = 'waiting'",
            endpoint.to_string(),
            address.map(ToString::to_string).unwrap_or_default(),
            now.as_micros(),
        )
    }
}
