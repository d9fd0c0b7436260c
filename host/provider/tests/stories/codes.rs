//! Every code that a provider of ours answers or ends with is explained in docs/errors/.

use std::collections::BTreeSet;

use berth_testkit::codes::{behind, explained, sources};

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

#[test]
fn every_code_of_a_provider_is_explained_and_every_explanation_has_its_code() {
    let text: String = OURS.into_iter().map(sources).collect();
    let is_code =
        |word: &&str| word.contains('_') && !word.contains(|c: char| !c.is_ascii_lowercase() && c != '_');
    let raised: BTreeSet<_> =
        RAISED_BY.iter().flat_map(|opening| behind(&text, opening)).filter(is_code).collect();
    let known = explained();

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains_key(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/device.tsv lacks {missing:?}");
    let dead: Vec<_> = known
        .iter()
        .filter(|(_, row)| row.table == "device")
        .map(|(code, _)| code)
        .filter(|code| !text.contains(&format!("\"{code}\"")))
        .collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(raised.len() > 40, "the search finds too little: {raised:?}");
}
