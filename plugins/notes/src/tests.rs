#![allow(clippy::unwrap_used)]

use std::time::Duration;

use berth_plugin::testing;

use super::*;

fn at(seconds: u64) {
    testing::host(|host| host.now = Duration::from_secs(seconds));
}

fn add(text: &str, tags: &[&str]) -> Note {
    Notes::add(text.into(), Some(tags.iter().map(|tag| (*tag).to_owned()).collect())).unwrap()
}

fn ids(found: &Found) -> Vec<&str> {
    found.notes.iter().map(|note| note.id.as_str()).collect()
}

fn code<T>(result: Result<T, Error>) -> String {
    result.map(|_| ()).unwrap_err().code
}

#[test]
fn a_note_is_kept_with_plain_tags_and_read_again() {
    at(5);
    let added = add("Bread is out", &["#Shopping", " shopping", "Home"]);

    let read = Notes::get(added.id.clone()).unwrap();

    assert_eq!((read.text.as_str(), read.created_ms, read.changed_ms), ("Bread is out", 5000, 5000));
    assert_eq!(read.tags, ["home", "shopping"]);
    assert_eq!(code(Notes::get("99".into())), "not_found");
}

#[test]
fn no_id_leads_to_another_pair() {
    add("one", &[]);

    for id in ["01", "+1", "1/../1", "", "next", " 1", "-1"] {
        assert_eq!(code(Notes::get(id.into())), "not_found", "{id}");
        assert_eq!(code(Notes::change(id.into(), Some("x".into()), None)), "not_found", "{id}");
        assert_eq!(code(Notes::remove(id.into())), "not_found", "{id}");
    }
}

#[test]
fn notes_are_listed_by_their_last_change_and_narrowed_by_tag() {
    for (second, text, tag) in [(1, "a", "x"), (2, "b", "y"), (3, "c", "x")] {
        at(second);
        add(text, &[tag]);
    }
    at(4);
    Notes::change("1".into(), Some("a2".into()), None).unwrap();

    assert_eq!(ids(&Notes::list(None, None).unwrap()), ["1", "3", "2"]);
    assert_eq!(ids(&Notes::list(Some("#X".into()), None).unwrap()), ["1", "3"]);
    let first = Notes::list(None, Some(1)).unwrap();
    assert_eq!((ids(&first), first.truncated), (vec!["1"], true));
    assert!(!Notes::list(None, Some(3)).unwrap().truncated);
}

#[test]
fn a_search_wants_every_word_in_text_or_tags() {
    add("Bread from the OVEN", &["food"]);
    add("Bread and butter", &[]);

    let search = |words: &str| Notes::search(words.into(), None, None).unwrap();

    assert_eq!(ids(&search("bread oven")), ["1"]);
    assert_eq!(ids(&search("BREAD")), ["2", "1"]);
    assert_eq!(ids(&search("foo bread")), ["1"]);
    assert!(search("milk").notes.is_empty());
    assert_eq!(code(Notes::search("  ".into(), None, None)), "invalid_arguments");
}

#[test]
fn a_change_keeps_what_was_left_out() {
    at(1);
    add("old", &["a"]);
    at(2);

    let changed = Notes::change("1".into(), None, Some(vec!["b".into()])).unwrap();

    assert_eq!((changed.text.as_str(), changed.created_ms, changed.changed_ms), ("old", 1000, 2000));
    assert_eq!(Notes::get("1".into()).unwrap().tags, ["b"]);
    assert_eq!(code(Notes::change("1".into(), None, None)), "invalid_arguments");
}

#[test]
fn a_removed_note_is_gone_and_its_id_is_not_used_again() {
    add("one", &["t"]);

    assert_eq!(Notes::remove("1".into()).unwrap().text, "one");

    assert_eq!(code(Notes::get("1".into())), "not_found");
    assert_eq!(add("two", &[]).id, "2");
}

#[test]
fn tags_are_counted_the_most_used_first() {
    add("a", &["x", "z"]);
    add("b", &["x", "y"]);

    let tags = Notes::tags().unwrap();

    let tags: Vec<_> = tags.iter().map(|tag| (tag.name.as_str(), tag.notes)).collect();
    assert_eq!(tags, [("x", 2), ("y", 1), ("z", 1)]);
}

#[test]
fn what_is_no_note_is_refused() {
    assert_eq!(code(Notes::add(" ".into(), None)), "invalid_arguments");
    assert_eq!(code(Notes::add("x".repeat(32 * 1024 + 1), None)), "too_large");
    for tag in ["", "two words", &"x".repeat(65), "a\u{7}"] {
        assert_eq!(code(Notes::add("a".into(), Some(vec![tag.into()]))), "invalid_arguments", "{tag:?}");
    }
    let many = (0..33).map(|number| format!("t{number}")).collect();
    assert_eq!(code(Notes::add("a".into(), Some(many))), "too_large");
}

#[test]
fn a_dry_run_keeps_nothing() {
    add("one", &[]);
    testing::host(|host| host.context.dry_run = true);

    assert_eq!(Notes::add("two".into(), None).unwrap().id, "");
    assert_eq!(Notes::change("1".into(), Some("new".into()), None).unwrap().text, "new");
    Notes::remove("1".into()).unwrap();

    assert_eq!(Notes::get("1".into()).unwrap().text, "one");
    assert_eq!(Notes::list(None, None).unwrap().notes.len(), 1);
}

#[test]
fn a_denial_says_what_to_grant() {
    testing::host(|host| host.pairs_denied = true);

    let denied = Notes::list(None, None).unwrap_err();

    assert_eq!(denied.code, "denied");
    let grant = r#"berth plugin grant notes keyvalue --scope '{"store":"notes","access":"rw"}'"#;
    assert!(denied.message.contains(grant), "{}", denied.message);
}
