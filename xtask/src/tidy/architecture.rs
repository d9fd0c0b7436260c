//! docs/ARCHITECTURE.md: what it names is there.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use crate::files;

/// What begins with one of them is a path.
const TOP_FOLDERS: [&str; 6] = ["host/", "plugins/", "sdk-guest/", "tests/", "wit/", "xtask/"];

fn page() -> String {
    files::read_text(&crate::root().join("docs/ARCHITECTURE.md")).unwrap()
}

/// The pieces of a line that stand between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_path(word: &str) -> bool {
    TOP_FOLDERS.iter().any(|folder| word.starts_with(folder))
}

/// Whether a function of this name stands in the file, or in one below the folder.
fn has_function(place: &Path, name: &str) -> bool {
    let files = if place.is_dir() { files::below(place).unwrap() } else { vec![place.to_path_buf()] };
    let wanted = format!("fn {name}(");
    files.iter().any(|file| files::read_text(file).unwrap().contains(&wanted))
}

/// The names of tests that a row of a table of invariants gives and that are not where it says.
fn missing_tests(row: &str, holds: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let guards = row.trim_end_matches('|').rsplit('|').next().unwrap();
    let mut pending = Vec::new();
    let mut missing = Vec::new();
    let mut found = false;
    for word in quoted(guards) {
        if !is_path(word) {
            pending.push(word);
            continue;
        }
        for name in pending.drain(..) {
            found = true;
            if !holds(word, name) {
                missing.push(format!("{name} in {word}"));
            }
        }
    }
    missing.extend(pending.iter().map(|name| format!("{name}, which has no place")));
    if !found && missing.is_empty() {
        missing.push(format!("a test for{}", row.trim_matches('|').split('|').next().unwrap().trim_end()));
    }
    missing
}

#[test]
fn each_invariant_names_tests_that_exist() {
    let page = page();
    let (_, invariants) = page.split_once("## What must stay true").unwrap();
    let (invariants, _) = invariants.split_once("\n## ").unwrap();
    let heads = ["| invariant |", "|---"];
    let rows: Vec<_> = invariants
        .lines()
        .filter(|line| line.starts_with('|') && !heads.iter().any(|head| line.starts_with(head)))
        .collect();
    assert!(rows.len() > 30, "the tables of invariants are not read: {} rows", rows.len());

    let missing: Vec<_> = rows
        .iter()
        .flat_map(|row| missing_tests(row, |place, name| has_function(&crate::root().join(place), name)))
        .collect();

    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names what is not there: {missing:#?}");
}

#[test]
fn a_row_without_its_test_is_found() {
    let there = |place: &str, name: &str| place == "host/a" && name == "one";

    assert!(missing_tests("| all is `well` | `one` in `host/a` |", there).is_empty());
    assert_eq!(missing_tests("| x | `one`, `two` in `host/a` |", there), ["two in host/a"]);
    assert_eq!(missing_tests("| x | `one` |", there), ["one, which has no place"]);
    assert_eq!(missing_tests("| x | `host/a` |", there), ["a test for x"]);
}

#[test]
fn each_file_that_the_page_names_exists() {
    let page = page();
    // Shorter names stand for the folder of the file before them, and are looked up among all files.
    let named = page.lines().flat_map(quoted).filter(|word| word.contains('/') && word.ends_with(".rs"));
    let missing: Vec<_> = named
        .filter(|word| {
            let whole = is_path(word) && crate::root().join(word).is_file();
            let short = !is_path(word) && {
                let files = files::below(&crate::root().join("host")).unwrap();
                files.iter().any(|file| file.ends_with(word))
            };
            !whole && !short
        })
        .collect();

    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names files that are not there: {missing:?}");
}

#[test]
fn every_crate_is_on_the_page() {
    let page = page();
    for entry in std::fs::read_dir(crate::root().join("host")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(page.contains(&format!("| `host/{name}` |")), "host/{name} is not in docs/ARCHITECTURE.md");
    }
}
