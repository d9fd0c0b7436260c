//! Where notes are kept: `note/ID` holds JSON, `next` the number of the last one.

use berth_plugin::keyvalue::{self, Bucket};
use berth_plugin::{Value, json};

use crate::{Error, Note, failure};

const BUCKET: &str = "notes";
const PREFIX: &str = "note/";
/// So many pairs are read at once: together they stay below what one crossing to the host may carry.
const PAIRS_AT_ONCE: usize = 64;

pub struct Shelf(Bucket);

impl Shelf {
    pub fn open() -> Result<Self, Error> {
        keyvalue::open(BUCKET).map(Self).map_err(told)
    }

    /// Keeps a new note and gives it its id.
    pub fn add(&self, note: &mut Note) -> Result<(), Error> {
        note.id = self.0.increment("next", 1).map_err(told)?.to_string();
        self.0.set(&key(&note.id), &written(note)).map_err(told)
    }

    pub fn get(&self, id: &str) -> Result<Option<Note>, Error> {
        if number(id).is_none() {
            return Ok(None);
        }
        let value = self.0.get(&key(id)).map_err(told)?;
        value.map(|value| read(id, &value)).transpose()
    }

    /// Every note, in no order.
    pub fn all(&self) -> Result<Vec<Note>, Error> {
        let keys = self.0.keys().map_err(told)?;
        let keys: Vec<_> = keys.into_iter().filter(|key| key.starts_with(PREFIX)).collect();
        let mut notes = Vec::new();
        for keys in keys.chunks(PAIRS_AT_ONCE) {
            let values = self.0.get_many(keys).map_err(told)?;
            for (key, value) in keys.iter().zip(values) {
                // A note that was removed meanwhile is none.
                if let Some(value) = value {
                    notes.push(read(key.trim_start_matches(PREFIX), &value)?);
                }
            }
        }
        Ok(notes)
    }

    /// Keeps what `change` makes of the note as it is then; `None` when there is none.
    pub fn change(&self, id: &str, change: impl Fn(Note) -> Note) -> Result<Option<Note>, Error> {
        let mut changed = None;
        if number(id).is_none() {
            return Ok(None);
        }
        let update = self.0.update(&key(id), |value| {
            let Some(value) = value else {
                changed = None;
                return Ok(None);
            };
            let note =
                read(id, &value).map_err(|error| berth_plugin::Error::new(error.code, error.message))?;
            let note = change(note);
            let value = written(&note);
            changed = Some(note);
            Ok(Some(value))
        });
        update.map_err(told)?;
        Ok(changed)
    }

    pub fn remove(&self, id: &str) -> Result<(), Error> {
        self.0.delete(&key(id)).map_err(told)
    }
}

/// Ids are numbers as [`Shelf::add`] makes them; nothing else names a pair.
pub fn number(id: &str) -> Option<u64> {
    id.parse().ok().filter(|number: &u64| number.to_string() == id)
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

fn written(note: &Note) -> Vec<u8> {
    let Note { id: _, text, tags, created_ms, changed_ms } = note;
    let value = json!({ "text": text, "tags": tags, "created_ms": created_ms, "changed_ms": changed_ms });
    value.to_string().into_bytes()
}

fn read(id: &str, value: &[u8]) -> Result<Note, Error> {
    let note = String::from_utf8_lossy(value).parse::<Value>().ok().and_then(|value| {
        let tags = value["tags"].as_array()?.iter();
        Some(Note {
            id: id.to_owned(),
            text: value["text"].as_str()?.to_owned(),
            tags: tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect(),
            created_ms: value["created_ms"].as_u64()?,
            changed_ms: value["changed_ms"].as_u64()?,
        })
    });
    note.ok_or_else(|| failure("storage", format!("the note `{id}` is kept in a form that is not ours")))
}

fn told(error: berth_plugin::Error) -> Error {
    let error = match error.code.as_str() {
        "denied" => {
            let scope = json!({ "capability": "keyvalue", "scope": { "store": BUCKET, "access": "rw" } });
            error.with_details(&scope).with_grant_hint("notes")
        }
        _ => error,
    };
    let code = match error.code.as_str() {
        known @ ("denied" | "storage") => known,
        "BUSY" => "busy",
        _ => "storage",
    };
    failure(code, error.message)
}
