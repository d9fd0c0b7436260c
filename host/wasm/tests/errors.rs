//! Every code that plugins, their callers and their operators can see is explained in docs/errors/.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use berth_testkit::codes::{behind, explained, sources};

/// Quoted words in the form of a code, and the first argument of every error that a capability answers with.
fn codes_in(source: &str) -> BTreeSet<&str> {
    let is_code = |word: &str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        plain && word.trim_matches('_').contains('_')
    };
    let quoted = source.split('"').skip(1).step_by(2).filter(|word| is_code(word));
    quoted.chain(behind(source, "CapabilityError::new(")).collect()
}

#[test]
fn every_code_of_the_plugin_host_is_explained_and_every_explanation_has_its_code() {
    // A quotation mark that is a character begins no text.
    let text = sources("host/wasm/src").replace("'\"'", "");
    let raised = codes_in(&text);
    let known = explained();

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains_key(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/plugin.tsv lacks {missing:?}");
    let dead: Vec<_> = known
        .iter()
        .filter(|(_, row)| row.table == "plugin")
        .map(|(code, _)| code)
        .filter(|code| !text.contains(&format!("\"{code}\"")))
        .collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(raised.len() > 60, "the search finds too little: {raised:?}");
}
