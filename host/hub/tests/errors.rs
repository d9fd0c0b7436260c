//! Every code that clients of the endpoint socket can see is explained in docs/errors/.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a code follows in the source.
const RAISED_BY: [&str; 6] = [
    "self.deny(asked,",
    "reject(",
    "failure(",
    "ToolFailure::new(",
    "Refusal::unavailable(",
    "reason: Some(",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sources of a folder without their tests.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let source = fs::read_to_string(&path).unwrap();
            text.push_str(source.split("#[cfg(test)]").next().unwrap());
        }
    }
}

fn codes_in(source: &str) -> BTreeSet<&str> {
    let follows = |raiser: &&'static str| -> Vec<_> {
        let arguments = source.split(*raiser).skip(1);
        arguments.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).collect()
    };
    RAISED_BY.iter().flat_map(follows).collect()
}

fn codes_of(table: &Path) -> Vec<String> {
    let lines = fs::read_to_string(table).unwrap();
    lines.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
}

#[test]
fn every_code_of_the_hub_is_explained_and_every_explanation_has_its_code() {
    let mut hub = String::new();
    sources(&root().join("host/hub/src"), &mut hub);
    let mut all = hub.clone();
    for other in ["host/proto/src", "host/core/src"] {
        sources(&root().join(other), &mut all);
    }
    let raised = codes_in(&hub);
    let tables = root().join("docs/errors");
    let known: BTreeSet<_> =
        fs::read_dir(&tables).unwrap().flat_map(|entry| codes_of(&entry.unwrap().path())).collect();

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/endpoint.tsv lacks {missing:?}");
    let built = ["address_not_found"];
    let dead: Vec<_> = codes_of(&tables.join("endpoint.tsv"))
        .into_iter()
        .filter(|code| !all.contains(&format!("\"{code}\"")) && !built.contains(&code.as_str()))
        .collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(raised.len() > 15, "the search finds too little: {raised:?}");
}
