//! What lies outside of the sandbox in a case: one file for each port of the engine.

pub mod approvals;
pub mod channel;
pub mod config;
pub mod endpoints;
pub mod files;
pub mod grants;
pub mod keyvalue;
pub mod ledger;
pub mod process;
pub mod progress;
pub mod secrets;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use berth_wasm::capability::CapabilityError;

use crate::report::Failure;
use crate::story::FakeError;

/// Where fakes say what went wrong. Cheap to clone.
#[derive(Clone, Default)]
pub struct Failures(Arc<Mutex<Vec<Failure>>>);

impl Failures {
    pub fn add(&self, failure: Failure) {
        lock(&self.0).push(failure);
    }

    /// What went wrong since the last time.
    pub fn take(&self) -> Vec<Failure> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// How often something of a story was used.
#[derive(Debug, Clone)]
pub(crate) struct Uses<T> {
    pub file: T,
    pub used: u32,
}

impl<T> Uses<T> {
    pub fn of(files: Vec<T>) -> Mutex<Vec<Self>> {
        Mutex::new(files.into_iter().map(|file| Self { file, used: 0 }).collect())
    }
}

impl FakeError {
    pub(crate) fn error(&self) -> CapabilityError {
        let mut error = CapabilityError::new(&self.code, self.message.clone());
        error.retryable = self.retryable;
        error.retry_after_ms = self.retry_after_ms;
        error
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text as it stands in a story.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
