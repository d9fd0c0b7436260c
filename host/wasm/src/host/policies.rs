//! The grants and ceilings of `policies/grants.toml`, brought into the store at the start.

use berth_model::plugin::Grant;

use super::{HostError, PluginHost};
use crate::policies::{GRANTED_BY, Policies, PolicyError};

/// What the file has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyChanges {
    pub given: usize,
    pub revoked: usize,
    /// Entries that stand in the file and that somebody has revoked: they stay revoked.
    pub withheld: usize,
}

/// Why the file was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file says what cannot be.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Host(#[from] HostError),
}

impl PluginHost {
    /// Gives what the file grants, and revokes what it granted once and grants no more. Applying it twice changes
    /// nothing; nothing changes when anything of it is wrong.
    ///
    /// A grant of the file that was revoked by hand stays revoked, and one that is used up is not given anew.
    pub async fn apply_policies(&self, source: &str) -> Result<PolicyChanges, ApplyError> {
        let policies = Policies::parse(source)?;
        for entry in &policies.grants {
            self.check_grant(&entry.new)
                .map_err(|error| PolicyError::at(source, Some(entry.span.clone()), error.to_string()))?;
        }
        let changes = self.exchange(&policies).await?;
        if let Some(ceilings) = policies.ceilings {
            self.set_ceilings(ceilings);
        }
        Ok(changes)
    }

    async fn exchange(&self, policies: &Policies) -> Result<PolicyChanges, HostError> {
        let _turn = self.changes.lock().await;
        let mut changes = PolicyChanges::default();
        let mut tx = self.parts.store.write().await?;
        let stored = tx.list_grants(None).await?;
        let ours = || stored.iter().filter(|grant| grant.granted_by.starts_with(GRANTED_BY));
        for entry in &policies.grants {
            // One that the file itself took back may come again.
            let known = ours().filter(|grant| grant.granted_by == entry.new.granted_by);
            let known: Vec<&Grant> =
                known.filter(|grant| grant.revoked_by.as_deref() != Some(GRANTED_BY)).collect();
            if known.is_empty() {
                let grant = self.new_grant(entry.new.clone());
                tx.insert_grant(&grant).await?;
                changes.given += 1;
            } else if known.iter().all(|grant| grant.revoked_at.is_some()) {
                changes.withheld += 1;
            }
        }
        for grant in ours().filter(|grant| grant.revoked_at.is_none()) {
            let stands = policies.grants.iter().any(|entry| entry.new.granted_by == grant.granted_by);
            if !stands {
                let revoked = Grant {
                    revoked_at: Some(self.parts.clock.now()),
                    revoked_by: Some(GRANTED_BY.to_owned()),
                    ..grant.clone()
                };
                tx.update_grant(&revoked).await?;
                changes.revoked += 1;
            }
        }
        let all = tx.list_grants(None).await?;
        tx.commit().await?;
        self.registry.set_grants(all);
        Ok(changes)
    }
}
