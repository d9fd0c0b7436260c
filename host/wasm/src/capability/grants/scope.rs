//! The scope of a wish or a grant: as it is written, and as requests are compared with it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use berth_broker::{Asker, Scope};
use serde_json::Value;

/// A scope, a JSON object. Cheap to clone; what is read of it is read once, at its first use, for all clones.
#[derive(Debug, Clone)]
pub struct HeldScope(Arc<Held>);

#[derive(Debug)]
struct Held {
    written: Value,
    http: OnceLock<Option<Scope>>,
}

impl HeldScope {
    /// The scope as one of requests over the network; `None` when it cannot be read as one, so that it covers nothing.
    pub fn http(&self) -> Option<&Scope> {
        let read = || Scope::read(&self.0.written, Asker::Operator).ok();
        self.0.http.get_or_init(read).as_ref()
    }

    /// The scope as it is written.
    pub fn to_json(&self) -> Value {
        self.0.written.clone()
    }
}

impl From<Value> for HeldScope {
    fn from(written: Value) -> Self {
        Self(Arc::new(Held { written, http: OnceLock::new() }))
    }
}

impl Deref for HeldScope {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0.written
    }
}

impl PartialEq for HeldScope {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.written == other.0.written
    }
}

impl PartialEq<Value> for HeldScope {
    fn eq(&self, other: &Value) -> bool {
        self.0.written == *other
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_read_of_a_scope_is_read_once_for_all_clones() {
        let scope = HeldScope::from(json!({ "hosts": ["https://api.example.com"] }));
        let clone = scope.clone();

        assert!(std::ptr::eq(scope.http().unwrap(), clone.http().unwrap()));
    }

    #[test]
    fn a_scope_that_cannot_be_read_is_none_of_requests() {
        assert_eq!(HeldScope::from(json!({ "hosts": "everywhere" })).http(), None);
    }
}
