//! Finds files by name and by content.

use std::fs;

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Error, Found, Hit, Kind, SearchIn, list, walk};

const USUAL_HITS: u32 = 100;
const MOST_HITS: u32 = 1000;
const MOST_FILE_BYTES: u64 = 4 * 1024 * 1024;
const LINE_CHARS: usize = 300;
/// So much of a long line is shown before the match.
const LEAD_CHARS: usize = 100;

/// What to look for.
pub struct Query {
    /// Lower case when case is ignored.
    text: String,
    scope: SearchIn,
    ignore_case: bool,
    limit: usize,
}

impl Query {
    /// Fails with `invalid_arguments` when `text` is empty or more than a line.
    pub fn new(text: &str, scope: SearchIn, ignore_case: bool, limit: Option<u32>) -> Result<Self, Error> {
        if text.is_empty() || text.contains(['\n', '\r']) {
            let message = "`text` must not be empty and must stand on one line".into();
            return Err(failure("invalid_arguments", message));
        }
        let text = if ignore_case { text.to_lowercase() } else { text.to_owned() };
        let limit = limit.unwrap_or(USUAL_HITS).min(MOST_HITS) as usize;
        Ok(Self { text, scope, ignore_case, limit })
    }

    fn find(&self, line: &str) -> Option<usize> {
        if !self.ignore_case {
            return line.find(&self.text).map(|at| line[..at].chars().count());
        }
        let lower = line.to_lowercase();
        lower.find(&self.text).map(|at| lower[..at].chars().count())
    }
}

pub fn search(path: &str, query: &Query) -> Result<Found, Error> {
    let place = Place::new(path)?;
    let metadata = fs::metadata(&place.real).map_err(|error| io_failure(Access::Read, &place, &error))?;
    let mut search = Search {
        query,
        found: Found { hits: Vec::new(), truncated: false, looked_at: 0, skipped: 0 },
        // The next one is the last; a folder puts its entries there in reverse order.
        pending: vec![(place.clone(), if metadata.is_dir() { Kind::Folder } else { Kind::File })],
    };
    if metadata.is_dir() {
        // A folder that is named is one the caller wants to hear about.
        list::names(&place).map_err(|error| io_failure(Access::Read, &place, &error))?;
    }
    while let Some((place, kind)) = search.pending.pop() {
        if walk::is_late() {
            search.found.truncated = true;
        }
        if search.found.truncated {
            break;
        }
        search.look_at(&place, kind);
    }
    Ok(search.found)
}

struct Search<'a> {
    query: &'a Query,
    found: Found,
    pending: Vec<(Place, Kind)>,
}

impl Search<'_> {
    fn look_at(&mut self, place: &Place, kind: Kind) {
        self.found.looked_at += 1;
        if self.query.scope != SearchIn::Content && self.query.find(place.name()).is_some() {
            self.hit(Hit { path: place.path.clone(), line: None, text: None });
        }
        match kind {
            Kind::Folder => self.enter(place),
            Kind::File if self.query.scope != SearchIn::Names => self.scan(place),
            Kind::File | Kind::Link | Kind::Other => {}
        }
    }

    fn enter(&mut self, folder: &Place) {
        let Ok(names) = list::names(folder) else {
            self.found.skipped += 1;
            return;
        };
        let entries = names.into_iter().rev().map(|(name, kind)| (folder.join(&name), kind));
        self.pending.extend(entries);
    }

    fn scan(&mut self, place: &Place) {
        let small = fs::metadata(&place.real).is_ok_and(|metadata| metadata.len() <= MOST_FILE_BYTES);
        let bytes = if small { fs::read(&place.real).ok() } else { None };
        let Some(text) =
            bytes.filter(|bytes| !bytes.contains(&0)).and_then(|bytes| String::from_utf8(bytes).ok())
        else {
            self.found.skipped += 1;
            return;
        };
        for (index, line) in text.lines().enumerate() {
            let Some(at) = self.query.find(line) else { continue };
            let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            self.hit(Hit { path: place.path.clone(), line: Some(line_number), text: Some(cut(line, at)) });
            if self.found.truncated {
                return;
            }
        }
    }

    fn hit(&mut self, hit: Hit) {
        if self.found.hits.len() < self.query.limit {
            self.found.hits.push(hit);
        } else {
            self.found.truncated = true;
        }
    }
}

/// The part of a long line that shows the match at character `at`.
fn cut(line: &str, at: usize) -> String {
    if line.len() <= LINE_CHARS {
        return line.to_owned();
    }
    line.chars().skip(at.saturating_sub(LEAD_CHARS)).take(LINE_CHARS).collect()
}
