//! What one version of a plugin asks for beyond another, as it is told to the operator.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The difference of what two versions of a plugin ask for; each wish of either stands in one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct CapabilityDiff {
    pub added: Vec<DiffEntry>,
    pub widened: Vec<DiffEntry>,
    pub narrowed: Vec<DiffEntry>,
    pub removed: Vec<DiffEntry>,
    pub unchanged: Vec<DiffEntry>,
    /// Absent when it is signed as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<PublisherChange>,
}

/// Another publisher than before.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PublisherChange {
    /// The key that signed the version in place.
    pub before: String,
    /// Null when nobody signed the new one.
    pub after: Option<String>,
    /// The change in plain words.
    pub line: String,
}

/// One wish of a difference.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct DiffEntry {
    pub capability: String,
    /// Null of what is new.
    pub before: Option<Extent>,
    /// Null of what is gone.
    pub after: Option<Extent>,
    pub required: bool,
    /// Why the plugin wants it, in its own words.
    pub reason: String,
    /// The difference in plain words.
    pub line: String,
}

/// How far a wish reaches.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Extent {
    #[schema(value_type = Object)]
    pub scope: Value,
    #[schema(value_type = Object)]
    pub limit: Value,
}

impl CapabilityDiff {
    /// For a person: what reaches further first; what stays the same is left out.
    pub fn lines(&self) -> Vec<String> {
        let publisher = self.publisher.iter().map(|change| change.line.clone());
        let changed = [&self.added, &self.widened, &self.narrowed, &self.removed];
        publisher.chain(changed.into_iter().flatten().map(|entry| entry.line.clone())).collect()
    }
}
