//! Every code that clients of the endpoint socket can see is explained in docs/errors/.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use berth_testkit::codes::{behind, explained, sources};

/// What a code follows in the source.
const RAISED_BY: [&str; 6] = [
    "self.deny(asked,",
    "reject(",
    "failure(",
    "ToolFailure::new(",
    "Refusal::unavailable(",
    "reason: Some(",
];

#[test]
fn every_code_of_the_hub_is_explained_and_every_explanation_has_its_code() {
    let hub = sources("host/hub/src");
    let all = [hub.clone(), sources("host/proto/src"), sources("host/core/src")].concat();
    let raised: BTreeSet<_> = RAISED_BY.iter().flat_map(|opening| behind(&hub, opening)).collect();
    let known = explained();

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains_key(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/endpoint.tsv lacks {missing:?}");
    let built = ["address_not_found"];
    let dead: Vec<_> = known
        .iter()
        .filter(|(code, row)| row.table == "endpoint" && !built.contains(&code.as_str()))
        .map(|(code, _)| code)
        .filter(|code| !all.contains(&format!("\"{code}\"")))
        .collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(raised.len() > 15, "the search finds too little: {raised:?}");
}
