//! The one door to every capability: decide, ask, count, write down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_model::audit::AuditDecision;
use berth_model::{ApprovalId, GrantId, Origin};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::asking::Asking;
use super::state::PluginState;
use crate::capability::approvals::{Question, Reply};
use crate::capability::context::CallContext;
use crate::capability::grants::{Decision, GrantSource, GrantView, HeldScope, until_refused};
use crate::capability::ledger::AuditEntry;
use crate::capability::limit::Limit;
use crate::capability::services::Services;
use crate::capability::throttle::Pass;
use crate::capability::{Capability, CapabilityError};

/// Left for the host to park a call before its time is over.
const PARKING: Duration = Duration::from_millis(250);
/// How often a decision is taken anew because the grants changed under it.
const ATTEMPTS: usize = 16;

/// What a decision needs; the store of a call has it, and so has a call whose store is not made yet.
pub(crate) struct Door<'a> {
    pub view: &'a mut Arc<GrantView>,
    pub source: &'a dyn GrantSource,
    pub context: &'a Arc<CallContext>,
    pub services: &'a Services,
    pub clock: &'a dyn berth_core::port::clock::Clock,
    pub asking: &'a Asking,
    pub cancel: &'a CancellationToken,
    /// When the call ends.
    pub deadline: Instant,
}

impl PluginState {
    /// Asks for one use of a capability: the one door for every host function that needs a grant.
    ///
    /// `wanted` is the scope that would have to be granted; `covers` recognises it in the scopes of the manifest and of
    /// the grants. Waits for the answer of a person where a grant says so; a call whose time would end meanwhile does
    /// not come back from here: its guest is ended, and the call is run again once there is a yes.
    pub async fn authorize(
        &mut self,
        capability: Capability,
        wanted: Value,
        covers: impl Fn(&HeldScope) -> bool + Send,
    ) -> Result<(), CapabilityError> {
        self.refresh_grants();
        let allowed = self.door().authorize(capability, wanted, covers).await;
        if allowed.as_ref().is_err_and(|error| error.code == "PERMISSION_DENIED") {
            self.spending().count_denial();
        }
        // The grants may have changed while a person was asked.
        self.check_folders();
        allowed
    }

    /// Counts a use that was authorized against its limit; it is at work until the pass is dropped.
    pub fn throttled(
        &mut self,
        capability: Capability,
        covers: impl Fn(&HeldScope) -> bool,
    ) -> Result<(Limit, Pass), CapabilityError> {
        let view = self.grants();
        let limit = view.limit(capability, covers);
        let pass = self.services().throttle.enter(view.plugin(), capability, &limit)?;
        Ok((limit, pass))
    }

    /// Does `work`, a use that was authorized, until it is done, the call is cancelled, or the grant is taken back: then
    /// it ends there and then, with a denial.
    pub async fn while_granted<T>(
        &mut self,
        capability: Capability,
        wanted: Value,
        covers: impl Fn(&HeldScope) -> bool + Send + Sync,
        work: impl Future<Output = Result<T, CapabilityError>> + Send,
    ) -> Result<T, CapabilityError> {
        let cancel = self.cancel().clone();
        let ((source, clock), view) = (self.authority(), self.grants());
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(CapabilityError::cancelled()),
            done = work => return done,
            () = until_refused(&*source, &*clock, view, capability, &wanted, &covers) => {}
        }
        self.authorize(capability, wanted.clone(), covers).await?;
        // It was granted anew, and what was at work has ended all the same.
        Err(self
            .grants()
            .refusal(capability, &wanted, "its grant was taken back meanwhile: try again")
            .into())
    }
}

