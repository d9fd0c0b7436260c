//! What a plugin may do right now: its manifest, cut to what the operator granted.

use std::sync::Arc;

use berth_model::plugin::GrantMode;
use serde_json::{Value, json};

use super::{Capability, CapabilityError};

/// A wish of the manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub capability: Capability,
    pub required: bool,
    pub reason: String,
    /// A JSON object.
    pub scope: Value,
}

/// A live grant of the operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    pub capability: Capability,
    /// A JSON object.
    pub scope: Value,
    pub mode: GrantMode,
}

/// An immutable view; a change of grants makes a new one with a higher generation.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantView {
    generation: u64,
    plugin: String,
    requests: Vec<Request>,
    grants: Vec<Granted>,
}

/// Tells the view that counts right now.
///
/// Every host call compares the generation, so that a revocation acts at the next one.
pub trait GrantSource: Send + Sync {
    fn generation(&self) -> u64;

    /// The view of the current generation.
    fn view(&self) -> Arc<GrantView>;
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

impl GrantView {
    pub fn new(generation: u64, plugin: &str, requests: Vec<Request>, grants: Vec<Granted>) -> Self {
        Self { generation, plugin: plugin.to_owned(), requests, grants }
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

    /// Names of the capabilities with at least one grant that allows, sorted.
    pub fn granted(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Capability::ALL
            .into_iter()
            .filter(|capability| {
                self.requests(*capability).next().is_some()
                    && self.grants(*capability).any(|grant| allows(grant.mode))
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

    /// The grants of `capability`, refusals too.
    pub fn grants(&self, capability: Capability) -> impl Iterator<Item = &Granted> {
        self.grants.iter().filter(move |grant| grant.capability == capability)
    }

    /// Allows a use that `covers` recognises in the scope of the manifest and of a grant. A refusal wins.
    ///
    /// `wanted` is the scope that would have to be granted, for the message.
    pub fn decide(
        &self,
        capability: Capability,
        wanted: Value,
        covers: impl Fn(&Value) -> bool,
    ) -> Result<(), PermissionDenied> {
        let denied = |hint: String| PermissionDenied {
            plugin: self.plugin.clone(),
            capability: capability.as_str(),
            scope: Box::new(wanted.clone()),
            hint,
        };
        if !self.requests(capability).any(|request| covers(&request.scope)) {
            return Err(denied("its manifest does not ask for it".to_owned()));
        }
        let mut allowed = false;
        let mut asks = false;
        for grant in self.grants(capability).filter(|grant| covers(&grant.scope)) {
            match grant.mode {
                GrantMode::Deny => return Err(denied("a grant with mode `deny` forbids it".to_owned())),
                GrantMode::Ask => asks = true,
                GrantMode::Allow | GrantMode::Observe => allowed = true,
            }
        }
        if allowed {
            Ok(())
        } else if asks {
            Err(denied("a grant with mode `ask` needs an approval first".to_owned()))
        } else {
            Err(denied(format!(
                "berth plugin grant {} {} --scope '{wanted}'",
                self.plugin,
                capability.as_str()
            )))
        }
    }
}

/// Whether a grant of this mode lets the plugin act.
pub fn allows(mode: GrantMode) -> bool {
    matches!(mode, GrantMode::Allow | GrantMode::Observe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(grants: Vec<Granted>) -> GrantView {
        let request = Request {
            capability: Capability::Endpoint,
            required: true,
            reason: String::new(),
            scope: json!({}),
        };
        GrantView::new(1, "pi", vec![request], grants)
    }

    fn grant(mode: GrantMode) -> Granted {
        Granted { capability: Capability::Endpoint, scope: json!({}), mode }
    }

    #[test]
    fn what_nobody_granted_is_denied_with_the_command_that_would_grant_it() {
        let denied = view(Vec::new())
            .decide(Capability::Endpoint, json!({ "tools": ["gpio.read"] }), |_| true)
            .unwrap_err();

        assert_eq!(denied.hint, r#"berth plugin grant pi endpoint --scope '{"tools":["gpio.read"]}'"#);
    }

    #[test]
    fn one_refusal_beats_every_permission() {
        let view = view(vec![grant(GrantMode::Allow), grant(GrantMode::Deny)]);

        assert!(view.decide(Capability::Endpoint, json!({}), |_| true).is_err());
    }

    #[test]
    fn a_grant_that_the_manifest_never_asked_for_gives_nothing() {
        let grants =
            vec![Granted { capability: Capability::Files, scope: json!({}), mode: GrantMode::Allow }];
        let view = view(grants);

        assert!(view.decide(Capability::Files, json!({}), |_| true).is_err());
        assert_eq!(view.granted(), Vec::<&str>::new());
    }
}
