//! Grants: what an operator allows a plugin, for which build of it, where and until when.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::{ApprovalId, GrantId, PluginId, Timestamp, WorkspaceId, word_enum};

word_enum!(
    /// How a grant answers a use of its capability.
    pub enum GrantMode {
        Allow = "allow",
        Ask = "ask",
        Observe = "observe",
        Deny = "deny",
    }
);

impl GrantMode {
    /// Whether a use goes ahead without a question.
    pub const fn allows(self) -> bool {
        matches!(self, Self::Allow | Self::Observe)
    }
}

/// Which builds of a plugin a grant is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DigestRule {
    #[default]
    Any,
    /// Lower-case hex SHA-256 of the component.
    Exact(String),
    /// Whatever this publisher signed, in a range of versions such as `^1.2`.
    Publisher { key: String, versions: String },
}

/// `any`, `sha256:<64 hex digits>` or `publisher:<key> <range of versions>`.
impl fmt::Display for DigestRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Exact(digest) => write!(f, "sha256:{digest}"),
            Self::Publisher { key, versions } => write!(f, "publisher:{key} {versions}"),
        }
    }
}

/// A text that is no rule for builds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a rule for builds is `any`, `sha256:` with 64 hex digits, or `publisher:KEY RANGE`")]
pub struct BadDigestRule;

impl FromStr for DigestRule {
    type Err = BadDigestRule;

    fn from_str(text: &str) -> Result<Self, BadDigestRule> {
        if text == "any" {
            return Ok(Self::Any);
        }
        if let Some(digest) = text.strip_prefix("sha256:") {
            let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            return if is_digest { Ok(Self::Exact(digest.to_ascii_lowercase())) } else { Err(BadDigestRule) };
        }
        let rule = text.strip_prefix("publisher:").ok_or(BadDigestRule)?;
        let (key, versions) = rule.split_once(' ').ok_or(BadDigestRule)?;
        let versions = versions.trim();
        if key.is_empty() || versions.is_empty() {
            return Err(BadDigestRule);
        }
        Ok(Self::Publisher { key: key.to_owned(), versions: versions.to_owned() })
    }
}

/// What an operator allows a plugin. Never in reach of the plugin or of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    pub id: GrantId,
    pub plugin: PluginId,
    /// `files`, `endpoint`, `http` …
    pub capability: String,
    pub scope: Value,
    /// Named bounds such as `{"per_minute": 60}`; null or empty for none.
    pub limit: Value,
    pub mode: GrantMode,
    pub rule: DigestRule,
    pub workspace: Option<WorkspaceId>,
    /// The run or the operation that it is for alone.
    pub bound_to: Option<String>,
    pub granted_by: String,
    pub reason: String,
    /// The approval whose answer it is.
    pub approval: Option<ApprovalId>,
    pub created_at: Timestamp,
    /// Does not count before.
    pub starts_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub uses_left: Option<i64>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<String>,
}

word_enum!(
    /// How a grant stands at a moment.
    pub enum GrantState {
        Live = "live",
        NotBegun = "not_begun",
        Expired = "expired",
        UsedUp = "used_up",
        Revoked = "revoked",
    }
);

impl Grant {
    /// Whether the grant counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.state(now) == GrantState::Live
    }

    /// How the grant stands at `now`: what ended it for good comes first.
    pub fn state(&self, now: Timestamp) -> GrantState {
        if self.revoked_at.is_some() {
            GrantState::Revoked
        } else if self.uses_left.is_some_and(|left| left <= 0) {
            GrantState::UsedUp
        } else if self.expires_at.is_some_and(|end| end <= now) {
            GrantState::Expired
        } else if self.starts_at.is_some_and(|start| now < start) {
            GrantState::NotBegun
        } else {
            GrantState::Live
        }
    }

    /// When time alone changes how the grant stands next; `None` for never.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state(now) {
            GrantState::NotBegun => self.starts_at,
            GrantState::Live => self.expires_at,
            GrantState::Expired | GrantState::UsedUp | GrantState::Revoked => None,
        }
    }
}

/// A grant that an operator gives. The plugin need not be installed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewGrant {
    pub plugin: PluginId,
    pub capability: String,
    /// A JSON object.
    pub scope: Value,
    /// A JSON object.
    pub limit: Value,
    pub mode: GrantMode,
    pub rule: DigestRule,
    pub workspace: Option<WorkspaceId>,
    pub granted_by: String,
    pub reason: String,
    pub starts_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub uses_left: Option<i64>,
}

impl NewGrant {
    /// Allows `capability` in `scope`, for every build, everywhere and until it is revoked.
    pub fn allow(plugin: PluginId, capability: impl Into<String>, scope: Value) -> Self {
        Self {
            plugin,
            capability: capability.into(),
            scope,
            limit: Value::Object(Map::new()),
            mode: GrantMode::Allow,
            rule: DigestRule::Any,
            workspace: None,
            granted_by: String::new(),
            reason: String::new(),
            starts_at: None,
            expires_at: None,
            uses_left: None,
        }
    }

    /// The grant as it is stored.
    pub fn into_grant(self, id: GrantId, now: Timestamp) -> Grant {
        Grant {
            id,
            plugin: self.plugin,
            capability: self.capability,
            scope: self.scope,
            limit: self.limit,
            mode: self.mode,
            rule: self.rule,
            workspace: self.workspace,
            bound_to: None,
            granted_by: self.granted_by,
            reason: self.reason,
            approval: None,
            created_at: now,
            starts_at: self.starts_at,
            expires_at: self.expires_at,
            uses_left: self.uses_left,
            revoked_at: None,
            revoked_by: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        NewGrant::allow(PluginId::fixed("notes"), "files", Value::Null)
            .into_grant(GrantId::from_uuid(uuid::Uuid::nil()), Timestamp::from_micros(0))
    }

    #[test]
    fn a_grant_counts_from_its_start_to_its_end() {
        let (start, end) = (Timestamp::from_micros(10), Timestamp::from_micros(20));
        let grant = Grant { starts_at: Some(start), expires_at: Some(end), ..grant() };

        for (now, state, next) in [
            (9, GrantState::NotBegun, Some(start)),
            (10, GrantState::Live, Some(end)),
            (19, GrantState::Live, Some(end)),
            (20, GrantState::Expired, None),
        ] {
            let now = Timestamp::from_micros(now);
            assert_eq!((grant.state(now), grant.next_change(now)), (state, next), "{now}");
        }
    }

    #[test]
    fn what_is_revoked_or_used_up_never_counts_again() {
        let now = Timestamp::from_micros(1);

        assert_eq!(Grant { uses_left: Some(0), ..grant() }.state(now), GrantState::UsedUp);
        assert_eq!(Grant { revoked_at: Some(now), ..grant() }.state(now), GrantState::Revoked);
        assert_eq!(Grant { uses_left: Some(1), ..grant() }.state(now), GrantState::Live);
    }

    #[test]
    fn a_rule_for_builds_reads_as_it_prints() {
        let digest = "0123456789abcdef".repeat(4);
        for text in
            ["any".to_owned(), format!("sha256:{digest}"), "publisher:ed25519:AAAA ^1.2, <1.9".to_owned()]
        {
            assert_eq!(text.parse::<DigestRule>().unwrap().to_string(), text);
        }
        for text in ["", "Any", "sha256:12", "publisher:key", "publisher: ^1"] {
            assert_eq!(text.parse::<DigestRule>(), Err(BadDigestRule), "{text}");
        }
    }
}
