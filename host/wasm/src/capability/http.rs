//! HTTP requests of guests: what a scope covers, who decides on each use, and what they are sent with.

mod outlet;
mod secrets;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use berth_broker::{Asker, Authority, Denied, Limits, Permit, Scope, Target, Use};
use berth_model::plugin::GrantMode;
use serde_json::{Value, json};

pub use outlet::HttpOutlet;
pub use secrets::PlacedSecrets;

use super::grants::{GrantView, HeldScope, allows};
use super::{Capability, is_left_open};
use crate::call::access::Access;

/// Checks the scope of a manifest. What is private is left to [`private`], which an install looks at; an empty one
/// leaves the hosts to the operator.
pub fn check_request(scope: &Value) -> Result<(), String> {
    if scope.get("addresses").is_some() {
        return Err("`addresses` stands in a grant of the operator only".to_owned());
    }
    if is_left_open(scope) { Ok(()) } else { check_grant(scope) }
}

/// Checks the scope of a grant.
pub fn check_grant(scope: &Value) -> Result<(), String> {
    Scope::read(scope, Asker::Operator).map(drop).map_err(|error| error.to_string())
}

/// The private hosts of a manifest's scope that none of `granted` names.
pub fn private(scope: &Value, granted: &[&Value]) -> Vec<String> {
    let Ok(scope) = Scope::read(scope, Asker::Operator) else { return Vec::new() };
    let granted: Vec<Scope> =
        granted.iter().filter_map(|scope| Scope::read(scope, Asker::Operator).ok()).collect();
    let is_named = |host: &String| {
        Target::parse(host)
            .is_ok_and(|target| granted.iter().any(|scope| scope.covers_origin(target.origin())))
    };
    scope.private().into_iter().filter(|host| !is_named(host)).collect()
}

/// The limits with those that `read` knows in the place of the defaults.
pub fn limits(read: impl Fn(&str) -> Option<u64>) -> Limits {
    let small = |name: &str, default: u32| {
        read(name).map_or(default, |value| u32::try_from(value).unwrap_or(u32::MAX))
    };
    let default = Limits::default();
    Limits {
        concurrent: small("concurrent", default.concurrent),
        per_minute: small("per_minute", default.per_minute),
        max_response_bytes: read("max_response_bytes").unwrap_or(default.max_response_bytes),
        max_request_bytes: read("max_request_bytes").unwrap_or(default.max_request_bytes),
    }
    .at_most(Limits::CEILING)
}

/// Whether a scope covers a request.
pub fn covers(scope: &HeldScope, method: &str, target: &Target) -> bool {
    is_left_open(scope) || scope.http().is_some_and(|scope| scope.covers(method, target))
}

/// The scope that would have to be granted for a request.
pub fn wanted(method: &str, target: &Target) -> Value {
    json!({ "hosts": [target.origin().to_string()], "paths": [target.path()], "methods": [method] })
}

/// Whether the grants cover everything that `wanted` asks for, a scope of its own.
pub fn check(view: &GrantView, wanted: &Value) -> bool {
    let Ok(wanted) = Scope::read(wanted, Asker::Operator) else { return false };
    let within =
        |scope: &HeldScope| is_left_open(scope) || scope.http().is_some_and(|scope| wanted.is_within(scope));
    view.decide(Capability::Http, Value::Null, within).is_ok()
}

/// The scopes of the grants that cover a request: those that allow it, else those that a person was asked about.
fn covering(view: &GrantView, method: &str, target: &Target) -> Vec<Scope> {
    let scopes = |fits: &dyn Fn(GrantMode) -> bool| -> Vec<Scope> {
        view.grants(Capability::Http)
            .filter(|grant| fits(grant.mode))
            .filter_map(|grant| grant.scope.http())
            .filter(|scope| scope.covers(method, target))
            .cloned()
            .collect()
    };
    let allowed = scopes(&allows);
    if allowed.is_empty() { scopes(&|mode| mode == GrantMode::Ask) } else { allowed }
}

/// Decides on each request, redirect and piece of an answer of one call by the grants of that moment.
pub struct GrantAuthority {
    access: Access,
    /// The view under which the running answer was last found to be allowed.
    seen: Mutex<Option<Arc<GrantView>>>,
}

impl GrantAuthority {
    pub fn new(access: Access) -> Self {
        Self { access, seen: Mutex::new(None) }
    }
}

#[async_trait]
impl Authority for GrantAuthority {
    async fn authorize(&self, wanted: Use<'_>) -> Result<Permit, Denied> {
        let Use { method, target } = wanted;
        let scope = self::wanted(method, target);
        self.access
            .authorize(Capability::Http, scope, |scope| covers(scope, method, target))
            .await
            .map_err(|error| Denied { message: error.message, retryable: error.retryable })?;
        // The answer may have taken a while.
        Ok(Permit::new(covering(&self.access.view(), method, target)))
    }

    async fn until_refused(&self, wanted: Use<'_>) {
        let Use { method, target } = wanted;
        let scope = self::wanted(method, target);
        self.access.until_refused(Capability::Http, &scope, |scope| covers(scope, method, target)).await;
    }

    fn still_allows(&self, wanted: Use<'_>) -> bool {
        let Use { method, target } = wanted;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref().is_some_and(|seen| self.access.is_current(seen)) {
            return true;
        }
        let view = self.access.view();
        let scope = self::wanted(method, target);
        let goes_on = view.goes_on(Capability::Http, &scope, |scope| covers(scope, method, target));
        *seen = goes_on.then_some(view);
        goes_on
    }
}

#[cfg(test)]
mod tests;
