//! Every code that plugins, their callers and their operators can see is explained in docs/errors/.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The source of this crate without its tests.
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

/// Quoted words in the form of a code, and the first argument of every error that a capability answers with.
fn codes_in(source: &str) -> BTreeSet<&str> {
    let is_code = |word: &str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        plain && word.trim_matches('_').contains('_')
    };
    let quoted = source.split('"').skip(1).step_by(2).filter(|word| is_code(word));
    let answered = source.split("CapabilityError::new(").skip(1).filter_map(|rest| {
        let argument = rest.trim_start().strip_prefix('"')?;
        argument.split('"').next()
    });
    quoted.chain(answered).collect()
}

fn codes_of(table: &str) -> BTreeSet<String> {
    let lines = fs::read_to_string(here().join("../../docs/errors").join(table)).unwrap();
    lines.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
}

#[test]
fn every_code_of_the_plugin_host_is_explained_and_every_explanation_has_its_code() {
    let mut text = String::new();
    sources(&here().join("src"), &mut text);
    let raised = codes_in(&text);
    let mut known = BTreeSet::new();
    for entry in fs::read_dir(here().join("../../docs/errors")).unwrap() {
        known.extend(codes_of(entry.unwrap().file_name().to_str().unwrap()));
    }

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/plugin.tsv lacks {missing:?}");
    let dead: Vec<_> =
        codes_of("plugin.tsv").into_iter().filter(|code| !text.contains(&format!("\"{code}\""))).collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(raised.len() > 60, "the search finds too little: {raised:?}");
}
