//! Generations: each version of a plugin that was ever put in place, and where it stands.
//!
//! A generation never changes what it is: another component or another manifest is another generation. A plugin has
//! one that takes calls, perhaps one that waits for the operator, and those of before.

use serde_json::Value;

use crate::{PluginId, Timestamp, word_enum};

word_enum!(
    /// What brought a generation about.
    pub enum Origin {
        /// The first of its plugin.
        Install = "install",
        Upgrade = "upgrade",
        /// An earlier one, put in place again.
        Rollback = "rollback",
    }
);

/// Where a generation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenerationState {
    /// Taken in; nothing is known of it yet.
    Staged,
    /// It is a plugin that this host can run.
    Inspected,
    /// It asks for more than the one before, and the operator has not answered.
    AwaitingConsent,
    /// Its machine code and its tools are there.
    Compiled,
    /// New calls go to it.
    Active,
    /// It has failed too often and gets no calls until the operator resumes it.
    Quarantined,
    /// Replaced; its last calls are ending.
    Draining,
    /// Replaced, and no call is left.
    Retired,
    /// It never came into use; `code` says why.
    Rejected { code: String },
}

/// What happens to a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenerationEvent {
    Inspected,
    ConsentWanted,
    /// The operator's consent, where it was wanted, came before.
    Compiled,
    Activated,
    Failed,
    Resumed,
    Replaced,
    Drained,
    Rejected {
        code: String,
    },
}

/// An event that cannot happen where a generation stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a generation that is {from} cannot be {event}")]
pub struct BadTransition {
    pub from: &'static str,
    pub event: &'static str,
}

impl GenerationState {
    /// The word of this state, as it is stored and shown.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Inspected => "inspected",
            Self::AwaitingConsent => "awaiting_consent",
            Self::Compiled => "compiled",
            Self::Active => "active",
            Self::Quarantined => "quarantined",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// Reads what [`Self::as_str`] and the code of a rejection say.
    pub fn parse(word: &str, code: &str) -> Option<Self> {
        Some(match word {
            "staged" => Self::Staged,
            "inspected" => Self::Inspected,
            "awaiting_consent" => Self::AwaitingConsent,
            "compiled" => Self::Compiled,
            "active" => Self::Active,
            "quarantined" => Self::Quarantined,
            "draining" => Self::Draining,
            "retired" => Self::Retired,
            "rejected" => Self::Rejected { code: code.to_owned() },
            _ => return None,
        })
    }

    /// Why it was rejected; empty for every other state.
    pub fn code(&self) -> &str {
        match self {
            Self::Rejected { code } => code,
            _ => "",
        }
    }

    /// Whether an install is at work on it: a process that ends here leaves it for the next start to settle.
    pub fn is_in_the_making(&self) -> bool {
        matches!(self, Self::Staged | Self::Inspected | Self::Compiled)
    }

    /// Whether it is the one that its plugin runs, or would run if it were not quarantined or switched off.
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Active | Self::Quarantined)
    }

    /// Where it stands after `event`.
    pub fn after(self, event: GenerationEvent) -> Result<Self, BadTransition> {
        use GenerationEvent as E;
        match (self, event) {
            (Self::Staged, E::Inspected) => Ok(Self::Inspected),
            (Self::Inspected, E::ConsentWanted) => Ok(Self::AwaitingConsent),
            (Self::Inspected | Self::AwaitingConsent, E::Compiled) => Ok(Self::Compiled),
            (Self::Compiled, E::Activated) | (Self::Quarantined, E::Resumed) => Ok(Self::Active),
            (Self::Active, E::Failed) => Ok(Self::Quarantined),
            (Self::Active | Self::Quarantined, E::Replaced) => Ok(Self::Draining),
            (Self::Draining, E::Drained) => Ok(Self::Retired),
            (
                Self::Staged | Self::Inspected | Self::AwaitingConsent | Self::Compiled,
                E::Rejected { code },
            ) => Ok(Self::Rejected { code }),
            (from, event) => Err(BadTransition { from: from.as_str(), event: event.as_str() }),
        }
    }
}

impl GenerationEvent {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Inspected => "inspected",
            Self::ConsentWanted => "held for consent",
            Self::Compiled => "compiled",
            Self::Activated => "activated",
            Self::Failed => "quarantined",
            Self::Resumed => "resumed",
            Self::Replaced => "replaced",
            Self::Drained => "retired",
            Self::Rejected { .. } => "rejected",
        }
    }
}

/// Where a generation came from, and who vouches for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// A folder, an archive or an address, as it was named; empty when it was not said.
    pub source: String,
    /// The digest of the package, in lower-case hex; empty for what was no package.
    pub package: String,
    /// The key that signed it; empty when nobody did.
    pub publisher: String,
}

