//! Source files: their size, and words that have no place in them.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use crate::files;

/// A longer file holds two subjects.
const MOST_LINES: usize = 600;

/// Files that are longer all the same, and why.
const LONGER: [(&str, &str); 0] = [];

/// Code that is not there yet, was for a moment only, or does not run.
const BANNED: [&str; 7] = [
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("TO", "DO"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("#[ig", "nore"),
];

/// Ways to wait for the clock on the wall.
const SLEEPS: [&str; 2] = [concat!("thread::sl", "eep("), concat!("time::sl", "eep(")];

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let root = crate::root();
    let folders = ["host", "plugins", "sdk-guest", "tests", "xtask"];
    let files = folders.into_iter().flat_map(move |folder| files::below(&root.join(folder)).unwrap());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")).map(|file| {
        let text = files::read_text(&file).unwrap();
        (file.strip_prefix(crate::root()).unwrap().to_path_buf(), text)
    })
}

#[test]
fn a_file_holds_one_subject() {
    for (file, text) in sources() {
        let excused = LONGER.iter().any(|(name, _)| file == std::path::Path::new(name));
        let lines = text.lines().count();
        assert!(excused || lines <= MOST_LINES, "{} has {lines} lines", file.display());
    }
}

#[test]
fn nothing_is_left_for_later() {
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            let found = BANNED.iter().find(|word| line.contains(**word));
            assert!(found.is_none(), "{}:{}: {}", file.display(), number + 1, line.trim());
        }
    }
}

#[test]
fn tests_wait_for_events_and_not_for_time() {
    // A guest of the tests may hang; that is what it is for.
    for (file, text) in sources().filter(|(file, _)| !file.starts_with("tests/guests")) {
        let all = file.components().any(|part| part.as_os_str() == "tests");
        let tests = if all { 0 } else { text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len()) };
        let found = SLEEPS.iter().find(|word| text[tests..].contains(**word));
        assert!(found.is_none(), "{} sleeps in a test: {found:?}", file.display());
    }
}