impl Door<'_> {
    fn refresh(&mut self) {
        let is_same = self.source.generation() == self.view.generation();
        let is_due = || self.view.next_change().is_some_and(|change| change <= self.clock.now());
        if !is_same || is_due() {
            *self.view = self.source.view();
        }
    }

    pub async fn authorize(
        &mut self,
        capability: Capability,
        wanted: Value,
        covers: impl Fn(&HeldScope) -> bool + Send,
    ) -> Result<(), CapabilityError> {
        if self.context.dry_run && (capability.is_write(&wanted) || capability == Capability::Approval) {
            let message = format!("a dry run changes nothing: `{}` is not used for it", capability.as_str());
            let facts = serde_json::json!({ "capability": capability.as_str(), "scope": wanted });
            return Err(CapabilityError::new("dry_run", message).with_details(facts));
        }
        // A yes of this very use.
        let mut answered: Option<ApprovalId> = None;
        for _ in 0..ATTEMPTS {
            self.refresh();
            let entry = Entry { capability, wanted: &wanted, grant: None, approval: answered };
            match self.view.decision(capability, &wanted, &covers) {
                Decision::Denied(denied) => {
                    self.note(entry, AuditDecision::Denied).await;
                    return Err(denied.into());
                }
                Decision::Allowed(permit) => {
                    let entry = Entry { grant: permit.grant, ..entry };
                    match permit.grant.filter(|_| permit.is_counted) {
                        Some(grant) => {
                            let entry = self.entry(entry, AuditDecision::Allowed);
                            if self.services.ledger.take(grant, entry).await? {
                                return Ok(());
                            }
                            // Somebody else had the last one; the view knows by now.
                        }
                        None if permit.is_observed => {
                            return self.write_down(entry, AuditDecision::Observed).await;
                        }
                        None if answered.is_some() || capability.is_write(&wanted) => {
                            return self.write_down(entry, AuditDecision::Allowed).await;
                        }
                        None => return Ok(()),
                    }
                }
                Decision::Ask if answered.is_some() => {
                    return self.write_down(entry, AuditDecision::Allowed).await;
                }
                Decision::Ask => answered = Some(self.ask(capability, &wanted).await?),
            }
        }
        let hint = "its grants change faster than they can be looked at";
        Err(self.view.refusal(capability, &wanted, hint).into())
    }

    /// Asks and waits; comes back with a yes, or not at all when the call is parked.
    async fn ask(&mut self, capability: Capability, wanted: &Value) -> Result<ApprovalId, CapabilityError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Only the owner is there to answer; others come back to it.
        let is_interactive = Origin::of(&self.context.actor) == Origin::User;
        let wait = if is_interactive { left.saturating_sub(PARKING) } else { Duration::ZERO };
        let question = Question {
            plugin: self.view.plugin().to_owned(),
            capability,
            scope: wanted.clone(),
            is_write: capability.is_write(wanted),
            context: self.context.clone(),
        };
        let spent = self.asking.spent();
        let reply = self.services.approvals.ask(question, &spent, wait, self.cancel).await?;
        let (approval, hint) = match reply {
            Reply::Yes(approval) => {
                self.asking.spend(approval);
                return Ok(approval);
            }
            Reply::Open(approval) if self.asking.stays() => {
                let hint = format!("the owner is asked: {approval} waits for an answer");
                let entry = Entry { capability, wanted, grant: None, approval: Some(approval) };
                self.note(entry, AuditDecision::Denied).await;
                return Err(pending(self.view.refusal(capability, wanted, &hint).into(), approval));
            }
            Reply::Open(approval) => {
                self.asking.park(approval);
                return std::future::pending().await;
            }
            Reply::No(approval, reason) if reason.is_empty() => {
                (Some(approval), "the owner said no".to_owned())
            }
            Reply::No(approval, reason) => (Some(approval), format!("the owner said no: {reason}")),
            Reply::Nobody => (None, "it needs an approval first".to_owned()),
        };
        let entry = Entry { capability, wanted, grant: None, approval };
        self.note(entry, AuditDecision::Denied).await;
        Err(self.view.refusal(capability, wanted, &hint).into())
    }

    /// A denial is a denial whether or not it can be written down.
    async fn note(&self, entry: Entry<'_>, decision: AuditDecision) {
        if let Err(error) = self.write_down(entry, decision).await {
            tracing::warn!(
                plugin.id = self.view.plugin(),
                code = error.code,
                "a denial could not be written down"
            );
        }
    }

    /// What changes something is written down before it is done, or it is not done.
    async fn write_down(&self, entry: Entry<'_>, decision: AuditDecision) -> Result<(), CapabilityError> {
        let entry = self.entry(entry, decision);
        let Some((key, entry)) = self.asking.trail().count(entry) else { return Ok(()) };
        let id = self.services.ledger.record(entry).await?;
        self.asking.trail().recorded(key, id);
        Ok(())
    }

    fn entry(&self, entry: Entry<'_>, decision: AuditDecision) -> AuditEntry {
        AuditEntry {
            plugin: self.view.plugin().to_owned(),
            capability: entry.capability,
            scope: entry.wanted.clone(),
            decision,
            is_write: entry.capability.is_write(entry.wanted),
            grant: entry.grant,
            approval: entry.approval,
            context: self.context.clone(),
        }
    }
}

/// A denial that names the question which has no answer yet.
fn pending(mut denied: CapabilityError, approval: ApprovalId) -> CapabilityError {
    let mut details = denied.details.take().map(|details| *details).unwrap_or_default();
    if let Some(facts) = details.as_object_mut() {
        facts.insert("approval_id".to_owned(), approval.to_string().into());
    }
    denied.retryable = true;
    denied.with_details(details)
}

/// A use on its way into the audit.
struct Entry<'a> {
    capability: Capability,
    wanted: &'a Value,
    grant: Option<GrantId>,
    approval: Option<ApprovalId>,
}
