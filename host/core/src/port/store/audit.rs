//! The audit of what plugins did and were denied.

use async_trait::async_trait;
use berth_model::audit::{AuditDecision, AuditRow};
use berth_model::{AuditId, OperationId, PluginId, Timestamp};

use super::StoreError;

/// Which rows of the audit to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub plugin: Option<PluginId>,
    pub operation: Option<OperationId>,
    pub decision: Option<AuditDecision>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

/// Rows of the audit: appended, and counted up while their call lasts.
#[async_trait]
pub trait AuditRepo {
    async fn append_audit(&mut self, row: &AuditRow) -> Result<(), StoreError>;
    /// Sets how often the call did it. A row that was removed meanwhile stays away.
    async fn set_audit_uses(&mut self, id: AuditId, uses: i64) -> Result<(), StoreError>;
    async fn list_audit(&mut self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError>;
    /// Removes rows from before `time`; how many they were.
    async fn trim_audit(&mut self, time: Timestamp) -> Result<u64, StoreError>;
}
