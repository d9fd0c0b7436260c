//! Secrets of a case: a real vault over memory, and what takes its values out of texts again.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use berth_broker::Finder;
use berth_core::port::clock::Clock as _;
use berth_secrets::{
    Change, Desk, KeyPlace, Owner, SealedSecret, SealedStore, SecretId, SecretName, SecretValue,
    StoreFailure, Vault,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::lock;
use crate::error::KitError;
use crate::http::wire::Asked;
use crate::time::Time;

/// The shortest value that can be told apart from ordinary text.
const SHORTEST: usize = 8;

/// A desk with these secrets of `plugin`, whose key lies in `folder`.
pub async fn desk(
    plugin: &str,
    secrets: &[(String, String)],
    folder: &Path,
    time: &Arc<Time>,
) -> Result<Arc<Desk>, KitError> {
    let place = KeyPlace::find(folder, None, None);
    let time = time.clone();
    let clock = Arc::new(move || time.now().as_micros());
    let desk = Arc::new(Desk::new(Arc::new(Vault::new(Arc::new(Memory::default()), place, clock))));
    for (name, value) in secrets {
        let bad = |error: &dyn std::fmt::Display| KitError::kit(format!("the secret `{name}`: {error}"));
        let id = SecretId {
            owner: Owner::of(plugin),
            name: name.parse().map_err(|error: berth_secrets::BadName| bad(&error))?,
            workspace: None,
        };
        let value = SecretValue::new(value.clone().into_bytes()).map_err(|error| bad(&error))?;
        desk.vault().put(id, Vec::new(), value, Change::Set).await.map_err(|error| bad(&error))?;
    }
    Ok(desk)
}

#[derive(Default)]
struct Memory(Mutex<Vec<SealedSecret>>);

#[async_trait]
impl SealedStore for Memory {
    async fn list(&self) -> Result<Vec<SealedSecret>, StoreFailure> {
        Ok(lock(&self.0).clone())
    }

    async fn named(&self, name: &SecretName) -> Result<Vec<SealedSecret>, StoreFailure> {
        Ok(lock(&self.0).iter().filter(|secret| secret.id.name == *name).cloned().collect())
    }

    async fn put(&self, secret: &SealedSecret) -> Result<SealedSecret, StoreFailure> {
        let mut all = lock(&self.0);
        all.retain(|other| other.id != secret.id);
        all.push(secret.clone());
        Ok(secret.clone())
    }

    async fn reseal(&self, _: &SealedSecret) -> Result<bool, StoreFailure> {
        Ok(false)
    }

    async fn remove(&self, id: &SecretId) -> Result<bool, StoreFailure> {
        let mut all = lock(&self.0);
        let before = all.len();
        all.retain(|other| other.id != *id);
        Ok(all.len() < before)
    }
}

/// Takes secrets out of requests: where a value was placed, its placeholder stands again. Cheap to clone.
#[derive(Clone)]
pub struct Scrub(Arc<Forms>);

struct Forms {
    /// Each form of a value, and what stands for it.
    forms: Vec<(Vec<u8>, String)>,
    finder: Option<Finder>,
}

impl Scrub {
    /// Fails when a value is too short to be found again.
    pub fn new(secrets: &[(String, String)]) -> Result<Self, KitError> {
        let mut forms: Vec<(Vec<u8>, String)> = Vec::new();
        for (name, value) in secrets {
            if value.len() < SHORTEST {
                return Err(KitError::kit(format!(
                    "the secret `{name}` has less than {SHORTEST} bytes: it could not be told apart from ordinary text"
                )));
            }
            let holder = format!("{{{{secret:{name}}}}}");
            let escaped = serde_json::Value::String(value.clone()).to_string();
            let percent = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
            for form in [
                value.clone(),
                escaped.trim_matches('"').to_owned(),
                percent.replace("%20", "+"),
                percent.to_ascii_lowercase(),
                percent,
                STANDARD_NO_PAD.encode(value),
            ] {
                if !forms.iter().any(|(known, _)| *known == form.as_bytes()) {
                    forms.push((form.into_bytes(), holder.clone()));
                }
            }
        }
        // A longer form may hold a shorter one.
        forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        let values: Vec<&[u8]> = secrets.iter().map(|(_, value)| value.as_bytes()).collect();
        let finder = if values.is_empty() {
            None
        } else {
            Some(Finder::new(&values).map_err(|_| KitError::kit("a secret cannot be searched for"))?)
        };
        Ok(Self(Arc::new(Forms { forms, finder })))
    }

    /// Whether a secret is in `text`, in whatever form.
    pub fn is_in(&self, text: &[u8]) -> bool {
        self.0.finder.as_ref().is_some_and(|finder| finder.is_in(text))
    }

    /// The request without its secrets.
    pub fn request(&self, asked: &Asked) -> Asked {
        Asked {
            method: asked.method.clone(),
            url: self.text(&asked.url),
            headers: asked
                .headers
                .iter()
                .map(|(name, value)| {
                    // Its length is that of the secret.
                    let is_length = name == "content-length" && self.is_in(&asked.body);
                    (name.clone(), if is_length { "0".to_owned() } else { self.text(value) })
                })
                .collect(),
            body: self.bytes(&asked.body),
            raw: Vec::new(),
        }
    }

    /// A text without its secrets.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        'next: while let Some((first, behind)) = rest.split_first() {
            for (form, holder) in &self.0.forms {
                if let Some(after) = rest.strip_prefix(form.as_slice()) {
                    out.extend_from_slice(holder.as_bytes());
                    rest = after;
                    continue 'next;
                }
            }
            out.push(*first);
            rest = behind;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_value_that_was_placed_is_its_placeholder_again_in_each_form() {
        let secrets = [("token".to_owned(), "s3cr3t / \"value\"".to_owned())];
        let scrub = Scrub::new(&secrets).unwrap();
        let value = &secrets[0].1;

        for text in [
            format!("Bearer {value}"),
            format!("?key={}", utf8_percent_encode(value, NON_ALPHANUMERIC)),
            serde_json::json!({ "k": value }).to_string(),
            format!("Basic {}", STANDARD_NO_PAD.encode(value)),
        ] {
            assert!(scrub.is_in(text.as_bytes()), "{text}");
            let clean = scrub.text(&text);
            assert!(clean.contains("{{secret:token}}") && !scrub.is_in(clean.as_bytes()), "{clean}");
        }
        assert!(Scrub::new(&[("pin".to_owned(), "1234".to_owned())]).is_err());
    }
}
