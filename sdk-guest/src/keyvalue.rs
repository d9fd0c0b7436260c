//! Pairs that outlive the call, the plugin's own in each workspace. Needs the grant `keyvalue`.
//!
//! A key has 1 to 512 bytes and no NUL. How many pairs and bytes there may be is the operator's quota.
//!
//! ```
//! use berth_plugin::keyvalue;
//!
//! let bucket = keyvalue::open("")?;
//! bucket.set("colour", b"green")?;
//! assert_eq!(bucket.get("colour")?.as_deref(), Some(&b"green"[..]));
//! assert_eq!(bucket.keys()?, ["colour"]);
//! bucket.update("visits", |before| Ok(Some(vec![before.map_or(1, |count| count[0] + 1)])))?;
//! # Ok::<(), berth_plugin::Error>(())
//! ```

#[cfg(not(target_family = "wasm"))]
use crate::testing::standards as host;

use crate::Error;

/// So often an update begins anew when others write meanwhile.
const MOST_ATTEMPTS: usize = 20;

/// A named set of pairs.
pub struct Bucket(host::Bucket);

/// The bucket `name`, the one named `default` when it is empty.
///
/// Fails with `denied` when the grant does not name it; the host's error otherwise.
pub fn open(name: &str) -> Result<Bucket, Error> {
    host::open(name).map(Bucket)
}

impl Bucket {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.0.get(key)
    }

    /// Puts `value` under `key`.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.0.set(key, value)
    }

    /// Takes `key` away, if it is there.
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.0.delete(key)
    }

    /// Whether there is something under `key`.
    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        self.0.exists(key)
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut cursor = None;
        loop {
            let (page, next) = self.0.page(cursor.as_deref())?;
            keys.extend(page);
            match next {
                Some(_) => cursor = next,
                None => break,
            }
        }
        keys.sort_unstable();
        Ok(keys)
    }

    /// The values under `keys`, at most 1000, in the same order.
    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        self.0.get_many(keys)
    }

    /// Adds `delta` to the number under `key`, 0 when there is none, and answers with the sum.
    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        self.0.increment(key, delta)
    }

    /// Puts what `change` makes of the value under `key` in its place, and nothing when it answers `None`.
    ///
    /// When somebody else wrote to the pair meanwhile, `change` is called again with what they wrote. Fails with its
    /// error, and with `BUSY` when others were faster every time.
    pub fn update(
        &self,
        key: &str,
        mut change: impl FnMut(Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Error>,
    ) -> Result<(), Error> {
        let mut look = self.0.look(key)?;
        for _ in 0..MOST_ATTEMPTS {
            let Some(value) = change(look.current()?)? else { return Ok(()) };
            match look.swap(&value)? {
                None => return Ok(()),
                Some(now) => look = now,
            }
        }
        Err(Error::new("BUSY", format!("others write to `{key}` all the time")).retryable())
    }
}

#[cfg(target_family = "wasm")]
mod host {
    use crate::Error;
    use crate::bindings::standards::wasi::keyvalue::{atomics, batch, store};

    pub struct Bucket(store::Bucket);

    /// A pair as it was looked at.
    pub struct Look(atomics::Cas);

    pub fn open(name: &str) -> Result<Bucket, Error> {
        store::open(name).map(Bucket).map_err(told)
    }

    fn told(error: store::Error) -> Error {
        match error {
            store::Error::NoSuchStore => Error::new("NO_SUCH_STORE", "there is no such bucket"),
            store::Error::AccessDenied => Error::denied("keyvalue", "the bucket is not granted"),
            store::Error::Other(text) => Error::new("KEYVALUE", text),
        }
    }

    impl Bucket {
        pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
            self.0.get(key).map_err(told)
        }

        pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
            self.0.set(key, value).map_err(told)
        }

        pub fn delete(&self, key: &str) -> Result<(), Error> {
            self.0.delete(key).map_err(told)
        }

        pub fn exists(&self, key: &str) -> Result<bool, Error> {
            self.0.exists(key).map_err(told)
        }

        pub fn page(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), Error> {
            self.0.list_keys(cursor).map(|page| (page.keys, page.cursor)).map_err(told)
        }

        pub fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
            let found = batch::get_many(&self.0, keys).map_err(told)?;
            Ok(keys
                .iter()
                .map(|key| found.iter().find(|(name, _)| name == key).and_then(|(_, value)| value.clone()))
                .collect())
        }

        pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
            atomics::increment(&self.0, key, delta).map_err(told)
        }

        pub fn look(&self, key: &str) -> Result<Look, Error> {
            atomics::Cas::new(&self.0, key).map(Look).map_err(told)
        }
    }

    impl Look {
        pub fn current(&self) -> Result<Option<Vec<u8>>, Error> {
            self.0.current().map_err(told)
        }

        /// Answers with the pair as it is now when it was not swapped.
        pub fn swap(self, value: &[u8]) -> Result<Option<Self>, Error> {
            match atomics::swap(self.0, value) {
                Ok(()) => Ok(None),
                Err(atomics::CasError::StoreError(error)) => Err(told(error)),
                Err(atomics::CasError::CasFailed(now)) => Ok(Some(Self(now))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing;

    #[test]
    fn an_update_begins_anew_when_another_wrote_meanwhile() {
        let bucket = open("").unwrap();
        bucket.set("list", b"a").unwrap();
        let mut seen = Vec::new();

        let others = open("").unwrap();
        bucket
            .update("list", |before| {
                let before = before.unwrap_or_default();
                if seen.is_empty() {
                    others.set("list", b"ab")?;
                }
                seen.push(before.clone());
                Ok(Some([&before[..], b"c"].concat()))
            })
            .unwrap();

        assert_eq!(seen, [b"a".to_vec(), b"ab".to_vec()]);
        assert_eq!(bucket.get("list").unwrap().unwrap(), b"abc");
    }

    #[test]
    fn an_update_against_a_storm_gives_up_and_says_that_trying_again_may_help() {
        let (bucket, others) = (open("").unwrap(), open("").unwrap());
        let mut storm = 0_u64;

        let error = bucket
            .update("list", |_| {
                storm += 1;
                others.set("list", &storm.to_le_bytes())?;
                Ok(Some(Vec::new()))
            })
            .unwrap_err();

        assert_eq!((error.code.as_str(), error.retryable), ("BUSY", true));
    }

    #[test]
    fn buckets_are_apart_and_a_refusal_is_a_value() {
        let (one, two) = (open("one").unwrap(), open("two").unwrap());
        one.set("b", b"1").unwrap();
        one.set("a", b"2").unwrap();

        assert_eq!(one.keys().unwrap(), ["a", "b"]);
        assert_eq!(two.keys().unwrap(), [""; 0]);
        let keys = ["b".to_owned(), "none".to_owned()];
        assert_eq!(one.get_many(&keys).unwrap(), [Some(b"1".to_vec()), None]);
        assert_eq!((two.increment("n", 2).unwrap(), two.increment("n", -5).unwrap()), (2, -3));
        testing::host(|host| host.pairs_denied = true);
        assert_eq!(one.get("a").unwrap_err().code, "denied");
    }
}
