//! Every code of packages is explained in docs/errors/.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use berth_testkit::codes::{explained, sources};

#[test]
fn every_code_of_packages_is_explained_and_every_explanation_has_its_code() {
    let text = sources("host/package/src");
    let is_code = |word: &&str| word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let words = text.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next());
    let raised: BTreeSet<&str> = words.filter(is_code).collect();
    let known = explained();

    let missing: Vec<_> = raised.iter().filter(|code| !known.contains_key(**code)).collect();
    assert!(missing.is_empty(), "docs/errors/package.tsv lacks {missing:?}");
    let dead: Vec<_> = known
        .iter()
        .filter(|(code, row)| row.table == "package" && !raised.contains(code.as_str()))
        .map(|(code, _)| code)
        .collect();
    assert!(dead.is_empty(), "nothing answers with {dead:?} any more");
    assert!(raised.len() > 12, "the search finds too little: {raised:?}");
}
