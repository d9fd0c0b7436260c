//! The secrets that were placed for each caller: a server may give one back much later, in the answer to another request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::BrokerError;
use crate::scan::Patterns;
use crate::secret::SecretValue;

/// How many values of one caller are searched for; the oldest goes first.
const VALUES: usize = 64;

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
    /// Fails when the value cannot be searched for, and must not be placed then.
    pub(crate) fn remember(&self, caller: &str, value: &Arc<SecretValue>) -> Result<(), BrokerError> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = callers.entry(caller.to_owned()).or_default();
        if known.values.iter().any(|there| there.bytes() == value.bytes()) {
            return Ok(());
        }
        if known.values.len() == VALUES {
            known.values.remove(0);
        }
        known.values.push(value.clone());
        let patterns = Patterns::new(&known.values).ok_or_else(|| BrokerError::SecretPlace {
            message: "answers could not be searched for it".to_owned(),
        })?;
        known.patterns = Some(Arc::new(patterns));
        Ok(())
    }

    /// What the answers to `caller` are searched for; none before it has placed a secret.
    pub(crate) fn patterns(&self, caller: &str) -> Option<Arc<Patterns>> {
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.get(caller)?.patterns.clone()
    }
}
