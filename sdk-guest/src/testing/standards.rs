//! What the standard interfaces are in a test: requests by a script, pairs in a map, settings, lines.

use super::host;
use crate::Error;
use crate::http::{Request, Response};
use crate::log::Level;

pub fn send(request: &Request) -> Result<Response, Error> {
    // The script may look at the host itself, so nothing of it is borrowed while it runs.
    let mut answered =
        host(|host| std::mem::replace(&mut host.answered, Box::new(|_| Ok(Response::new(508, "")))));
    let answer = answered(request);
    host(|host| {
        host.requests.push(request.clone());
        host.answered = answered;
    });
    answer.map(|mut answer| {
        answer.truncated |= answer.body.len() > request.most_bytes;
        answer.body.truncate(request.most_bytes);
        answer
    })
}

pub fn setting(key: &str) -> Result<Option<String>, Error> {
    host(|host| Ok(host.settings.get(key).cloned()))
}

pub fn log(level: Level, message: &str) {
    host(|host| host.lines.push((level, message.to_owned())));
}

pub struct Bucket(String);

/// A pair as it was looked at.
pub struct Look {
    bucket: Bucket,
    key: String,
    seen: Option<Vec<u8>>,
}

pub fn open(name: &str) -> Result<Bucket, Error> {
    let bucket = Bucket(if name.is_empty() { "default" } else { name }.to_owned());
    bucket.granted()?;
    Ok(bucket)
}

impl Bucket {
    fn granted(&self) -> Result<(), Error> {
        if host(|host| host.pairs_denied) {
            return Err(Error::denied("keyvalue", "the bucket is not granted"));
        }
        Ok(())
    }

    fn pair(&self, key: &str) -> Result<(String, String), Error> {
        self.granted()?;
        if key.is_empty() || key.len() > 512 || key.contains('\0') {
            return Err(Error::new("KEYVALUE", "a key has 1 to 512 bytes and no NUL"));
        }
        Ok((self.0.clone(), key.to_owned()))
    }

    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let pair = self.pair(key)?;
        Ok(host(|host| host.pairs.get(&pair).cloned()))
    }

    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        let pair = self.pair(key)?;
        host(|host| host.pairs.insert(pair, value.to_vec()));
        Ok(())
    }

    pub fn delete(&self, key: &str) -> Result<(), Error> {
        let pair = self.pair(key)?;
        host(|host| host.pairs.remove(&pair));
        Ok(())
    }

    pub fn exists(&self, key: &str) -> Result<bool, Error> {
        self.get(key).map(|value| value.is_some())
    }

    /// One key a page, so that a plugin must turn pages.
    pub fn page(&self, cursor: Option<&str>) -> Result<(Vec<String>, Option<String>), Error> {
        self.granted()?;
        let keys = host(|host| {
            let ours = host.pairs.keys().filter(|(bucket, _)| *bucket == self.0);
            let keys = ours.map(|(_, key)| key.clone());
            keys.filter(|key| cursor.is_none_or(|last| key.as_str() > last)).take(2).collect::<Vec<_>>()
        });
        let next = if keys.len() > 1 { keys.first().cloned() } else { None };
        Ok((keys.into_iter().take(1).collect(), next))
    }

    pub fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        if keys.len() > 1000 {
            return Err(Error::new("KEYVALUE", "a batch has at most 1000 keys"));
        }
        keys.iter().map(|key| self.get(key)).collect()
    }

    pub fn increment(&self, key: &str, delta: i64) -> Result<i64, Error> {
        let before = self.get(key)?.and_then(|value| String::from_utf8(value).ok()?.parse::<i64>().ok());
        let sum = before.unwrap_or(0).saturating_add(delta);
        self.set(key, sum.to_string().as_bytes())?;
        Ok(sum)
    }

    pub fn look(&self, key: &str) -> Result<Look, Error> {
        Ok(Look { bucket: Self(self.0.clone()), key: key.to_owned(), seen: self.get(key)? })
    }
}

impl Look {
    pub fn current(&self) -> Result<Option<Vec<u8>>, Error> {
        self.bucket.granted()?;
        Ok(self.seen.clone())
    }

    pub fn swap(self, value: &[u8]) -> Result<Option<Self>, Error> {
        if self.bucket.get(&self.key)? == self.seen {
            self.bucket.set(&self.key, value)?;
            return Ok(None);
        }
        self.bucket.look(&self.key).map(Some)
    }
}
