//! What the readers of foreign input promise, tried with the seeds of the fuzzer and with random bytes.
#![allow(clippy::unwrap_used)]

#[path = "../../../fuzz/src/lib.rs"]
mod promises;

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let seeds: Vec<_> = entries
        .filter(|path| path.extension().is_none_or(|extension| extension != "wat"))
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    assert!(!seeds.is_empty(), "{} has seeds", folder.display());
    seeds
}

/// Feeds `promise` the seeds, seeds with a few bytes changed, and random bytes.
fn holds(target: &str, promise: fn(&[u8])) {
    let seeds = seeds(target);
    for (path, seed) in &seeds {
        with_name(path, || promise(seed));
    }
    let changed = (
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        any::<prop::sample::Index>(),
    )
        .prop_map(move |(which, changes, end)| {
            let mut bytes = which.get(&seeds).1.clone();
            for (at, byte) in changes.into_iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let cut = end.index(bytes.len() * 4 + 1);
            bytes.truncate(cut.max(1));
            bytes
        });
    let any_bytes = prop::collection::vec(any::<u8>(), 0..512);
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop_oneof![3 => changed, 1 => any_bytes], |bytes| {
            promise(&bytes);
            Ok(())
        })
        .unwrap();
}

fn with_name(path: &Path, promise: impl FnOnce() + std::panic::UnwindSafe) {
    let kept = std::panic::catch_unwind(promise);
    assert!(kept.is_ok(), "the promise is broken by {}", path.display());
}

#[test]
fn a_manifest_is_read_or_refused_where_it_is_wrong() {
    holds("manifest", promises::manifest);
}

#[test]
fn a_url_is_read_as_one_thing_and_a_pattern_covers_no_other_host() {
    holds("url", promises::url);
}

#[test]
fn json_becomes_a_value_that_says_the_same_or_is_refused_with_a_pointer() {
    holds("json-to-wit", promises::json_to_wit);
}

#[test]
fn a_value_becomes_json_that_says_the_same_within_its_limit() {
    holds("wit-to-json", promises::wit_to_json);
}

#[test]
fn a_component_is_inspected_or_refused_with_a_code() {
    holds("component", promises::component);
}

#[test]
fn the_seeds_of_components_are_what_their_text_says() {
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/component")).unwrap()
    {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "wat") {
            let made = wat::parse_file(&path).unwrap();
            let kept = path.with_extension("wasm");
            if std::env::var_os("BERTH_WRITE_SEEDS").is_some() {
                std::fs::write(&kept, &made).unwrap();
            }
            assert!(
                std::fs::read(&kept).is_ok_and(|kept| kept == made),
                "{}: run it with BERTH_WRITE_SEEDS=1",
                kept.display()
            );
        }
    }
}
