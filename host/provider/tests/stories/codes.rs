//! Every code that a provider of ours answers or ends with is explained in docs/errors/.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a code follows in the source.
const RAISED_BY: [&str; 9] = [
    "CallError::new(",
    "Self::new(",
    "=> Err(error(",
    "return Err(error(",
    "Err(wrong(",
    "wrong(",
    "error(",
    "code: ",
    "} => ",
];
const OURS: [&str; 3] = ["host/provider/src", "host/edge/src", "host/rpi/src"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sources of a folder without their tests.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else {
            text.push_str(fs::read_to_string(&path).unwrap().split("#[cfg(test)]").next().unwrap());
        }
    }
}

fn codes_of(table: &Path) -> Vec<String> {
    let lines = fs::read_to_string(table).unwrap();
    lines.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
}

#[test]
fn every_code_of_a_provider_is_explained_and_every_explanation_has_its_code() {
    let mut text = String::new();
    for folder in OURS {
        sources(&root().join(folder), &mut text);
    }
    let follows = |raiser: &&'static str| -> Vec<_> {
        let arguments = text.split(*raiser).skip(1);
        arguments.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next()).collect()
    };
    let is_code =
        |word: &&str| word.contains('_') && !word.contains(|c: char| !c.is_ascii_lowercase() && c != '_');
    let raised: BTreeSet<&str> = RAISED_BY.iter().flat_map(follows).filter(is_code).collect();
    let tables = root().join("docs/errors");
    let known: BTreeSet<String> =
        fs::read_dir(&tables).unwrap().flat_map(|entry| codes_of(&entry.unwrap().path())).collect();

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/device.tsv lacks {missing:?}");
    let quoted = |code: &String| text.contains(&format!("\"{code}\""));
    let dead: Vec<_> =
        codes_of(&tables.join("device.tsv")).into_iter().filter(|code| !quoted(code)).collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(raised.len() > 40, "the search finds too little: {raised:?}");
}
