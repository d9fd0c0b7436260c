//! What plugins did and were denied, written down; and the uses of counted grants.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use berth_model::audit::AuditDecision;
use berth_model::{ApprovalId, AuditId, GrantId};
use serde_json::{Value, json};

use super::context::CallContext;
use super::{Capability, CapabilityError};

/// Kinds of use that one call leaves a row of its own for; what is beyond shares one.
const ROWS_PER_CALL: usize = 64;
/// The longest scope that a row keeps, in bytes of its JSON.
const SCOPE_BYTES: usize = 2048;

/// A use, as it is written down. Holds no secret and no payload.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    pub plugin: String,
    pub capability: Capability,
    /// What was wanted, in the form of a scope.
    pub scope: Value,
    pub decision: AuditDecision,
    /// Whether the use changes something.
    pub is_write: bool,
    pub grant: Option<GrantId>,
    pub approval: Option<ApprovalId>,
    pub context: Arc<CallContext>,
}

/// Writes uses down and counts them.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Stored when it returns; `None` where nothing is kept.
    async fn record(&self, entry: AuditEntry) -> Result<Option<AuditId>, CapabilityError>;

    /// Takes one use of a counted grant, and writes it down in the same transaction; false when none was left.
    async fn take(&self, grant: GrantId, entry: AuditEntry) -> Result<bool, CapabilityError>;

    /// Sets how often a call did what was written down once. Never fails the call.
    async fn recount(&self, uses: Vec<(AuditId, i64)>);
}

/// Keeps nothing, and has no counted uses to give.
#[derive(Debug, Clone, Copy)]
pub struct NoLedger;

#[async_trait]
impl Ledger for NoLedger {
    async fn record(&self, _: AuditEntry) -> Result<Option<AuditId>, CapabilityError> {
        Ok(None)
    }

    async fn take(&self, _: GrantId, _: AuditEntry) -> Result<bool, CapabilityError> {
        Ok(false)
    }

    async fn recount(&self, _: Vec<(AuditId, i64)>) {}
}

/// The uses of one call: each kind is written down once, with how often it came. A guest that does the same a million
/// times leaves one row.
#[derive(Debug, Default)]
pub struct Trail {
    rows: HashMap<(Capability, String, AuditDecision), Row>,
}

#[derive(Debug)]
struct Row {
    id: Option<AuditId>,
    uses: i64,
}

impl Trail {
    /// The key of a use, and the scope that its row keeps.
    fn key(&self, entry: &mut AuditEntry) -> (Capability, String, AuditDecision) {
        let mut text = entry.scope.to_string();
        if text.len() > SCOPE_BYTES {
            entry.scope = json!({ "omitted": "the scope is too long" });
            text = entry.scope.to_string();
        }
        let key = (entry.capability, text, entry.decision);
        if self.rows.len() < ROWS_PER_CALL || self.rows.contains_key(&key) {
            return key;
        }
        entry.scope = json!({ "omitted": "further uses of the same call" });
        (entry.capability, entry.scope.to_string(), entry.decision)
    }

    /// Counts a use; the entry comes back, and must be recorded, when it is the first of its kind.
    pub fn count(&mut self, mut entry: AuditEntry) -> Option<(TrailKey, AuditEntry)> {
        let key = self.key(&mut entry);
        match self.rows.get_mut(&key) {
            Some(row) => {
                row.uses += 1;
                None
            }
            None => Some((TrailKey(key), entry)),
        }
    }

    /// The first of its kind was recorded.
    pub fn recorded(&mut self, key: TrailKey, id: Option<AuditId>) {
        self.rows.insert(key.0, Row { id, uses: 1 });
    }

    /// What came more than once.
    pub fn finish(&mut self) -> Vec<(AuditId, i64)> {
        let rows = self.rows.drain().filter(|(_, row)| row.uses > 1);
        rows.filter_map(|(_, row)| Some((row.id?, row.uses))).collect()
    }
}

/// Names a kind of use in the trail of its call.
#[derive(Debug)]
pub struct TrailKey((Capability, String, AuditDecision));
