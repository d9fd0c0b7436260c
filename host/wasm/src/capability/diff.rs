//! What one list of wishes has more or less than another: two manifests, or a manifest and what was granted.

pub mod scope;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grants::Request;

/// One wish, as it stands in a difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiffEntry {
    pub capability: String,
    /// What was asked for before; null of what is new.
    pub before: Option<Extent>,
    /// What is asked for now; null of what is gone.
    pub after: Option<Extent>,
    pub required: bool,
    pub reason: String,
    /// The difference in plain words.
    pub line: String,
}

/// Another publisher than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublisherChange {
    /// The key that signed the version in place.
    pub before: String,
    /// The key that signed the new one; none when nobody did.
    pub after: Option<String>,
}

impl PublisherChange {
    /// For a person.
    pub fn line(&self) -> String {
        match &self.after {
            Some(after) => format!("another publisher: signed by {after}, was {}", self.before),
            None => format!("no publisher: signed by nobody, was {}", self.before),
        }
    }
}

/// How far a wish reaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    pub scope: Value,
    pub limit: Value,
}

impl Extent {
    fn of(wish: &Request) -> Self {
        let limit = wish.limit.iter().map(|(name, bound)| (name.to_owned(), Value::from(bound))).collect();
        Self { scope: wish.scope.to_json(), limit: Value::Object(limit) }
    }
}

/// The difference of two lists of wishes; each wish of either stands in one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CapabilityDiff {
    pub added: Vec<DiffEntry>,
    pub widened: Vec<DiffEntry>,
    pub narrowed: Vec<DiffEntry>,
    pub removed: Vec<DiffEntry>,
    pub unchanged: Vec<DiffEntry>,
    /// A changed publisher is a matter for the operator, whatever is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<PublisherChange>,
}

impl CapabilityDiff {
    /// Whether the operator is asked: the new list reaches further than the old one anywhere, or comes from another
    /// publisher.
    pub fn is_wider(&self) -> bool {
        self.publisher.is_some() || !self.added.is_empty() || !self.widened.is_empty()
    }

    /// The difference for a person, what reaches further first; what stays the same is left out.
    pub fn lines(&self) -> Vec<String> {
        let publisher = self.publisher.iter().map(PublisherChange::line);
        let changed = [&self.added, &self.widened, &self.narrowed, &self.removed];
        publisher.chain(changed.into_iter().flatten().map(|entry| entry.line.clone())).collect()
    }
}

/// Compares what was asked for with what is asked for now.
///
/// A new wish that no single old one covers reaches further, even where several old ones would together: a person
/// looks once too often rather than once too seldom. A wish that may be refused and now is required, or the other way
/// round, reaches as far as before.
pub fn compare(old: &[Request], new: &[Request]) -> CapabilityDiff {
    let mut diff = CapabilityDiff::default();
    let mut met = vec![false; old.len()];
    for wish in new {
        let same = old.iter().position(|old| covers(old, wish) && covers(wish, old));
        let wider = old.iter().position(|old| covers(old, wish));
        let narrower = old.iter().position(|old| {
            old.capability == wish.capability
                && scope::is_same_thing(wish.capability, &old.scope, &wish.scope)
        });
        // Every old wish that the new one takes in is met by it.
        for (met, old) in met.iter_mut().zip(old) {
            *met |= covers(wish, old);
        }
        if let Some(at) = same {
            diff.unchanged.push(entry(Some(&old[at]), wish, format!("still {}", words(wish))));
        } else if let Some(at) = wider {
            met[at] = true;
            let line = format!("less than before: {}, was {}", words(wish), words(&old[at]));
            diff.narrowed.push(entry(Some(&old[at]), wish, line));
        } else if let Some(at) = narrower {
            met[at] = true;
            let line = format!("more than before: {}, was {}", words(wish), words(&old[at]));
            diff.widened.push(entry(Some(&old[at]), wish, line));
        } else {
            diff.added.push(entry(None, wish, format!("new: {}", words(wish))));
        }
    }
    for (gone, _) in old.iter().zip(&met).filter(|(_, met)| !**met) {
        diff.removed.push(DiffEntry {
            capability: gone.capability.as_str().to_owned(),
            before: Some(Extent::of(gone)),
            after: None,
            required: gone.required,
            reason: gone.reason.clone(),
            line: format!("no longer {}", words(gone)),
        });
    }
    diff
}

