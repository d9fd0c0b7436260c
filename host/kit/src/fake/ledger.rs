//! What was denied, and grants that are used up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_model::audit::AuditDecision;
use berth_model::{AuditId, GrantId};
use berth_wasm::capability::CapabilityError;
use berth_wasm::capability::ledger::{AuditEntry, Ledger};

use super::grants::Grants;
use super::lock;

/// Counts as a host does.
pub struct Book {
    denied: Mutex<Vec<String>>,
    left: Mutex<HashMap<GrantId, i64>>,
    grants: Arc<Grants>,
}

impl Book {
    pub fn new(grants: Arc<Grants>) -> Self {
        let left = grants.counted();
        Self { denied: Mutex::default(), left: Mutex::new(left), grants }
    }

    /// What was denied, such as `http {…}`.
    pub fn denied(&self) -> Vec<String> {
        lock(&self.denied).clone()
    }
}

#[async_trait]
impl Ledger for Book {
    async fn record(&self, entry: AuditEntry) -> Result<Option<AuditId>, CapabilityError> {
        if entry.decision == AuditDecision::Denied {
            lock(&self.denied).push(format!("{} {}", entry.capability.as_str(), entry.scope));
        }
        Ok(None)
    }

    async fn take(&self, grant: GrantId, _: AuditEntry) -> Result<bool, CapabilityError> {
        let left = {
            let mut all = lock(&self.left);
            let Some(left) = all.get_mut(&grant) else { return Ok(false) };
            if *left <= 0 {
                return Ok(false);
            }
            *left -= 1;
            *left
        };
        self.grants.set_uses(grant, left);
        Ok(true)
    }

    async fn recount(&self, _: Vec<(AuditId, i64)>) {}
}
