//! `policies/grants.toml`: grants and ceilings of a set-up that nobody sits in front of.

mod file;

use std::ops::Range;

use berth_model::plugin::{DigestRule, GrantMode, NewGrant};
use berth_model::{Origin, PluginId, Timestamp, WorkspaceId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use crate::capability::Capability;
use crate::capability::grants::{Ceiling, Permission, Uses};
use crate::capability::limit::Limit;
use crate::manifest::json;

/// Who has granted what stands in the file; an entry is known again by the digest behind it.
pub const GRANTED_BY: &str = "policies/grants.toml";

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policies {
    pub grants: Vec<PolicyGrant>,
    /// `None` where the file names none: the standard ones hold.
    pub ceilings: Option<Vec<Ceiling>>,
}

/// A grant of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyGrant {
    pub new: NewGrant,
    /// Where its scope stands, for what only the host can find wrong with it.
    pub span: Range<usize>,
}

/// A file that is not right, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{GRANTED_BY}{}: {message}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct PolicyError {
    pub message: String,
    /// Bytes of the source that are meant.
    pub span: Option<Range<usize>>,
    /// Counted from 1.
    pub line: Option<usize>,
}

impl PolicyError {
    /// The code on the wire, in logs and in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        "POLICY_INVALID"
    }

    pub(crate) fn at(source: &str, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        let line = span.as_ref().map(|span| {
            let end = span.start.min(source.len());
            source.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
        });
        Self { message: message.into(), span, line }
    }
}

impl Policies {
    /// Reads the text of the file. What is wrong is said with its line; unknown keys are wrong.
    pub fn parse(source: &str) -> Result<Self, PolicyError> {
        let file: file::File =
            toml::from_str(source).map_err(|error| PolicyError::at(source, error.span(), error.message()))?;
        let reader = Reader { source };
        let ceilings = file.ceiling.map(|list| list.into_iter().map(|one| reader.ceiling(one)).collect());
        Ok(Self {
            grants: file.grant.into_iter().map(|one| reader.grant(one)).collect::<Result<_, _>>()?,
            ceilings: ceilings.transpose()?,
        })
    }
}

struct Reader<'a> {
    source: &'a str,
}

impl Reader<'_> {
    fn wrong<T>(&self, at: &Spanned<T>, message: impl Into<String>) -> PolicyError {
        PolicyError::at(self.source, Some(at.span()), message)
    }

    fn grant(&self, entry: file::Grant) -> Result<PolicyGrant, PolicyError> {
        let plugin = PluginId::new(entry.plugin.get_ref())
            .map_err(|error| self.wrong(&entry.plugin, error.to_string()))?;
        let capability = self.capability(&entry.capability)?;
        let span = entry.scope.as_ref().map_or(entry.capability.span(), Spanned::span);
        let scope = match &entry.scope {
            Some(scope) => json(toml::Value::Table(scope.get_ref().clone())),
            None => Value::Object(serde_json::Map::new()),
        };
        let mode = match &entry.mode {
            None => GrantMode::Allow,
            Some(word) => word
                .get_ref()
                .parse()
                .map_err(|_| self.wrong(word, "`mode` must be allow, ask, observe or deny"))?,
        };
        let limit = match &entry.limit {
            None => Value::Object(serde_json::Map::new()),
            Some(limit) => {
                let value = json(toml::Value::Table(limit.get_ref().clone()));
                Limit::parse(capability, &value).map_err(|message| self.wrong(limit, message))?;
                value
            }
        };
        let rule = match &entry.rule {
            None => DigestRule::Any,
            Some(text) => {
                let rule = text.get_ref().parse().map_err(|error: berth_model::grant::BadDigestRule| {
                    self.wrong(text, error.to_string())
                })?;
                if let DigestRule::Publisher { versions, .. } = &rule {
                    semver::VersionReq::parse(versions)
                        .map_err(|error| self.wrong(text, error.to_string()))?;
                }
                rule
            }
        };
        if let Some(uses) = entry.uses.as_ref().filter(|uses| *uses.get_ref() < 1) {
            return Err(self.wrong(uses, "`uses` must be at least 1"));
        }
        let mut new = NewGrant {
            limit,
            mode,
            rule,
            workspace: self.workspace(entry.workspace.as_ref())?,
            reason: entry.reason,
            starts_at: self.time(entry.starts.as_ref())?,
            expires_at: self.time(entry.expires.as_ref())?,
            uses_left: entry.uses.map(Spanned::into_inner),
            ..NewGrant::allow(plugin, capability.as_str(), scope)
        };
        new.granted_by = format!("{GRANTED_BY}#{}", print(&new));
        Ok(PolicyGrant { new, span })
    }

    fn ceiling(&self, entry: file::Ceiling) -> Result<Ceiling, PolicyError> {
        let capability = match &entry.capability {
            None => None,
            Some(name) if name.get_ref() == "*" => None,
            Some(name) => Some(self.capability(name)?),
        };
        let origin = entry.origin.as_ref().map(|word| {
            word.get_ref()
                .parse::<Origin>()
                .map_err(|_| self.wrong(word, "`origin` must be user, schedule or stranger"))
        });
        Ok(Ceiling {
            capability,
            plugin: entry.plugin,
            workspace: self.workspace(entry.workspace.as_ref())?,
            origin: origin.transpose()?,
            uses: match entry.uses {
                None | Some(file::Uses::All) => Uses::All,
                Some(file::Uses::Write) => Uses::Writes,
            },
            most: match entry.mode {
                file::Most::Deny => Permission::Denied,
                file::Most::Ask => Permission::Asked,
            },
        })
    }

    fn capability(&self, name: &Spanned<String>) -> Result<Capability, PolicyError> {
        Capability::lookup(name.get_ref()).ok_or_else(|| {
            let known: Vec<&str> = Capability::ALL.into_iter().map(Capability::as_str).collect();
            let message = format!("`{}` is no capability: known are {}", name.get_ref(), known.join(", "));
            self.wrong(name, message)
        })
    }

    fn workspace(&self, id: Option<&Spanned<String>>) -> Result<Option<WorkspaceId>, PolicyError> {
        let id =
            id.map(|id| WorkspaceId::new(id.get_ref()).map_err(|error| self.wrong(id, error.to_string())));
        id.transpose()
    }

    fn time(&self, time: Option<&Spanned<toml::Value>>) -> Result<Option<Timestamp>, PolicyError> {
        let Some(time) = time else { return Ok(None) };
        let text = match time.get_ref() {
            toml::Value::Datetime(datetime) => datetime.to_string(),
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let parsed = text.parse::<Timestamp>();
        parsed.map(Some).map_err(|_| self.wrong(time, "must be a time such as 2026-12-31T00:00:00Z"))
    }
}

