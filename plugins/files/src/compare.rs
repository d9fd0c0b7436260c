//! Tells how two texts differ.

use std::io::Read;
use std::time::Duration;

use berth_plugin::call;
use similar::{Algorithm, ChangeTag, TextDiff};

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Difference, Error, read};

/// A larger file is not compared.
const MOST_BYTES: u64 = 2 * 1024 * 1024;
/// So much of the difference is told.
const MOST_TOLD: usize = 128 * 1024;
/// A comparison that takes longer becomes a coarser one.
const PATIENCE: Duration = Duration::from_millis(500);

pub fn compare(path: &str, other: Option<&str>, text: Option<String>) -> Result<Difference, Error> {
    let (path, before) = file(path)?;
    let (name, after) = match (other, text) {
        (Some(other), None) => file(other)?,
        (None, Some(text)) => ("text".to_owned(), text),
        _ => return Err(failure("invalid_arguments", "give `other` or `text`, and not both".into())),
    };
    let mut config = TextDiff::configure();
    config.algorithm(Algorithm::Myers).timeout(call::remaining().min(PATIENCE));
    let diff = config.diff_lines(&before, &after);
    let count = |tag| {
        let lines = diff.iter_all_changes().filter(|change| change.tag() == tag).count();
        u32::try_from(lines).unwrap_or(u32::MAX)
    };
    let (removed, added) = (count(ChangeTag::Delete), count(ChangeTag::Insert));
    let mut text = diff.unified_diff().context_radius(3).header(&path, &name).to_string();
    if removed + added == 0 {
        text.clear();
    }
    let truncated = text.len() > MOST_TOLD;
    text.truncate(text.floor_char_boundary(MOST_TOLD));
    Ok(Difference { text, removed, added, truncated })
}

fn file(path: &str) -> Result<(String, String), Error> {
    let place = Place::new(path)?;
    let broken = |error| io_failure(Access::Read, &place, &error);
    let mut bytes = Vec::new();
    let read = read::open(&place)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(broken)?;
    if read as u64 > MOST_BYTES {
        let message = format!("`{}` has more than {MOST_BYTES} bytes: it is not compared", place.path);
        return Err(failure("too_large", message));
    }
    let text = String::from_utf8(bytes);
    text.map(|text| (place.path.clone(), text))
        .map_err(|_| failure("not_text", format!("`{}` is no UTF-8 text", place.path)))
}
