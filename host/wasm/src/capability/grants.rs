//! What a plugin may do right now: its manifest, cut to what the operator granted. Pure decisions.
//!
//! Effective authority = manifest ∩ grants ∩ ceilings of the operator, where a ceiling may be for a workspace or for who
//! started the work. Any refusal wins; a grant that has expired, has not begun or is used up does not count.

pub mod compile;
pub mod policy;
mod scope;
mod until;

use std::sync::Arc;

use berth_model::plugin::GrantMode;
use berth_model::{GrantId, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::limit::Limit;
use super::{Capability, CapabilityError};
pub use compile::{HeldGrant, Subject};
pub use policy::{Ceiling, Permission, Uses};
pub use scope::HeldScope;
pub use until::until_refused;

/// A wish of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub capability: Capability,
    pub required: bool,
    pub reason: String,
    pub scope: HeldScope,
    pub limit: Limit,
}

impl Request {
    /// A wish without reason and limit, which the plugin can do without.
    pub fn new(capability: Capability, scope: impl Into<HeldScope>) -> Self {
        let scope = scope.into();
        Self { capability, required: false, reason: String::new(), scope, limit: Limit::default() }
    }
}

/// A live grant of the operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    pub capability: Capability,
    pub scope: HeldScope,
    pub mode: GrantMode,
}

/// A live grant, with what is needed to use it.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    granted: Granted,
    id: Option<GrantId>,
    /// Each use takes one of those that are left.
    is_counted: bool,
    /// A person answered for it: no ceiling asks again.
    was_asked: bool,
    limit: Limit,
}

/// An immutable view; a change of grants makes a new one with a higher generation.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantView {
    generation: u64,
    plugin: String,
    requests: Arc<Vec<Request>>,
    entries: Vec<Entry>,
    /// Grants that count no more because they are used up.
    spent: Vec<Granted>,
    ceilings: Vec<Ceiling>,
    is_inert: bool,
    next_change: Option<Timestamp>,
}

/// Tells the view that counts right now.
///
/// Every host call compares the generation, so that a revocation acts at the next one.
pub trait GrantSource: Send + Sync {
    fn generation(&self) -> u64;

    /// The view of the current generation.
    fn view(&self) -> Arc<GrantView>;

    /// Tells of each change of grants; `None` where none changes.
    fn changes(&self) -> Option<watch::Receiver<()>> {
        None
    }
}

/// A view that never changes.
#[derive(Debug, Clone)]
pub struct Fixed(pub Arc<GrantView>);

impl GrantSource for Fixed {
    fn generation(&self) -> u64 {
        self.0.generation
    }

    fn view(&self) -> Arc<GrantView> {
        self.0.clone()
    }
}

/// A use that the operator has not allowed. A value for the guest, never a trap.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the operator has not granted `{capability}` for {scope} to `{plugin}`: {hint}")]
pub struct PermissionDenied {
    pub plugin: String,
    pub capability: &'static str,
    pub scope: Box<Value>,
    /// What somebody can do about it.
    pub hint: String,
}

impl From<PermissionDenied> for CapabilityError {
    fn from(denied: PermissionDenied) -> Self {
        let details = json!({
            "plugin": denied.plugin,
            "capability": denied.capability,
            "scope": denied.scope,
            "hint": denied.hint,
        });
        Self::new("PERMISSION_DENIED", denied.to_string()).with_details(details)
    }
}

/// What the view says to a use.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    Allowed(Permit),
    /// A person must agree first.
    Ask,
    Denied(PermissionDenied),
}

/// A use that may go ahead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The grant that it rests on.
    pub grant: Option<GrantId>,
    /// Whether the use must be taken from the grant first.
    pub is_counted: bool,
    /// Whether the grant only watches: each use is written down.
    pub is_observed: bool,
}

impl GrantView {
    /// A view of plain grants, without ceilings.
    pub fn new(generation: u64, plugin: &str, requests: Vec<Request>, grants: Vec<Granted>) -> Self {
        let entries = grants
            .into_iter()
            .map(|granted| Entry {
                granted,
                id: None,
                is_counted: false,
                was_asked: false,
                limit: Limit::default(),
            })
            .collect();
        Self {
            generation,
            plugin: plugin.to_owned(),
            requests: Arc::new(requests),
            entries,
            spent: Vec::new(),
            ceilings: Vec::new(),
            is_inert: false,
            next_change: None,
        }
    }

    /// A view that allows nothing.
    pub fn nothing(plugin: &str) -> Self {
        Self::new(0, plugin, Vec::new(), Vec::new())
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The id of the plugin.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// From when on another view counts although nobody changed a grant; `None` for never.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.next_change
    }

    /// Names of the capabilities with at least one grant that allows, sorted.
    pub fn granted(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Capability::ALL
            .into_iter()
            .filter(|capability| {
                self.requests(*capability).next().is_some()
                    && self.grants(*capability).any(|grant| allows(grant.mode))
                    && self.ceiling(*capability, false) == Permission::Allowed
            })
            .map(Capability::as_str)
            .collect();
        names.sort_unstable();
        names
    }

