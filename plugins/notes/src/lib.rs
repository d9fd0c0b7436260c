//! Short texts with tags, a pair of the key-value store each.

mod shelf;

use std::collections::BTreeMap;

use berth_plugin::{call, clock, export_typed};

use shelf::Shelf;

export_typed!(Notes: berth::notes::notes);

struct Notes;

const USUAL_NOTES: u32 = 50;
const MOST_NOTES: u32 = 500;
const MOST_TEXT_BYTES: usize = 32 * 1024;
const MOST_TAGS: usize = 32;
const MOST_TAG_BYTES: usize = 64;

impl Guest for Notes {
    fn add(text: String, tags: Option<Vec<String>>) -> Result<Note, Error> {
        let now = now();
        let (text, tags) = (checked(text)?, plain(tags.unwrap_or_default())?);
        let mut note = Note { id: String::new(), text, tags, created_ms: now, changed_ms: now };
        let shelf = Shelf::open()?;
        if !call::context().dry_run {
            shelf.add(&mut note)?;
        }
        Ok(note)
    }

    fn get(id: String) -> Result<Note, Error> {
        Shelf::open()?.get(&id)?.ok_or_else(|| unknown(&id))
    }

    fn list(tag: Option<String>, limit: Option<u32>) -> Result<Found, Error> {
        find("", tag, limit)
    }

    fn search(words: String, tag: Option<String>, limit: Option<u32>) -> Result<Found, Error> {
        if words.trim().is_empty() {
            return Err(failure("invalid_arguments", "`words` is empty: say what to look for"));
        }
        find(&words, tag, limit)
    }

    fn change(id: String, text: Option<String>, tags: Option<Vec<String>>) -> Result<Note, Error> {
        if text.is_none() && tags.is_none() {
            return Err(failure("invalid_arguments", "nothing is to change: give `text`, `tags`, or both"));
        }
        let (text, tags) = (text.map(checked).transpose()?, tags.map(plain).transpose()?);
        let now = now();
        let change = |mut note: Note| {
            note.text = text.clone().unwrap_or(note.text);
            note.tags = tags.clone().unwrap_or(note.tags);
            note.changed_ms = now;
            note
        };
        let shelf = Shelf::open()?;
        let changed = match call::context().dry_run {
            true => shelf.get(&id)?.map(change),
            false => shelf.change(&id, change)?,
        };
        changed.ok_or_else(|| unknown(&id))
    }

    fn remove(id: String) -> Result<Note, Error> {
        let shelf = Shelf::open()?;
        let note = shelf.get(&id)?.ok_or_else(|| unknown(&id))?;
        if !call::context().dry_run {
            shelf.remove(&id)?;
        }
        Ok(note)
    }

    fn tags() -> Result<Vec<Tag>, Error> {
        let mut counts = BTreeMap::new();
        for note in Shelf::open()?.all()? {
            for tag in note.tags {
                *counts.entry(tag).or_insert(0) += 1;
            }
        }
        let mut tags: Vec<_> = counts.into_iter().map(|(name, notes)| Tag { name, notes }).collect();
        // Stable, so that equals stay in the order of the alphabet.
        tags.sort_by_key(|tag| std::cmp::Reverse(tag.notes));
        Ok(tags)
    }
}

fn find(words: &str, tag: Option<String>, limit: Option<u32>) -> Result<Found, Error> {
    let limit = limit.unwrap_or(USUAL_NOTES).min(MOST_NOTES) as usize;
    let tag = tag.map(|tag| plain(vec![tag])).transpose()?;
    let words: Vec<_> = words.split_whitespace().map(str::to_lowercase).collect();
    let fits = |note: &Note| {
        let has_tag = tag.iter().flatten().all(|tag| note.tags.contains(tag));
        let text = note.text.to_lowercase();
        has_tag
            && words.iter().all(|word| text.contains(word) || note.tags.iter().any(|tag| tag.contains(word)))
    };
    let mut notes: Vec<_> = Shelf::open()?.all()?.into_iter().filter(fits).collect();
    notes.sort_by(|a, b| {
        b.changed_ms.cmp(&a.changed_ms).then_with(|| shelf::number(&b.id).cmp(&shelf::number(&a.id)))
    });
    let truncated = notes.len() > limit;
    notes.truncate(limit);
    Ok(Found { notes, truncated })
}

/// Milliseconds since the Unix epoch.
fn now() -> u64 {
    u64::try_from(clock::since_epoch().as_millis()).unwrap_or(u64::MAX)
}

fn checked(text: String) -> Result<String, Error> {
    if text.trim().is_empty() {
        return Err(failure("invalid_arguments", "`text` is empty"));
    }
    if text.len() > MOST_TEXT_BYTES {
        let size = text.len();
        return Err(failure(
            "too_large",
            format!("the text has {size} bytes, a note takes {MOST_TEXT_BYTES}"),
        ));
    }
    Ok(text)
}

/// Tags as they are kept: trimmed, in lower case, without a leading `#`, sorted, each once.
fn plain(tags: Vec<String>) -> Result<Vec<String>, Error> {
    let mut plain = Vec::new();
    for tag in tags {
        let name = tag.trim().trim_start_matches('#').to_lowercase();
        if name.is_empty()
            || name.len() > MOST_TAG_BYTES
            || name.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            let message = format!("`{tag}` is no tag: it is one word of at most {MOST_TAG_BYTES} bytes");
            return Err(failure("invalid_arguments", message));
        }
        plain.push(name);
    }
    plain.sort_unstable();
    plain.dedup();
    if plain.len() > MOST_TAGS {
        return Err(failure("too_large", format!("a note has at most {MOST_TAGS} tags")));
    }
    Ok(plain)
}

fn unknown(id: &str) -> Error {
    failure("not_found", format!("there is no note `{id}`"))
}

fn failure(code: &str, message: impl Into<String>) -> Error {
    Error { code: code.into(), message: message.into() }
}

#[cfg(test)]
mod tests;
