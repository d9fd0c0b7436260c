//! The audit and the counted uses, in the store.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_core::port::ids::Ids;
use berth_core::port::store::{Store, StoreError};
use berth_core::redact::redacted;
use berth_model::audit::AuditRow;
use berth_model::{AuditId, GrantId, PluginId};
use tokio::sync::oneshot;

use super::registry::Registry;
use crate::capability::CapabilityError;
use crate::capability::ledger::{AuditEntry, Ledger};

/// Writes rows of several calls in one transaction, and each before its call goes on.
#[derive(Clone)]
pub(super) struct StoredLedger {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    registry: Arc<Registry>,
    /// Rows that wait for the next transaction.
    pending: Arc<Mutex<Vec<Pending>>>,
    /// Held by the one call that writes for all that wait.
    writing: Arc<tokio::sync::Mutex<()>>,
}

struct Pending {
    row: AuditRow,
    written: oneshot::Sender<bool>,
}

impl StoredLedger {
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        registry: Arc<Registry>,
    ) -> Self {
        Self { store, clock, ids, registry, pending: Arc::default(), writing: Arc::default() }
    }

    fn row(&self, entry: AuditEntry) -> Result<AuditRow, CapabilityError> {
        let context = &entry.context;
        Ok(AuditRow {
            id: AuditId::from_uuid(self.ids.uuid()),
            plugin: PluginId::new(&entry.plugin).map_err(|_| unavailable())?,
            capability: entry.capability.as_str().to_owned(),
            scope: redacted(&entry.scope),
            decision: entry.decision,
            is_write: entry.is_write,
            uses: 1,
            call: context.call,
            operation: context.operation,
            run: context.run,
            workspace: context.workspace.clone(),
            actor: context.actor.clone(),
            grant: entry.grant,
            approval: entry.approval,
            created_at: self.clock.now(),
        })
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Vec<Pending>> {
        self.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes everything that waits.
    async fn write_all(&self) {
        let batch = std::mem::take(&mut *self.pending());
        if batch.is_empty() {
            return;
        }
        let written = self.write(&batch).await;
        if let Err(error) = &written {
            tracing::warn!(%error, rows = batch.len(), "the audit could not be written");
        }
        for pending in batch {
            // A call that was dropped meanwhile does not listen.
            let _ = pending.written.send(written.is_ok());
        }
    }

    async fn write(&self, batch: &[Pending]) -> Result<(), StoreError> {
        let mut tx = self.store.write().await?;
        for pending in batch {
            tx.append_audit(&pending.row).await?;
        }
        tx.commit().await
    }

    async fn take_one(&self, grant: GrantId, row: &AuditRow) -> Result<Option<i64>, StoreError> {
        let mut tx = self.store.write().await?;
        let left = tx.take_use(grant, row.created_at).await?;
        if left.is_some() {
            tx.append_audit(row).await?;
            tx.commit().await?;
        } else {
            // Another host of the same database may have changed it.
            let grants = tx.list_grants(None).await?;
            self.registry.set_grants(grants);
        }
        Ok(left)
    }
}

#[async_trait]
impl Ledger for StoredLedger {
    async fn record(&self, entry: AuditEntry) -> Result<Option<AuditId>, CapabilityError> {
        let row = self.row(entry)?;
        let id = row.id;
        let (written, outcome) = oneshot::channel();
        self.pending().push(Pending { row, written });
        // In a task: a call that is dropped does not take the rows of others with it. Whoever comes first writes for all.
        let ledger = self.clone();
        tokio::spawn(async move {
            let _turn = ledger.writing.lock().await;
            ledger.write_all().await;
        });
        match outcome.await {
            Ok(true) => Ok(Some(id)),
            Ok(false) | Err(_) => Err(unavailable()),
        }
    }

    async fn take(&self, grant: GrantId, entry: AuditEntry) -> Result<bool, CapabilityError> {
        let row = self.row(entry)?;
        let left = self.take_one(grant, &row).await.map_err(|error| {
            tracing::warn!(%error, grant.id = %grant, "a use could not be counted");
            unavailable()
        })?;
        if let Some(left) = left {
            self.registry.set_uses(grant, left);
        }
        Ok(left.is_some())
    }

    async fn recount(&self, uses: Vec<(AuditId, i64)>) {
        let write = async {
            let mut tx = self.store.write().await?;
            for (id, uses) in uses {
                tx.set_audit_uses(id, uses).await?;
            }
            tx.commit().await
        };
        if let Err(error) = write.await {
            tracing::warn!(%error, "uses could not be counted up in the audit");
        }
    }
}

fn unavailable() -> CapabilityError {
    let mut error =
        CapabilityError::new("STORE_UNAVAILABLE", "the host cannot write down what the plugin does");
    error.retryable = true;
    error
}