fn covers(outer: &Request, inner: &Request) -> bool {
    outer.capability == inner.capability
        && scope::covers(outer.capability, &outer.scope, &inner.scope)
        && outer.limit.covers(&inner.limit)
}

fn entry(before: Option<&Request>, after: &Request, line: String) -> DiffEntry {
    DiffEntry {
        capability: after.capability.as_str().to_owned(),
        before: before.map(Extent::of),
        after: Some(Extent::of(after)),
        required: after.required,
        reason: after.reason.clone(),
        line,
    }
}

/// A wish in plain words, such as `http (hosts https://a.b; per_minute 60)`.
pub fn words(wish: &Request) -> String {
    let mut bounds: Vec<String> = Vec::new();
    for (key, bound) in wish.scope.as_object().into_iter().flatten() {
        bounds.push(format!("{key} {}", value_words(bound)));
    }
    bounds.extend(wish.limit.iter().map(|(name, bound)| format!("{name} {bound}")));
    let capability = wish.capability.as_str();
    if bounds.is_empty() {
        format!("{capability} (anything)")
    } else {
        format!("{capability} ({})", bounds.join("; "))
    }
}

/// What a package says of itself is shown to people: no control character gets to their terminal.
fn value_words(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(value_words).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::capability::Capability;
    use crate::capability::limit::Limit;

    fn http(hosts: &[&str]) -> Request {
        Request::new(Capability::Http, json!({ "hosts": hosts }))
    }

    fn folder(guest: &str, access: &str) -> Request {
        Request::new(Capability::Files, json!({ "guest": guest, "access": access }))
    }

    #[test]
    fn each_wish_of_either_side_stands_in_one_list() {
        let old = [
            http(&["https://a.b", "https://c.d"]),
            folder("/in", "ro"),
            folder("/out", "rw"),
            folder("/x", "ro"),
        ];
        let new = [
            http(&["https://a.b"]),
            folder("/in", "rw"),
            folder("/out", "rw"),
            Request::new(Capability::Process, json!({ "program": "ffmpeg" })),
        ];

        let diff = compare(&old, &new);

        assert!(diff.is_wider());
        assert_eq!(
            diff.lines(),
            [
                "new: process (program ffmpeg)",
                "more than before: files (guest /in; access rw), was files (guest /in; access ro)",
                "less than before: http (hosts https://a.b), was http (hosts https://a.b, https://c.d)",
                "no longer files (guest /x; access ro)",
            ]
        );
        assert_eq!(diff.unchanged.len(), 1);
    }

    #[test]
    fn a_higher_limit_reaches_further_and_a_lower_one_does_not() {
        let limited = |per_minute: u64| Request {
            limit: Limit::parse(Capability::Http, &json!({ "per_minute": per_minute })).unwrap(),
            ..http(&["https://a.b"])
        };

        assert!(compare(&[limited(10)], &[limited(11)]).is_wider());
        assert!(compare(&[limited(10)], &[http(&["https://a.b"])]).is_wider());
        assert!(!compare(&[limited(10)], &[limited(9)]).is_wider());
        let narrowed = compare(&[limited(10)], &[limited(9)]).narrowed;
        let limits: Vec<_> =
            [&narrowed[0].before, &narrowed[0].after].map(|side| side.as_ref().unwrap().limit.clone()).into();
        assert_eq!(limits, [json!({ "per_minute": 10 }), json!({ "per_minute": 9 })]);
    }

    #[test]
    fn nobody_draws_on_the_terminal_of_the_operator() {
        let line = &compare(&[], &[http(&["https://a.b\u{1b}[2J"])]).lines()[0];

        assert_eq!(line, "new: http (hosts https://a.b\u{fffd}[2J)");
    }

    #[test]
    fn the_same_wishes_in_another_order_change_nothing() {
        let wishes = [http(&["https://a.b"]), folder("/in", "ro"), folder("/out", "rw")];
        let turned: Vec<Request> = wishes.iter().rev().cloned().collect();

        let diff = compare(&wishes, &turned);

        assert_eq!(diff.unchanged.len(), 3);
        assert_eq!(diff.lines(), Vec::<String>::new());
    }

    #[test]
    fn a_difference_reads_as_it_was_written() {
        let diff = compare(&[http(&["https://a.b"])], &[folder("/in", "ro")]);

        let text = serde_json::to_string(&diff).unwrap();

        assert_eq!(serde_json::from_str::<CapabilityDiff>(&text).unwrap(), diff);
    }
}