    /// What the manifest asks for of `capability`.
    pub fn requests(&self, capability: Capability) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| request.capability == capability)
    }

    /// The live grants of `capability`, refusals too; none of a plugin that nobody approved.
    pub fn grants(&self, capability: Capability) -> impl Iterator<Item = &Granted> {
        self.entries(capability).map(|entry| &entry.granted)
    }

    fn entries(&self, capability: Capability) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter().filter(|_| !self.is_inert);
        entries.filter(move |entry| entry.granted.capability == capability)
    }

    /// How far a use may go at most, whatever is granted.
    pub fn ceiling(&self, capability: Capability, is_write: bool) -> Permission {
        let over = self.ceilings.iter().filter(|ceiling| ceiling.concerns(capability, is_write));
        over.map(|ceiling| ceiling.most).min().unwrap_or(Permission::Allowed)
    }

    /// Whether a use that was allowed may go on, such as the reading of an answer: nothing refuses it by now, and a grant
    /// still covers it, even one that it has used up.
    pub fn goes_on(
        &self,
        capability: Capability,
        wanted: &Value,
        covers: impl Fn(&HeldScope) -> bool,
    ) -> bool {
        let fits = |grant: &&Granted| grant.capability == capability && covers(&grant.scope);
        let live: Vec<&Granted> = self.grants(capability).filter(fits).collect();
        let is_open =
            !self.is_inert && self.ceiling(capability, capability.is_write(wanted)) != Permission::Denied;
        let is_refused = live.iter().any(|grant| grant.mode == GrantMode::Deny);
        is_open && !is_refused && (!live.is_empty() || self.spent.iter().any(|grant| fits(&grant)))
    }

    /// The bounds of a use that `covers` recognises: what manifest and grants both allow, each the most that one of
    /// its own covers. Says nothing on whether the use is allowed.
    pub fn limit(&self, capability: Capability, covers: impl Fn(&HeldScope) -> bool) -> Limit {
        let asked = self.requests(capability).filter(|request| covers(&request.scope));
        let asked = asked.map(|request| request.limit.clone()).reduce(|a, b| a.either(&b));
        let given = self.entries(capability).filter(|entry| entry.granted.mode != GrantMode::Deny);
        let given = given.filter(|entry| covers(&entry.granted.scope));
        let given = given.map(|entry| entry.limit.clone()).reduce(|a, b| a.either(&b));
        asked.unwrap_or_default().both(&given.unwrap_or_default())
    }

    /// Allows a use that `covers` recognises in the scope of the manifest and of a grant. A refusal wins; a use that a
    /// person must agree to first is not allowed here: see [`GrantView::decision`].
    ///
    /// `wanted` is the scope that would have to be granted, for the message.
    pub fn decide(
        &self,
        capability: Capability,
        wanted: Value,
        covers: impl Fn(&HeldScope) -> bool,
    ) -> Result<(), PermissionDenied> {
        match self.decision(capability, &wanted, covers) {
            Decision::Allowed(_) => Ok(()),
            Decision::Ask => Err(self.denied(capability, &wanted, "it needs an approval first")),
            Decision::Denied(denied) => Err(denied),
        }
    }

    /// What is said to a use that `covers` recognises in the scope of the manifest and of a grant.
    pub fn decision(
        &self,
        capability: Capability,
        wanted: &Value,
        covers: impl Fn(&HeldScope) -> bool,
    ) -> Decision {
        let deny = |hint: &str| Decision::Denied(self.denied(capability, wanted, hint));
        if self.is_inert {
            return deny(&format!(
                "nobody approved this build of the plugin; `berth plugin enable {}` does",
                self.plugin
            ));
        }
        if !self.requests(capability).any(|request| covers(&request.scope)) {
            return deny("its manifest does not ask for it");
        }
        let mut permit: Option<&Entry> = None;
        let mut asks = false;
        for entry in self.entries(capability).filter(|entry| covers(&entry.granted.scope)) {
            match entry.granted.mode {
                GrantMode::Deny => return deny("a grant with mode `deny` forbids it"),
                GrantMode::Ask => asks = true,
                GrantMode::Allow | GrantMode::Observe => {
                    permit = Some(permit.map_or(entry, |best| better(best, entry)));
                }
            }
        }
        match (self.ceiling(capability, capability.is_write(wanted)), permit) {
            (Permission::Denied, _) => deny("a ceiling of the operator's policy forbids it"),
            (Permission::Asked, Some(entry)) if !entry.was_asked => Decision::Ask,
            (_, Some(entry)) => Decision::Allowed(Permit {
                grant: entry.id,
                is_counted: entry.is_counted,
                is_observed: entry.granted.mode == GrantMode::Observe,
            }),
            (_, None) if asks => Decision::Ask,
            (_, None) => deny(&format!(
                "berth plugin grant {} {} --scope '{wanted}'",
                self.plugin,
                capability.as_str()
            )),
        }
    }

    fn denied(&self, capability: Capability, wanted: &Value, hint: &str) -> PermissionDenied {
        PermissionDenied {
            plugin: self.plugin.clone(),
            capability: capability.as_str(),
            scope: Box::new(wanted.clone()),
            hint: hint.to_owned(),
        }
    }

    /// A refusal of `wanted` for the reason `hint`, such as the answer of a person.
    pub fn refusal(&self, capability: Capability, wanted: &Value, hint: &str) -> PermissionDenied {
        self.denied(capability, wanted, hint)
    }
}

/// Of two grants that allow, the one to use: asked for beats unasked, plain beats watched, uncounted beats counted.
fn better<'a>(a: &'a Entry, b: &'a Entry) -> &'a Entry {
    let rank = |entry: &Entry| (!entry.was_asked, entry.is_counted, entry.granted.mode == GrantMode::Observe);
    if rank(b) < rank(a) { b } else { a }
}

/// Whether a grant of this mode lets the plugin act.
pub fn allows(mode: GrantMode) -> bool {
    mode.allows()
}

#[cfg(test)]
mod tests;
