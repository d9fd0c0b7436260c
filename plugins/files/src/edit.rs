//! Replaces one piece of a text file: the text that is there must be given exactly, and must be there once.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::Read;

use crate::failure::{Access, failure, io_failure};
use crate::place::Place;
use crate::{Edited, Error, dry_run, read, write};

/// A larger file is no file to edit by hand.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

pub fn edit(path: &str, old: &str, new: &str) -> Result<Edited, Error> {
    let place = Place::new(path)?;
    let mut file = read::open(&place)?;
    let broken = |error| io_failure(Access::Read, &place, &error);
    let size = file.metadata().map_err(broken)?.len();
    if size > MOST_BYTES {
        let message = format!("`{}` has {size} bytes, an edit takes at most {MOST_BYTES}", place.path);
        return Err(failure("too_large", message));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(broken)?;
    drop(file);
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(failure("not_text", format!("`{}` is no UTF-8 text", place.path)));
    };
    let (text, line) = replace_once(&text, old, new).map_err(|refusal| refusal.tell(&place.path))?;
    let saved = !dry_run();
    if saved {
        let denied = |error| io_failure(Access::Write, &place, &error);
        let mut file = OpenOptions::new().write(true).open(&place.real).map_err(denied)?;
        write::replace(&mut file, text.as_bytes()).map_err(denied)?;
    }
    Ok(Edited { path: place.path, line, size: text.len() as u64, saved })
}

/// Why an edit was not made.
#[derive(Debug, PartialEq)]
enum Refusal {
    Empty,
    Same,
    NoMatch,
    Several { matches: usize },
}

impl Refusal {
    fn tell(&self, path: &str) -> Error {
        match self {
            Self::Empty => failure("invalid_arguments", "`old` is empty: name the text to replace".into()),
            Self::Same => failure("invalid_arguments", "`old` and `new` are the same".into()),
            Self::NoMatch => {
                failure("no_match", format!("`old` occurs 0 times in `{path}`: read the file again"))
            }
            Self::Several { matches } => failure(
                "several_matches",
                format!("`old` occurs {matches} times in `{path}`: take in more of the text around it"),
            ),
        }
    }
}

/// The new text, and the line on which the old piece began.
fn replace_once(text: &str, old: &str, new: &str) -> Result<(String, u32), Refusal> {
    if old.is_empty() {
        return Err(Refusal::Empty);
    }
    let (old, new) = (with_endings_of(text, old), with_endings_of(text, new));
    if old == new {
        return Err(Refusal::Same);
    }
    let at = match places(text, &old) {
        (Some(at), 1) => at,
        (Some(_), matches) => return Err(Refusal::Several { matches }),
        (None, _) => return Err(Refusal::NoMatch),
    };
    let (before, after) = (&text[..at], &text[at + old.len()..]);
    let line = 1 + before.matches('\n').count();
    Ok(([before, &new, after].concat(), u32::try_from(line).unwrap_or(u32::MAX)))
}

/// The first place, and how many there are; places may overlap.
fn places(text: &str, old: &str) -> (Option<usize>, usize) {
    let first = text.find(old);
    let mut count = 0;
    let mut next = first;
    while let Some(at) = next {
        count += 1;
        // The next place may begin one character further on.
        let after = at + text[at..].chars().next().map_or(1, char::len_utf8);
        next = text[after..].find(old).map(|offset| after + offset);
    }
    (first, count)
}

/// Writes the newlines of `piece` as `\r\n` when all of `text` does so.
fn with_endings_of<'a>(text: &str, piece: &'a str) -> Cow<'a, str> {
    let newlines = text.matches('\n').count();
    if newlines == 0 || text.matches("\r\n").count() != newlines {
        return piece.into();
    }
    piece.replace("\r\n", "\n").replace('\n', "\r\n").into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_occurs_once_is_replaced() {
        let (text, line) = replace_once("one\ntwo\nthree\n", "two", "2\n2b").unwrap();

        assert_eq!((text.as_str(), line), ("one\n2\n2b\nthree\n", 2));
    }

    #[test]
    fn a_refusal_counts_the_places() {
        assert_eq!(replace_once("abc", "x", "y"), Err(Refusal::NoMatch));
        assert_eq!(replace_once("a b a", "a", "y"), Err(Refusal::Several { matches: 2 }));
        assert_eq!(replace_once("aaa", "aa", "y"), Err(Refusal::Several { matches: 2 }));
        assert_eq!(replace_once("abc", "", "y"), Err(Refusal::Empty));
        assert_eq!(replace_once("abc", "b", "b"), Err(Refusal::Same));
    }

    #[test]
    fn a_file_of_windows_keeps_its_line_endings() {
        let (text, line) = replace_once("a\r\nb\r\nc\r\n", "b\nc", "x\ny\nz").unwrap();

        assert_eq!((text.as_str(), line), ("a\r\nx\r\ny\r\nz\r\n", 2));
    }

    #[test]
    fn mixed_line_endings_are_taken_as_they_are() {
        assert_eq!(replace_once("a\r\nb\n", "a\nb", "c"), Err(Refusal::NoMatch));
        assert_eq!(replace_once("a\r\nb\n", "a\r\nb", "c").unwrap().0, "c\n");
    }

    proptest! {
        #[test]
        fn an_edit_touches_nothing_around_it(before in "[a-d\né]{0,40}", after in "[a-d\né]{0,40}", new in "[a-e\n]{0,9}") {
            let text = format!("{before}<old>{after}");

            let (edited, line) = replace_once(&text, "<old>", &new).unwrap();

            prop_assert_eq!(edited, format!("{}{}{}", before, new, after));
            prop_assert_eq!(line as usize, before.split('\n').count());
        }

        #[test]
        fn an_edit_can_be_taken_back(before in "[a-d\r\n]{0,40}", after in "[a-d\r\n]{0,40}") {
            let text = format!("{before}<old>{after}");

            let (edited, _) = replace_once(&text, "<old>", "<new>").unwrap();

            prop_assert_eq!(replace_once(&edited, "<new>", "<old>").unwrap().0, text);
        }

        #[test]
        fn an_edit_is_made_exactly_when_there_is_one_place(text in "[ab]{0,12}", old in "[ab]{1,3}") {
            let places = (0..text.len()).filter(|at| text[*at..].starts_with(&old)).count();

            let edited = replace_once(&text, &old, "c");

            match places {
                0 => prop_assert_eq!(edited, Err(Refusal::NoMatch)),
                1 => prop_assert_eq!(edited.unwrap().0, text.replacen(&old, "c", 1)),
                matches => prop_assert_eq!(edited, Err(Refusal::Several { matches })),
            }
        }
    }
}