/// A version of a plugin. The component's bytes lie in the data folder under their digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    pub plugin: PluginId,
    /// 1, 2, 3 … of its plugin; never given twice while the plugin is installed.
    pub number: i64,
    pub origin: Origin,
    /// Lower-case hex SHA-256 of the component.
    pub digest: String,
    pub version: String,
    /// The text of `plugin.toml`.
    pub manifest: String,
    pub provenance: Provenance,
    /// The tools as far as they are known: the typed ones from the inspection on, the dynamic ones once compiled.
    pub tools: Value,
    pub state: GenerationState,
    /// Whether its first calls went well: from then on failures no longer roll it back.
    pub is_proven: bool,
    /// Starts in a row at which it could not be loaded.
    pub failed_starts: i64,
    /// Why it was rejected, quarantined or rolled back; empty when nothing went wrong.
    pub last_error: String,
    pub created_at: Timestamp,
    pub activated_at: Option<Timestamp>,
    pub retired_at: Option<Timestamp>,
}

/// How many of a generation's first calls decide whether it stays.
pub const CANARY_CALLS: u32 = 20;
/// Starts in a row that may fail before a generation is given up.
pub const FAILED_STARTS: i64 = 2;

/// Watches the first calls of a generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Canary {
    calls: u32,
    failures: u32,
}

/// What the first calls say so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Watching,
    /// More than half of the first calls can fail no more.
    Proven,
    /// More than half of the first calls have failed.
    Bad {
        calls: u32,
        failures: u32,
    },
}

impl Canary {
    /// Takes in a call that has ended; `failed` when the plugin is to blame for it.
    pub fn record(&mut self, failed: bool) -> Verdict {
        self.calls = self.calls.saturating_add(1);
        self.failures = self.failures.saturating_add(u32::from(failed));
        let half = CANARY_CALLS / 2;
        if self.failures > half {
            Verdict::Bad { calls: self.calls, failures: self.failures }
        } else if self.calls - self.failures >= half {
            Verdict::Proven
        } else {
            Verdict::Watching
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states() -> Vec<GenerationState> {
        [
            "staged",
            "inspected",
            "awaiting_consent",
            "compiled",
            "active",
            "quarantined",
            "draining",
            "retired",
            "rejected",
        ]
        .iter()
        .map(|word| GenerationState::parse(word, "X").unwrap())
        .collect()
    }

    #[test]
    fn a_generation_goes_only_where_the_table_says() {
        let events = [
            GenerationEvent::Inspected,
            GenerationEvent::ConsentWanted,
            GenerationEvent::Compiled,
            GenerationEvent::Activated,
            GenerationEvent::Failed,
            GenerationEvent::Resumed,
            GenerationEvent::Replaced,
            GenerationEvent::Drained,
            GenerationEvent::Rejected { code: "X".to_owned() },
        ];
        // A row for each state, in a column for each event; a dot is no way.
        let table = [
            ("staged", "inspected . . . . . . . rejected"),
            ("inspected", ". awaiting_consent compiled . . . . . rejected"),
            ("awaiting_consent", ". . compiled . . . . . rejected"),
            ("compiled", ". . . active . . . . rejected"),
            ("active", ". . . . quarantined . draining . ."),
            ("quarantined", ". . . . . active draining . ."),
            ("draining", ". . . . . . . retired ."),
            ("retired", ". . . . . . . . ."),
            ("rejected", ". . . . . . . . ."),
        ];
        for (state, (word, row)) in states().into_iter().zip(table) {
            assert_eq!(state.as_str(), word);
            for (event, next) in events.iter().zip(row.split(' ')) {
                let after = state.clone().after(event.clone());
                match next {
                    "." => assert_eq!(after.unwrap_err().from, word),
                    next => assert_eq!(after.unwrap().as_str(), next, "{word} {event:?}"),
                }
            }
        }
    }

    #[test]
    fn a_state_is_read_back_as_it_was_written() {
        for state in states() {
            assert_eq!(GenerationState::parse(state.as_str(), state.code()), Some(state));
        }
        assert_eq!(GenerationState::parse("lost", ""), None);
    }

    #[test]
    fn over_half_of_the_first_calls_must_fail_and_no_later_ones_count() {
        let run = |calls: &[bool]| {
            let mut canary = Canary::default();
            calls.iter().map(|failed| canary.record(*failed)).find(|verdict| *verdict != Verdict::Watching)
        };
        let (good, bad) = ([false; 10], [true; 11]);

        assert_eq!(run(&bad), Some(Verdict::Bad { calls: 11, failures: 11 }));
        assert_eq!(run(&good), Some(Verdict::Proven));
        // Half is not over half: of twenty calls ten may fail.
        assert_eq!(run(&[&bad[..10], &good].concat()), Some(Verdict::Proven));
        assert_eq!(run(&[&bad[..10], &good[..9]].concat()), None);
        assert_eq!(run(&[&good[..9], &bad].concat()), Some(Verdict::Bad { calls: 20, failures: 11 }));
    }
}
