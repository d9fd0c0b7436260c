//! Lists a folder.

use std::fs::{self, FileType};
use std::io;

use crate::failure::{Access, io_failure};
use crate::place::Place;
use crate::{Entry, Error, Kind, Listing};

const USUAL_ENTRIES: u32 = 500;
const MOST_ENTRIES: u32 = 5000;

pub fn list(path: &str, limit: Option<u32>) -> Result<Listing, Error> {
    let place = Place::new(path)?;
    let limit = limit.unwrap_or(USUAL_ENTRIES).min(MOST_ENTRIES) as usize;
    let mut names = names(&place).map_err(|error| io_failure(Access::Read, &place, &error))?;
    let truncated = names.len() > limit;
    names.truncate(limit);
    let entries = names.into_iter().map(|(name, kind)| entry(&place, name, kind)).collect();
    Ok(Listing { path: place.path, entries, truncated })
}

/// Names and kinds of the entries, sorted by name.
pub fn names(folder: &Place) -> io::Result<Vec<(String, Kind)>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder.real)? {
        let entry = entry?;
        // An entry that vanishes meanwhile is an entry all the same.
        let kind = entry.file_type().map_or(Kind::Other, kind);
        names.push((entry.file_name().to_string_lossy().into_owned(), kind));
    }
    names.sort_unstable_by(|left, right| left.0.cmp(&right.0));
    Ok(names)
}

fn entry(folder: &Place, name: String, kind: Kind) -> Entry {
    let size = match kind {
        // No size, rather than no listing, for a file that went away or may not be looked at.
        Kind::File => fs::metadata(folder.join(&name).real).ok().map(|metadata| metadata.len()),
        Kind::Folder | Kind::Link | Kind::Other => None,
    };
    Entry { name, kind, size }
}

fn kind(kind: FileType) -> Kind {
    if kind.is_file() {
        Kind::File
    } else if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() {
        Kind::Link
    } else {
        Kind::Other
    }
}
