use std::collections::BTreeSet;

use berth_testkit::codes::{explained, sources};

#[test]
fn every_code_of_the_broker_is_explained_and_every_explanation_has_its_code() {
    let text = sources("host/broker/src");
    let raised: BTreeSet<&str> =
        text.split('"').skip(1).step_by(2).filter(|word| word.starts_with("HTTP_")).collect();
    let known = explained();

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains_key(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/broker.tsv lacks {missing:?}");
    let dead: Vec<_> = known
        .iter()
        .filter(|(code, row)| row.table == "broker" && !raised.contains(code.as_str()))
        .map(|(code, _)| code)
        .collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
}
