//! Bounds of a capability, such as `per_minute`: wished in a manifest, set in a grant, enforced by whoever serves it.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde_json::Value;

use super::Capability;

/// Named bounds; a name that is not there is not bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limit(BTreeMap<String, u64>);

impl Limit {
    /// Reads `{"per_minute": 600}`; null is no bound. Every name must be one of the capability's, every bound above 0.
    pub fn parse(capability: Capability, value: &Value) -> Result<Self, String> {
        let object = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            _ => return Err("the limit must be a table".to_owned()),
        };
        let known = names(capability);
        let mut bounds = BTreeMap::new();
        for (name, bound) in object {
            if !known.contains(&name.as_str()) {
                let capability = capability.as_str();
                return Err(match known {
                    [] => format!("`{capability}` has no limits, so no `{name}`"),
                    known => {
                        format!("`{name}` is no limit of `{capability}`: it has `{}`", known.join("`, `"))
                    }
                });
            }
            let bound = bound.as_u64().filter(|bound| *bound > 0);
            bounds.insert(name.clone(), bound.ok_or_else(|| format!("`{name}` must be a number above 0"))?);
        }
        Ok(Self(bounds))
    }

    /// The bounds of these names, which the caller knows to be right.
    pub fn of(bounds: impl IntoIterator<Item = (&'static str, NonZeroU64)>) -> Self {
        Self(bounds.into_iter().map(|(name, bound)| (name.to_owned(), bound.get())).collect())
    }

    /// The bound of this name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, bound)| (name.as_str(), *bound))
    }

    /// What both allow: the smaller of each bound.
    #[must_use]
    pub fn both(mut self, other: &Self) -> Self {
        for (name, bound) in &other.0 {
            let bound = self.0.get(name).map_or(*bound, |own| (*own).min(*bound));
            self.0.insert(name.clone(), bound);
        }
        self
    }

    /// What either allows: the larger of each bound, and none where one sets none.
    #[must_use]
    pub fn either(self, other: &Self) -> Self {
        let joined = self.0.into_iter().filter_map(|(name, own)| {
            let bound = other.0.get(&name)?;
            Some((name, own.max(*bound)))
        });
        Self(joined.collect())
    }

    /// Whether this allows everything that `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().all(|(name, own)| other.0.get(name).is_some_and(|theirs| theirs <= own))
    }
}

/// The bounds that a capability has.
pub fn names(capability: Capability) -> &'static [&'static str] {
    match capability {
        Capability::Http => {
            &["concurrent", "per_minute", "max_request_bytes", "max_response_bytes", "timeout_ms"]
        }
        Capability::Process => &["concurrent", "per_minute", "max_output_bytes", "timeout_ms"],
        Capability::Keyvalue => &["max_bytes", "max_keys", "max_value_bytes"],
        Capability::Websocket => &["concurrent", "per_minute", "max_frame_bytes"],
        Capability::Endpoint => &["per_minute", "timeout_ms"],
        Capability::Secret | Capability::Approval => &["per_minute"],
        Capability::Files => &["total_bytes", "total_files"],
        Capability::Config | Capability::Channel => &[],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn limit(value: Value) -> Limit {
        Limit::parse(Capability::Http, &value).unwrap()
    }

    #[test]
    fn a_limit_has_the_names_of_its_capability_alone() {
        assert_eq!(limit(json!({ "per_minute": 6 })).get("per_minute"), Some(6));
        for (value, problem) in [
            (json!({ "per_hour": 6 }), "`per_hour` is no limit of `http`"),
            (json!({ "per_minute": 0 }), "must be a number above 0"),
            (json!({ "per_minute": "6" }), "must be a number above 0"),
            (json!([]), "must be a table"),
        ] {
            let error = Limit::parse(Capability::Http, &value).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        assert!(Limit::parse(Capability::Files, &json!({ "per_minute": 6 })).is_err());
    }

    #[test]
    fn both_takes_the_smaller_bound_and_either_the_larger() {
        let (a, b) = (limit(json!({ "per_minute": 6, "concurrent": 2 })), limit(json!({ "per_minute": 9 })));

        assert_eq!(a.clone().both(&b), limit(json!({ "per_minute": 6, "concurrent": 2 })));
        assert_eq!(a.clone().either(&b), limit(json!({ "per_minute": 9 })));
        assert!(b.covers(&a) && !a.covers(&b));
    }
}
