//! Pairs of a case, in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use berth_wasm::capability::keyvalue::{Cursor, KeyvalueError, KeyvalueStore, PAGE, Place, Quota, Seen};

use super::lock;
use crate::matching::shown_bytes;
use crate::report::Failure;
use crate::story::Content;

/// A value and its revision, by bucket and key.
type Pairs = BTreeMap<(String, String), (Vec<u8>, i64)>;

/// Keeps what a host would keep in its database, within the same quota.
#[derive(Default)]
pub struct Keyvalue {
    pairs: Mutex<(Pairs, i64)>,
    is_full: AtomicBool,
    is_down: AtomicBool,
}

impl Keyvalue {
    pub fn new(buckets: &BTreeMap<String, BTreeMap<String, Content>>) -> Self {
        let keyvalue = Self::default();
        {
            let mut state = lock(&keyvalue.pairs);
            for (bucket, pairs) in buckets {
                for (key, content) in pairs {
                    state.0.insert((bucket.clone(), key.clone()), (content.0.clone(), 0));
                }
            }
        }
        keyvalue
    }

    /// Says whether the disk below the database is full, and whether it answers at all.
    pub fn suffer(&self, is_full: bool, is_down: bool) {
        self.is_full.store(is_full, Ordering::Relaxed);
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    /// How the buckets differ from what they must hold.
    pub fn differences(&self, wanted: &BTreeMap<String, BTreeMap<String, Content>>) -> Vec<Failure> {
        let state = lock(&self.pairs);
        let mut failures = Vec::new();
        for (bucket, pairs) in wanted {
            for (key, content) in pairs {
                let failure = Failure::new(format!("the pair {key} of {bucket} differs"));
                match state.0.get(&(bucket.clone(), key.clone())) {
                    None => failures.push(failure.with(shown_bytes(&content.0), "no such pair")),
                    Some((value, _)) if !same(&content.0, value) => {
                        failures.push(failure.with(shown_bytes(&content.0), shown_bytes(value)));
                    }
                    Some(_) => {}
                }
            }
            for ((_, key), (value, _)) in state.0.iter().filter(|((known, _), _)| known == bucket) {
                if !pairs.contains_key(key) {
                    let failure = Failure::new(format!("nobody expects the pair {key} of {bucket}"));
                    failures.push(failure.with("no such pair", shown_bytes(value)));
                }
            }
        }
        failures
    }

    fn reach(&self) -> Result<(), KeyvalueError> {
        if self.is_down.load(Ordering::Relaxed) { Err(KeyvalueError::Unavailable) } else { Ok(()) }
    }

    fn put(
        &self,
        state: &mut (Pairs, i64),
        place: &Place,
        key: &str,
        value: &[u8],
    ) -> Result<(), KeyvalueError> {
        // A database that cannot grow fails like one that is away.
        if self.is_full.load(Ordering::Relaxed) {
            return Err(KeyvalueError::Unavailable);
        }
        let quota = Quota::default().both(place.quota);
        if value.len() as u64 > quota.value_bytes {
            return Err(KeyvalueError::ValueTooLarge { bytes: value.len(), limit: quota.value_bytes });
        }
        let at = (place.bucket.clone(), key.to_owned());
        let old = state.0.get(&at).map(|(value, _)| value.len());
        let bytes: usize = state.0.iter().map(|((_, key), (value, _))| key.len() + value.len()).sum();
        let grown = value.len() + if old.is_none() { key.len() } else { 0 };
        if old.is_none() && state.0.len() as u64 + 1 > quota.pairs {
            return Err(KeyvalueError::Quota { what: "pairs", limit: quota.pairs });
        }
        if grown > old.unwrap_or(0) && (bytes + grown - old.unwrap_or(0)) as u64 > quota.bytes {
            return Err(KeyvalueError::Quota { what: "bytes", limit: quota.bytes });
        }
        state.1 += 1;
        let revision = state.1;
        state.0.insert(at, (value.to_vec(), revision));
        Ok(())
    }
}

/// Whether two values are the same bytes, or the same JSON.
fn same(wanted: &[u8], got: &[u8]) -> bool {
    let read = |bytes: &[u8]| {
        serde_json::from_slice::<serde_json::Value>(bytes).ok().filter(|value| !value.is_string())
    };
    wanted == got || read(wanted).is_some_and(|wanted| Some(wanted) == read(got))
}

#[async_trait]
impl KeyvalueStore for Keyvalue {
    async fn get(&self, place: &Place, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, KeyvalueError> {
        self.reach()?;
        let state = lock(&self.pairs);
        let value = |key: &String| state.0.get(&(place.bucket.clone(), key.clone()));
        Ok(keys.iter().map(|key| value(key).map(|(value, _)| value.clone())).collect())
    }

    async fn set(&self, place: &Place, pairs: &[(String, Vec<u8>)]) -> Result<(), KeyvalueError> {
        self.reach()?;
        let mut state = lock(&self.pairs);
        let before = state.clone();
        for (key, value) in pairs {
            if let Err(error) = self.put(&mut state, place, key, value) {
                *state = before;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn remove(&self, place: &Place, keys: &[String]) -> Result<(), KeyvalueError> {
        self.reach()?;
        let mut state = lock(&self.pairs);
        for key in keys {
            state.0.remove(&(place.bucket.clone(), key.clone()));
        }
        Ok(())
    }

    async fn keys(&self, place: &Place, from: &Cursor) -> Result<Vec<String>, KeyvalueError> {
        self.reach()?;
        let state = lock(&self.pairs);
        let keys = state.0.keys().filter(|(bucket, _)| *bucket == place.bucket).map(|(_, key)| key);
        Ok(match from {
            Cursor::Start => keys.take(PAGE).cloned().collect(),
            Cursor::Behind(last) => keys.filter(|key| *key > last).take(PAGE).cloned().collect(),
            Cursor::Number(count) => {
                keys.skip(usize::try_from(*count).unwrap_or(usize::MAX)).take(PAGE).cloned().collect()
            }
        })
    }

    async fn look(&self, place: &Place, key: &str) -> Result<Seen, KeyvalueError> {
        self.reach()?;
        Ok(seen(&lock(&self.pairs).0, place, key))
    }

    async fn swap(
        &self,
        place: &Place,
        key: &str,
        expected: &Seen,
        value: &[u8],
    ) -> Result<Result<(), Seen>, KeyvalueError> {
        self.reach()?;
        let mut state = lock(&self.pairs);
        let now = seen(&state.0, place, key);
        if now.revision != expected.revision {
            return Ok(Err(now));
        }
        self.put(&mut state, place, key, value).map(Ok)
    }

    async fn increment(
        &self,
        place: &Place,
        key: &str,
        delta: i128,
        range: (i128, i128),
    ) -> Result<i128, KeyvalueError> {
        self.reach()?;
        let mut state = lock(&self.pairs);
        let sum = seen(&state.0, place, key).plus(key, delta, range)?;
        self.put(&mut state, place, key, sum.to_string().as_bytes())?;
        Ok(sum)
    }
}

fn seen(pairs: &Pairs, place: &Place, key: &str) -> Seen {
    let found = pairs.get(&(place.bucket.clone(), key.to_owned()));
    Seen { value: found.map(|(value, _)| value.clone()), revision: found.map(|(_, revision)| *revision) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;

    const EACH: usize = 500;

    fn place() -> Place {
        Place {
            plugin: berth_model::PluginId::fixed("tally"),
            workspace: berth_model::WorkspaceId::fixed("test"),
            bucket: "b".to_owned(),
            quota: Quota::default(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_step_of_two_that_count_at_once_is_lost() {
        let keyvalue = Arc::new(Keyvalue::default());
        let counters: Vec<_> = (0..4)
            .map(|number| {
                let keyvalue = keyvalue.clone();
                tokio::spawn(async move {
                    let place = place();
                    for _ in 0..EACH {
                        if number % 2 == 0 {
                            keyvalue.increment(&place, "n", 1, (0, i128::MAX)).await.unwrap();
                            continue;
                        }
                        let mut seen = keyvalue.look(&place, "n").await.unwrap();
                        loop {
                            let next = seen.plus("n", 1, (0, i128::MAX)).unwrap().to_string();
                            match keyvalue.swap(&place, "n", &seen, next.as_bytes()).await.unwrap() {
                                Ok(()) => break,
                                Err(now) => seen = now,
                            }
                        }
                    }
                })
            })
            .collect();
        for counter in counters {
            counter.await.unwrap();
        }

        let sum = keyvalue.look(&place(), "n").await.unwrap().value.unwrap();
        assert_eq!(String::from_utf8(sum).unwrap(), (4 * EACH).to_string());
    }
}
