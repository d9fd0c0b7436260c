//! The secrets that were placed for each caller: a server may give one back much later, in the answer to another request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::scan::{Patterns, Unsearchable};
use crate::secret::{SECRET_MAX_BYTES, SecretValue};

/// How many values of one caller are searched for; the one that was placed longest ago goes first.
const VALUES: usize = 64;
/// How many bytes they have together, at most.
const VALUE_BYTES: usize = 8 * SECRET_MAX_BYTES;

/// Values by caller, and the search made ready for them.
#[derive(Default)]
pub(crate) struct Placed {
    callers: Mutex<HashMap<String, Known>>,
}

#[derive(Default)]
struct Known {
    values: Vec<Arc<SecretValue>>,
    patterns: Option<Arc<Patterns>>,
}

impl Placed {
    /// From now on every answer to `caller` is searched for the value.
    ///
    /// Fails when the value cannot be searched for, and must not be placed then; what was searched for before still is.
    pub(crate) fn remember(&self, caller: &str, value: &Arc<SecretValue>) -> Result<(), Unsearchable> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = callers.entry(caller.to_owned()).or_default();
        if let Some(at) = known.values.iter().position(|there| there.bytes() == value.bytes()) {
            // It was placed last, and goes last.
            known.values[at..].rotate_left(1);
            return Ok(());
        }
        let mut values = known.values.clone();
        values.push(value.clone());
        while values.len() > VALUES || bytes(&values) > VALUE_BYTES {
            values.remove(0);
        }
        let patterns = Arc::new(Patterns::new(&values)?);
        *known = Known { values, patterns: Some(patterns) };
        Ok(())
    }

    /// What the answers to `caller` are searched for; none before it has placed a secret.
    pub(crate) fn patterns(&self, caller: &str) -> Option<Arc<Patterns>> {
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.get(caller)?.patterns.clone()
    }
}

fn bytes(values: &[Arc<SecretValue>]) -> usize {
    values.iter().map(|value| value.bytes().len()).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn value(text: &str) -> Arc<SecretValue> {
        Arc::new(SecretValue::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn a_value_that_cannot_be_searched_for_is_refused_each_time_and_the_others_stay() {
        let placed = Placed::default();
        placed.remember("a", &value("first-secret")).unwrap();
        let long = value(&"x1".repeat(SECRET_MAX_BYTES));

        for _ in 0..2 {
            assert_eq!(placed.remember("a", &long), Err(Unsearchable::TooLong));
            assert_eq!(placed.remember("a", &value("abc")), Err(Unsearchable::TooShort));
        }

        assert!(placed.patterns("a").unwrap().are_in(b"... first-secret ..."));
        assert!(placed.patterns("b").is_none());
    }

    #[test]
    fn of_many_values_the_one_that_was_placed_longest_ago_goes() {
        let placed = Placed::default();
        for number in 0..VALUES {
            placed.remember("a", &value(&format!("secret-number-{number:03}"))).unwrap();
        }
        placed.remember("a", &value("secret-number-000")).unwrap();
        placed.remember("a", &value("one-more-secret")).unwrap();

        let patterns = placed.patterns("a").unwrap();
        assert!(patterns.are_in(b"secret-number-000") && patterns.are_in(b"one-more-secret"));
        assert!(!patterns.are_in(b"secret-number-001"));
    }
}
