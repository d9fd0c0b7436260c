//! Every code of the kit is explained in docs/errors/.

use std::collections::BTreeSet;

use berth_testkit::codes::{explained, sources};

#[test]
fn every_code_of_the_kit_is_explained_and_every_explanation_has_its_code() {
    let text = sources("host/kit/src");
    let quoted = text.match_indices("\"KIT_").filter_map(|(at, _)| text[at + 1..].split('"').next());
    let raised: BTreeSet<&str> = quoted.collect();
    let known = explained();

    let of_kit: BTreeSet<&str> =
        known.iter().filter(|(_, row)| row.table == "kit").map(|(code, _)| code.as_ref()).collect();
    assert_eq!(raised, of_kit);
    assert!(raised.len() >= 7, "{raised:?}");
}
