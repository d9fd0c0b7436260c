//! Deliveries and their outbox state.

use async_trait::async_trait;
use berth_core::port::store::{DeliveryRepo, StoreError};
use berth_model::delivery::Delivery;
use berth_model::{DeliveryId, EndpointId, Timestamp};
use sqlx::any::AnyRow;

use crate::row::Row;
use crate::sql::{SqlTx, execute, lookup, select, sql, update};

pub(crate) const COLUMNS: &str = "delivery_id, endpoint_id, address_id, kind, payload, status, attempts, available_at, error, \
                       created_at, updated_at";

pub(crate) fn read(row: &AnyRow) -> Result<Delivery, StoreError> {
    let row = Row::new("delivery", row);
    Ok(Delivery {
        id: row.parsed("delivery_id")?,
        endpoint: row.parsed("endpoint_id")?,
        address: row.maybe_parsed("address_id")?,
        kind: row.text("kind")?,
        payload: row.json("payload")?,
        status: row.parsed("status")?,
        attempts: u32::try_from(row.number("attempts")?).unwrap_or(u32::MAX),
        available_at: row.maybe_time("available_at")?,
        error: row.text("error")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

#[async_trait]
impl DeliveryRepo for SqlTx {
    async fn insert_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        execute!(
            self,
            "INSERT INTO delivery (delivery_id, endpoint_id, address_id, kind, payload, status, attempts, \
             available_at, error, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            delivery.id.to_string(),
            delivery.endpoint.to_string(),
            delivery.address.as_ref().map(ToString::to_string),
            delivery.kind.clone(),
            delivery.payload.to_string(),
            delivery.status.as_str(),
            i64::from(delivery.attempts),
            delivery.available_at.map(Timestamp::as_micros),
            delivery.error.clone(),
            delivery.created_at.as_micros(),
            delivery.updated_at.as_micros(),
        )?;
        Ok(())
    }

    async fn update_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        update!(
            self,
            "delivery"."delivery_id" = delivery.id,
            "UPDATE delivery SET status = $2, attempts = $3, available_at = $4, error = $5, updated_at = $6 \
             WHERE delivery_id = $1",
            delivery.status.as_str(),
            i64::from(delivery.attempts),
            delivery.available_at.map(Timestamp::as_micros),
            delivery.error.clone(),
            delivery.updated_at.as_micros(),
        )
    }

    async fn lookup_delivery(&mut self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        lookup!(self, read, sql!("SELECT ", COLUMNS, " FROM delivery WHERE delivery_id = $1"), id.to_string())
    }

    async fn due_deliveries(
        &mut self,
        endpoint: &EndpointId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = sql!(
            "SELECT ",
            COLUMNS,
            " FROM delivery WHERE endpoint_id = $1 AND status IN ('queued', 'retry') \
             AND (available_at IS NULL OR available_at <= $2) ORDER BY created_at, delivery_id LIMIT $3"
        );
        select!(self, read, sql, endpoint.to_string(), now.as_micros(), i64::from(limit))
    }

    async fn release_deliveries(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        execute!(
            self,
            "UPDATE delivery SET status = 'retry', available_at = NULL, updated_at = $1 WHERE status = 'sending' \
             AND endpoint_id NOT IN (SELECT endpoint_id FROM channel)",
            now.as_micros(),
        )
    }
}
