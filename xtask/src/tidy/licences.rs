//! The licences of everything that is built in, by the list of deny.toml, also where cargo-deny is not installed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{files, step};

/// The licences that deny.toml allows.
fn allowed() -> BTreeSet<String> {
    let text = files::read_text(&crate::root().join("deny.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let list = table["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|licence| licence.as_str().unwrap().to_owned()).collect()
}

/// The words and brackets of a licence expression; `/` is how older manifests write `OR`.
fn words(expression: &str) -> Vec<String> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Reads an expression: `AND` binds stronger than `OR`, `WITH` belongs to the licence before it.
struct Reader<'a> {
    words: &'a [String],
    allowed: &'a BTreeSet<String>,
}

impl Reader<'_> {
    fn next_is(&mut self, word: &str) -> bool {
        let found = self.words.first().is_some_and(|next| next == word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut fits = self.all()?;
        while self.next_is("OR") {
            fits |= self.all()?;
        }
        Some(fits)
    }

    fn all(&mut self) -> Option<bool> {
        let mut fits = self.one()?;
        while self.next_is("AND") {
            fits &= self.one()?;
        }
        Some(fits)
    }

    fn one(&mut self) -> Option<bool> {
        if self.next_is("(") {
            let fits = self.any()?;
            return self.next_is(")").then_some(fits);
        }
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        let mut licence = first.clone();
        if self.next_is("WITH") {
            let (exception, rest) = self.words.split_first()?;
            self.words = rest;
            licence = format!("{licence} WITH {exception}");
        }
        Some(self.allowed.contains(&licence))
    }
}

/// Whether an expression can be met by allowed licences alone; `None` when it is no expression.
fn fits(expression: &str, allowed: &BTreeSet<String>) -> Option<bool> {
    let words = words(expression);
    let mut reader = Reader { words: &words, allowed };
    let fits = reader.any()?;
    reader.words.is_empty().then_some(fits)
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let version = step::quietly("rustc", std::process::Command::new("rustc").arg("-vV")).unwrap();
    let machine = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let mut cargo = crate::cargo();
    cargo.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", machine]);
    let metadata: Value =
        serde_json::from_str(&step::quietly("cargo metadata", &mut cargo).unwrap()).unwrap();
    let allowed = allowed();

    let packages = metadata["packages"].as_array().unwrap();
    let refused: Vec<_> = packages
        .iter()
        .filter(|package| {
            package["license"].as_str().and_then(|licence| fits(licence, &allowed)) != Some(true)
        })
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();

    assert!(packages.len() > 100, "the list is too short");
    assert!(refused.is_empty(), "deny.toml does not allow {refused:#?}");
}

#[test]
fn an_expression_is_met_by_one_of_several_or_by_all_that_it_wants() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "Zlib".to_owned(), "A WITH B".to_owned()]);
    for (expression, expected) in [
        ("MIT", Some(true)),
        ("GPL-3.0", Some(false)),
        ("GPL-3.0 OR MIT", Some(true)),
        ("GPL-3.0/MIT", Some(true)),
        ("GPL-3.0 AND MIT", Some(false)),
        ("MIT AND (GPL-3.0 OR Zlib)", Some(true)),
        ("MIT OR GPL-3.0 AND GPL-2.0", Some(true)),
        ("(MIT OR GPL-3.0) AND GPL-2.0", Some(false)),
        ("A WITH B", Some(true)),
        ("A", Some(false)),
        ("MIT OR", None),
        ("(MIT", None),
        ("MIT MIT", None),
        ("", None),
    ] {
        assert_eq!(fits(expression, &allowed), expected, "{expression}");
    }
}
