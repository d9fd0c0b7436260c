//! What became of finished operations, so that Core may ask again instead of doing it twice.
//!
//! Outlives connections: a result that was lost with its connection is still there for the next one.
//! Source: MeetYou V4, Raspberry Pi provider; its memory has no bound and forgets what was asked.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use berth_proto::JsonMap;
use serde_json::Value;

use crate::call::CallError;
use crate::wire::Outcome;

/// Operations that are remembered.
const MAX_OPERATIONS: usize = 256;
/// Bytes of results that are remembered, all operations together.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// One operation with more than this is not remembered.
const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// What an operation is about: the same for the same tool and arguments, without holding on to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work(u64);

struct Done {
    work: Work,
    outcome: Outcome,
    bytes: usize,
}

#[derive(Default)]
pub(crate) struct Operations {
    done: HashMap<String, Done>,
    oldest_first: VecDeque<String>,
    bytes: usize,
    /// Keyed by chance, so that nobody can make up two calls that look alike.
    hasher: RandomState,
}

impl Operations {
    pub fn work(&self, tool_key: &str, arguments: &JsonMap) -> Work {
        Work(self.hasher.hash_one((tool_key, arguments)))
    }

    /// The outcome of `operation_id`, or the refusal to do other work under its name.
    pub fn lookup(&self, operation_id: &str, work: Work) -> Option<Outcome> {
        let done = self.done.get(operation_id)?;
        Some(if done.work == work { done.outcome.clone() } else { Err(conflict(operation_id)) })
    }

    pub fn remember(&mut self, operation_id: &str, work: Work, outcome: &Outcome) {
        let bytes = outcome.as_ref().map_or(0, size);
        if operation_id.is_empty() || bytes > MAX_ENTRY_BYTES || self.done.contains_key(operation_id) {
            return;
        }
        while self.done.len() >= MAX_OPERATIONS || self.bytes + bytes > MAX_BYTES {
            let Some(oldest) = self.oldest_first.pop_front() else { break };
            if let Some(forgotten) = self.done.remove(&oldest) {
                self.bytes -= forgotten.bytes;
            }
        }
        self.bytes += bytes;
        self.oldest_first.push_back(operation_id.to_owned());
        self.done.insert(operation_id.to_owned(), Done { work, outcome: outcome.clone(), bytes });
    }
}

/// One operation names one piece of work.
pub(crate) fn conflict(operation_id: &str) -> CallError {
    let message = format!("operation `{operation_id}` was another call: a new call needs a new operation id");
    CallError::new("operation_conflict", message)
}

fn size(map: &JsonMap) -> usize {
    /// What a value takes beside its text.
    const NODE: usize = 32;
    fn of(value: &Value) -> usize {
        NODE + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(of).sum(),
            Value::Object(map) => size(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }
    map.iter().map(|(key, value)| key.len() + of(value)).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn work(number: u64) -> Work {
        Work(number)
    }

    #[test]
    fn the_same_work_is_the_same_whatever_the_order_of_its_arguments() {
        let operations = Operations::default();
        let of = |tool: &str, arguments: Value| operations.work(tool, arguments.as_object().unwrap());
        let first = of("t", json!({ "pin": 17, "value": true }));

        assert_eq!(first, of("t", json!({ "value": true, "pin": 17 })));
        assert_ne!(first, of("t", json!({ "pin": 17, "value": false })));
        assert_ne!(first, of("u", json!({ "pin": 17, "value": true })));
    }

    fn result(text: &str) -> Outcome {
        Ok(json!({ "text": text }).as_object().unwrap().clone())
    }

    #[test]
    fn an_operation_that_ended_is_told_again_for_the_same_work_only() {
        let mut operations = Operations::default();
        operations.remember("op_1", work(1), &result("done"));
        operations.remember("op_2", work(2), &Err(CallError::cancelled()));

        assert_eq!(operations.lookup("op_1", work(1)), Some(result("done")));
        assert_eq!(operations.lookup("op_2", work(2)), Some(Err(CallError::cancelled())));
        assert_eq!(operations.lookup("op_1", work(9)).unwrap().unwrap_err().code, "operation_conflict");
        assert_eq!(operations.lookup("op_3", work(1)), None);
    }

    #[test]
    fn an_operation_without_an_id_is_not_remembered() {
        let mut operations = Operations::default();
        operations.remember("", work(1), &result("done"));

        assert_eq!(operations.lookup("", work(1)), None);
    }

    #[test]
    fn the_oldest_operation_is_forgotten_first() {
        let mut operations = Operations::default();
        for number in 0..=MAX_OPERATIONS as u64 {
            operations.remember(&format!("op_{number}"), work(number), &result("x"));
        }

        assert_eq!(operations.lookup("op_0", work(0)), None);
        assert!(operations.lookup("op_1", work(1)).is_some());
        assert_eq!(operations.done.len(), MAX_OPERATIONS);
    }

    #[test]
    fn large_results_do_not_add_up() {
        let mut operations = Operations::default();
        let large = "x".repeat(MAX_ENTRY_BYTES - 1000);
        for number in 0..40 {
            operations.remember(&format!("op_{number}"), work(number), &result(&large));
        }
        operations.remember("op_huge", work(0), &result(&"x".repeat(MAX_ENTRY_BYTES)));

        assert!(operations.bytes <= MAX_BYTES && operations.done.len() < 40);
        assert_eq!(operations.lookup("op_huge", work(0)), None);
    }
}
