//! Stored grants become the view that counts for one call.

use std::sync::Arc;

use berth_model::plugin::{DigestRule, Grant, GrantState};
use berth_model::{OperationId, Origin, RunId, Timestamp, WorkspaceId};

use super::policy::Ceiling;
use super::{Entry, GrantView, Granted, HeldScope, Request};
use crate::capability::Capability;
use crate::capability::limit::Limit;

/// A stored grant; cheap to clone, and what is read of its scope is read once for all views.
#[derive(Debug, Clone)]
pub struct HeldGrant {
    pub grant: Arc<Grant>,
    scope: HeldScope,
}

impl From<Grant> for HeldGrant {
    fn from(grant: Grant) -> Self {
        let scope = HeldScope::from(grant.scope.clone());
        Self { grant: Arc::new(grant), scope }
    }
}

/// Whose authority is asked about, and on whose behalf.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub plugin: &'a str,
    /// Lower-case hex SHA-256 of the component.
    pub digest: &'a str,
    pub version: &'a semver::Version,
    /// The key that signed the build, if one did.
    pub publisher: Option<&'a str>,
    /// Whether an operator agreed to this build: one put in place by hand is inert.
    pub is_approved: bool,
    pub workspace: &'a WorkspaceId,
    pub origin: Origin,
    pub run: Option<RunId>,
    pub operation: OperationId,
}

impl Subject<'_> {
    fn has_build(&self, rule: &DigestRule) -> bool {
        match rule {
            DigestRule::Any => true,
            DigestRule::Exact(digest) => digest == self.digest,
            DigestRule::Publisher { key, versions } => {
                let range = semver::VersionReq::parse(versions);
                self.publisher == Some(key.as_str()) && range.is_ok_and(|range| range.matches(self.version))
            }
        }
    }

    fn is_bound(&self, name: &str) -> bool {
        self.run.is_some_and(|run| run.to_string() == name) || self.operation.to_string() == name
    }

    /// Whether a grant is for this plugin, build, workspace and run; when it counts is another question.
    ///
    /// A refusal is for every build: it must not fall off with the next one.
    pub fn is_meant_by(&self, grant: &Grant) -> bool {
        let refuses = grant.mode == berth_model::plugin::GrantMode::Deny;
        grant.plugin.as_str() == self.plugin
            && (refuses || self.has_build(&grant.rule))
            && grant.workspace.as_ref().is_none_or(|only| only == self.workspace)
            && grant.bound_to.as_deref().is_none_or(|only| self.is_bound(only))
    }
}

impl GrantView {
    /// The view of `subject` at `now`: manifest ∩ grants ∩ ceilings.
    ///
    /// A grant of a capability that this version does not know gives nothing; a limit that cannot be read gives nothing
    /// either, since it was meant to bound.
    pub fn compile(
        generation: u64,
        subject: &Subject<'_>,
        requests: Arc<Vec<Request>>,
        grants: &[HeldGrant],
        ceilings: &[Ceiling],
        now: Timestamp,
    ) -> Self {
        let mut next_change: Option<Timestamp> = None;
        let mut entries = Vec::new();
        let mut spent = Vec::new();
        for HeldGrant { grant, scope } in grants.iter().filter(|held| subject.is_meant_by(&held.grant)) {
            if let Some(change) = grant.next_change(now) {
                next_change = Some(next_change.map_or(change, |next| next.min(change)));
            }
            let refuses = grant.mode == berth_model::plugin::GrantMode::Deny;
            let Some(capability) = Capability::lookup(&grant.capability) else { continue };
            if grant.state(now) == GrantState::UsedUp && !refuses {
                spent.push(Granted { capability, scope: scope.clone(), mode: grant.mode });
            }
            if !grant.is_live(now) {
                continue;
            }
            let limit = match Limit::parse(capability, &grant.limit) {
                Ok(limit) => limit,
                Err(_) if refuses => Limit::default(),
                Err(_) => continue,
            };
            entries.push(Entry {
                granted: Granted { capability, scope: scope.clone(), mode: grant.mode },
                id: Some(grant.id),
                // Refusals are not used up.
                is_counted: grant.uses_left.is_some() && !refuses,
                was_asked: grant.approval.is_some(),
                limit,
            });
        }
        let ceilings = ceilings
            .iter()
            .filter(|ceiling| ceiling.is_over(subject.plugin, subject.workspace, subject.origin))
            .cloned()
            .collect();
        Self {
            generation,
            plugin: subject.plugin.to_owned(),
            requests,
            entries,
            spent,
            ceilings,
            is_inert: !subject.is_approved,
            next_change,
        }
    }
}
