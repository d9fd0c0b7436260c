//! Every code of builds is explained in docs/errors/.

use std::collections::BTreeSet;

use berth_testkit::codes::{explained, sources};

#[test]
fn every_code_of_builds_is_explained_and_every_explanation_has_its_code() {
    let text = sources("host/build/src");
    let raised: BTreeSet<&str> =
        text.split('"').skip(1).step_by(2).filter(|word| word.starts_with("BUILD_")).collect();

    let known = explained();
    let told: BTreeSet<&str> =
        known.iter().filter(|(_, row)| row.table == "build").map(|(code, _)| code.as_str()).collect();

    assert_eq!(raised, told);
    assert!(raised.len() > 4, "the search finds too little: {raised:?}");
}
