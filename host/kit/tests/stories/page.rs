//! The page has every key, and no other.

use std::collections::BTreeSet;
use std::path::Path;

use berth_kit::Story;

/// The keys of a table, as the refusal of an unknown one lists them.
fn keys(table: &str) -> BTreeSet<String> {
    let head = if table == "[[case]]" { String::new() } else { "[[case]]\nname = \"a\"\n".to_owned() };
    let refused =
        Story::parse(Path::new("a.toml"), &format!("{head}{table}\nno_such_key = 1\n")).unwrap_err();
    let said = refused.to_string();
    let (_, list) = said.split_once("expected one of ").unwrap_or_else(|| panic!("{table}: {said}"));
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys that the page has below the head of a table.
fn shown(page: &str, table: &str) -> BTreeSet<String> {
    let (_, below) = page.split_once(&format!("### `{table}`\n")).unwrap_or_else(|| panic!("no {table}"));
    let below = below.split("\n### ").next().unwrap();
    let rows = below.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

#[test]
fn the_page_has_every_key_of_a_story_and_no_other() {
    let page = crate::support::root().join("docs/plugin-testing.md");
    let page = std::fs::read_to_string(page).unwrap();

    for table in [
        "[[case]]",
        "[[case.grant]]",
        "[[case.http]]",
        "[[case.process]]",
        "[[case.endpoint]]",
        "[[case.approval]]",
        "[[case.step]]",
        "[case.expect]",
    ] {
        assert_eq!(shown(&page, table), keys(table), "{table}");
    }
}
