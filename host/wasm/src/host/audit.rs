//! What a plugin did and was denied, and the smallest manifest for it.

use std::time::Duration;

use berth_core::port::store::AuditFilter;
use berth_model::audit::{AuditDecision, AuditRow};
use berth_model::{PluginId, Timestamp};

use super::{HostError, PluginHost};
use crate::capability::Capability;
use crate::capability::suggest::{self, Suggested};

/// How long rows are kept.
const KEPT: Duration = Duration::from_secs(180 * 24 * 60 * 60);
/// Rows that a suggestion looks at.
const ROWS: u32 = 100_000;

/// The smallest manifest for what was used.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    pub wishes: Vec<Suggested>,
    /// The wishes as they stand in a `plugin.toml`.
    pub manifest: String,
    /// Rows of the audit that it rests on.
    pub uses: usize,
}

impl PluginHost {
    /// Rows of the audit, newest first.
    pub async fn audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, HostError> {
        Ok(self.parts.store.read().await?.list_audit(filter).await?)
    }

    /// Forgets what is older than half a year, and tells how many rows that were.
    pub async fn trim_audit(&self) -> Result<u64, HostError> {
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        let first = Timestamp::from_micros(self.parts.clock.now().as_micros().saturating_sub(kept));
        let mut tx = self.parts.store.write().await?;
        let rows = tx.trim_audit(first).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Wishes that cover what the plugin was seen to use. Grants with mode `observe` write every use down; of those
    /// that allow, only what changes something is known.
    pub async fn suggest(&self, id: &PluginId) -> Result<Suggestion, HostError> {
        let filter = AuditFilter { plugin: Some(id.clone()), limit: ROWS, ..AuditFilter::default() };
        let rows = self.audit(&filter).await?;
        let used: Vec<(Capability, serde_json::Value)> = rows
            .into_iter()
            .filter(|row| row.decision != AuditDecision::Denied && row.scope.get("omitted").is_none())
            .filter_map(|row| Some((Capability::lookup(&row.capability)?, row.scope)))
            .collect();
        let uses = used.len();
        let wishes = suggest::smallest(used);
        Ok(Suggestion { manifest: suggest::toml(&wishes), wishes, uses })
    }
}
