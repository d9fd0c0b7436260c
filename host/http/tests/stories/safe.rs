//! A safe for the stories: it keeps values and tells what it was given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_core::port::clock::Clock;
use berth_http::{AdminError, NewSecret, SecretAdmin, SecretView, Which};
use berth_testkit::SteppedClock;

pub struct Safe {
    clock: Arc<SteppedClock>,
    kept: Mutex<BTreeMap<String, (SecretView, Vec<u8>)>>,
}

impl Safe {
    pub fn new(clock: Arc<SteppedClock>) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    /// The value that came in for a name.
    pub fn value(&self, name: &str) -> Option<Vec<u8>> {
        let kept = self.kept.lock().unwrap();
        kept.values().find(|(view, _)| view.which.name == name).map(|(_, value)| value.clone())
    }
}

fn key(which: &Which) -> String {
    format!("{which:?}")
}

fn unknown() -> AdminError {
    let message = "there is no such secret".to_owned();
    AdminError { code: "SECRET_NOT_FOUND".to_owned(), message, retryable: false }
}

#[async_trait]
impl SecretAdmin for Safe {
    async fn list(&self) -> Result<Vec<SecretView>, AdminError> {
        Ok(self.kept.lock().unwrap().values().map(|(view, _)| view.clone()).collect())
    }

    async fn put(&self, new: NewSecret) -> Result<SecretView, AdminError> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap();
        let old = kept.get(&key(&new.which)).map(|(view, _)| view.clone());
        if new.must_exist && old.is_none() {
            return Err(unknown());
        }
        let view = SecretView {
            plugins: new.plugins.iter().map(ToString::to_string).collect(),
            state: "ok".to_owned(),
            version: old.as_ref().map_or(1, |old| old.version + 1),
            created_at: old.map_or(now, |old| old.created_at),
            updated_at: now,
            which: new.which,
        };
        kept.insert(key(&view.which), (view.clone(), new.value.to_vec()));
        Ok(view)
    }

    async fn remove(&self, which: Which) -> Result<(), AdminError> {
        self.kept.lock().unwrap().remove(&key(&which)).map(drop).ok_or_else(unknown)
    }

    async fn renew_key(&self) -> Result<(), AdminError> {
        Ok(())
    }
}