/// Knows an entry again: the same words are the same grant, wherever they stand in the file.
fn print(new: &NewGrant) -> String {
    let words = format!(
        "{} {} {} {} {} {} {:?} {:?} {:?} {:?} {}",
        new.plugin,
        new.capability,
        sorted(&new.scope),
        sorted(&new.limit),
        new.mode,
        new.rule,
        new.workspace,
        new.starts_at.map(Timestamp::as_micros),
        new.expires_at.map(Timestamp::as_micros),
        new.uses_left,
        new.reason,
    );
    hex::encode(&Sha256::digest(words)[..8])
}

/// JSON with the keys of objects in order.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            let pairs: Vec<String> =
                keys.into_iter().map(|key| format!("{key:?}:{}", sorted(&object[key]))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    const FILE: &str = r#"
[[grant]]
plugin = "gpio"
capability = "endpoint"
scope = { tools = ["rpi.gpio.read"], endpoints = ["pi"] }
limit = { per_minute = 6 }
mode = "observe"
rule = "publisher:ed25519:AA ^1.2"
workspace = "home-lab"
expires = 2099-12-31T00:00:00Z
uses = 3
reason = "the kitchen"

[[ceiling]]
capability = "process"
origin = "schedule"
mode = "deny"

[[ceiling]]
uses = "write"
workspace = "study"
mode = "ask"
"#;

    #[test]
    fn the_file_says_what_is_granted_and_what_bounds_it() {
        let policies = Policies::parse(FILE).unwrap();

        let new = &policies.grants[0].new;
        assert_eq!(new.scope, json!({ "tools": ["rpi.gpio.read"], "endpoints": ["pi"] }));
        assert_eq!((new.mode, new.uses_left), (GrantMode::Observe, Some(3)));
        assert_eq!(new.limit, json!({ "per_minute": 6 }));
        assert_eq!(new.rule.to_string(), "publisher:ed25519:AA ^1.2");
        assert_eq!(new.expires_at.unwrap().to_string(), "2099-12-31T00:00:00.000000Z");
        assert!(new.granted_by.starts_with("policies/grants.toml#"));
        let ceilings = policies.ceilings.unwrap();
        assert_eq!((ceilings[0].most, ceilings[0].origin), (Permission::Denied, Some(Origin::Schedule)));
        assert_eq!((ceilings[1].most, ceilings[1].uses), (Permission::Asked, Uses::Writes));
        assert_eq!(Policies::parse("").unwrap(), Policies::default());
    }

    #[test]
    fn the_same_words_in_another_order_are_the_same_grant() {
        let turned = FILE.replace(
            r#"tools = ["rpi.gpio.read"], endpoints = ["pi"]"#,
            r#"endpoints = ["pi"], tools = ["rpi.gpio.read"]"#,
        );
        let other = FILE.replace("uses = 3", "uses = 4");
        let of = |source: &str| Policies::parse(source).unwrap().grants[0].new.granted_by.clone();

        assert_ne!(FILE, turned);
        assert_eq!(of(FILE), of(&turned));
        assert_ne!(of(FILE), of(&other));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (find, put, line, problem) in [
            ("mode = \"observe\"", "mode = \"often\"", 7, "must be allow, ask, observe or deny"),
            ("mode = \"observe\"", "modus = \"ask\"", 7, "unknown field"),
            ("\"endpoint\"", "\"endpoints\"", 4, "is no capability"),
            ("per_minute", "per_century", 6, "is no limit"),
            ("^1.2", "one", 8, "unexpected"),
            ("2099-12-31T00:00:00Z", "\"tomorrow\"", 10, "must be a time"),
            ("uses = 3", "uses = 0", 11, "at least 1"),
            ("\"schedule\"", "\"martian\"", 16, "user, schedule or stranger"),
            ("\"deny\"", "\"allow\"", 17, "unknown variant"),
        ] {
            let error = Policies::parse(&FILE.replace(find, put)).unwrap_err();

            assert_eq!(error.line, Some(line), "{put}: {error}");
            assert!(error.message.contains(problem), "{put}: {error}");
            assert!(error.span.is_some());
        }
    }
}
