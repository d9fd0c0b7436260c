//! Pages for people: licences, generated text, links.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use crate::{conformance, errors, files};

#[test]
fn both_licences_are_there() {
    for name in ["LICENSE-APACHE", "LICENSE-MIT"] {
        assert!(crate::root().join(name).is_file(), "{name} is missing");
    }
}

#[test]
fn the_page_of_error_codes_is_up_to_date() {
    let root = crate::root();
    let generated = errors::generate(&root).unwrap();

    let written = files::read_text(&errors::page(&root)).unwrap_or_default();

    assert!(written == generated, "docs/errors.md is not up to date: run `cargo xtask errors`");
}

#[test]
fn the_page_of_promises_is_up_to_date_and_names_tests_that_exist() {
    let root = crate::root();
    let generated = conformance::generate(&root).unwrap();

    let written = files::read_text(&conformance::page(&root)).unwrap_or_default();

    assert!(written == generated, "docs/conformance.md is not up to date: run `cargo xtask conformance`");
}

#[test]
fn relative_links_lead_somewhere() {
    for page in pages() {
        for target in links(&files::read_text(&page).unwrap()) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let place = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(place.exists(), "{} links to {target}, which is not there", page.display());
            if !heading.is_empty() && place.extension().is_some_and(|extension| extension == "md") {
                let known = anchors(&files::read_text(&place).unwrap());
                let found = known.iter().any(|anchor| anchor == heading);
                assert!(found, "{} links to {target}; the headings there are {known:?}", page.display());
            }
        }
    }
}

/// The anchors of the headings of a page.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            anchors.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    anchors
}

#[test]
fn headings_become_anchors() {
    assert_eq!(anchors("# Error codes\n```\n# no\n```\n## A `b_c`, d-e\ntext"), ["error-codes", "a-b_c-d-e"]);
}

fn pages() -> Vec<PathBuf> {
    let root = crate::root();
    let mut pages = files::below(&root.join("docs")).unwrap();
    pages.push(root.join("README.md"));
    for folder in ["examples", "plugins", "sdk-guest"] {
        pages.extend(files::below(&root.join(folder)).unwrap());
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages
}

/// The targets of `[text](target)` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect();
        for piece in prose.split("](").skip(1) {
            targets.extend(piece.split([')', ' ']).next().map(str::to_owned));
        }
    }
    targets
}

#[test]
fn links_are_found_outside_of_code_only() {
    let text = "See [one](a.md#x) and [`two`](b.md \"title\"), not `[c](d)`.\n```\n[e](f)\n```\n[g](../h)";

    assert_eq!(links(text), ["a.md#x", "b.md", "../h"]);
}
