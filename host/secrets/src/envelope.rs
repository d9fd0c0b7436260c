//! What is sealed: the value, and whose it is.
//!
//! The owner lies inside as well as beside, so that nobody who can write to the database hands the value of one plugin
//! to another by moving it to another row.

use std::io::{Read, Write};

use age::x25519::{Identity, Recipient};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::name::SecretId;
use crate::value::{SecretValue, VALUE_BYTES};

/// The longest sealed text that is looked at: a full value, its owner and what age adds, in base64.
const SEALED_BYTES: usize = 2 * (VALUE_BYTES + (8 << 10));

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Label {
    owner: String,
    name: String,
    workspace: String,
    plugins: Vec<String>,
}

impl Label {
    fn of(id: &SecretId, plugins: &[String]) -> Self {
        Self {
            owner: id.owner.as_str().to_owned(),
            name: id.name.to_string(),
            workspace: id.workspace.clone().unwrap_or_default(),
            plugins: plugins.to_vec(),
        }
    }
}

/// Why an envelope could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// No key at hand fits.
    OtherKey,
    /// It was changed, or belongs to another secret.
    Damaged,
}

/// Seals `value` for `recipient`, as base64 of an age file.
pub(crate) fn seal(
    id: &SecretId,
    plugins: &[String],
    value: &SecretValue,
    recipient: &Recipient,
) -> std::io::Result<String> {
    let label = serde_json::to_vec(&Label::of(id, plugins))?;
    let length = u32::try_from(label.len()).map_err(std::io::Error::other)?;
    let recipients = std::iter::once(recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).map_err(std::io::Error::other)?;
    let mut sealed = Vec::new();
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(&length.to_be_bytes())?;
    writer.write_all(&label)?;
    writer.write_all(value.expose())?;
    writer.finish()?;
    Ok(BASE64.encode(sealed))
}

/// Opens what [`seal`] made of the same `id` and `plugins`.
pub(crate) fn open(
    id: &SecretId,
    plugins: &[String],
    sealed: &str,
    keys: &[Identity],
) -> Result<SecretValue, Unopened> {
    if sealed.len() > SEALED_BYTES {
        return Err(Unopened::Damaged);
    }
    let sealed = BASE64.decode(sealed).map_err(|_| Unopened::Damaged)?;
    let decryptor = age::Decryptor::new_buffered(sealed.as_slice()).map_err(|_| Unopened::Damaged)?;
    let identities = keys.iter().map(|key| key as &dyn age::Identity);
    let mut reader = decryptor.decrypt(identities).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => Unopened::OtherKey,
        _ => Unopened::Damaged,
    })?;
    // With room for all of it nothing is copied to a larger place and left behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    reader.read_to_end(&mut plain).map_err(|_| Unopened::Damaged)?;
    let (length, rest) = plain.split_first_chunk::<4>().ok_or(Unopened::Damaged)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unopened::Damaged)?;
    let (label, value) = rest.split_at_checked(length).ok_or(Unopened::Damaged)?;
    let label: Label = serde_json::from_slice(label).map_err(|_| Unopened::Damaged)?;
    if label != Label::of(id, plugins) {
        return Err(Unopened::Damaged);
    }
    SecretValue::new(value.to_vec()).map_err(|_| Unopened::Damaged)
}
