//! Moves, trees, comparisons, changes.

use std::time::{Duration, SystemTime};

use super::*;

fn code<T>(result: Result<T, Error>) -> String {
    result.map(|_| ()).unwrap_err().code
}

fn move_to(source: &str, target: &str, replace: bool) -> Result<Moved, Error> {
    Files::move_(source.into(), target.into(), Some(replace))
}

#[test]
fn a_file_and_a_folder_are_moved_with_what_they_hold() {
    let folder = granted(&[("a.txt", b"one"), ("old/inner/b", b"\xff\0")]);

    let moved = move_to("a.txt", "/old/c.txt", false).unwrap();
    move_to("old", "new", false).unwrap();

    assert_eq!(
        (moved.source.as_str(), moved.target.as_str(), moved.replaced, moved.saved),
        ("/a.txt", "/old/c.txt", false, true)
    );
    assert_eq!(fs::read(folder.path().join("new/c.txt")).unwrap(), b"one");
    assert_eq!(fs::read(folder.path().join("new/inner/b")).unwrap(), b"\xff\0");
    assert!(!folder.path().join("old").exists() && !folder.path().join("a.txt").exists());
}

#[test]
fn what_is_there_is_replaced_only_when_told_so_and_a_full_folder_never() {
    let folder = granted(&[("a", b"new"), ("b", b"old"), ("full/x", b""), ("dir/y", b"")]);

    assert_eq!(code(move_to("a", "b", false)), "exists");
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"old");
    assert!(move_to("a", "b", true).unwrap().replaced);
    assert_eq!(fs::read(folder.path().join("b")).unwrap(), b"new");
    assert_eq!(code(move_to("dir", "full", true)), "not_empty");
    assert!(folder.path().join("dir/y").exists() && folder.path().join("full/x").exists());
}

#[test]
fn a_move_that_makes_no_sense_changes_nothing() {
    let folder = granted(&[("a", b"x"), ("dir/b", b"")]);

    assert_eq!(code(move_to("none", "b", false)), "not_found");
    assert_eq!(code(move_to("a", "no/such/folder", false)), "not_found");
    assert_eq!(code(move_to("a", "../b", false)), "denied");
    assert_eq!(code(move_to("a", "a", true)), "invalid_arguments");
    assert_eq!(code(move_to("dir", "dir/in", false)), "invalid_arguments");
    assert_eq!(code(move_to("/", "b", false)), "invalid_path");
    testing::host(|host| host.context.dry_run = true);
    assert!(!move_to("a", "b", false).unwrap().saved);
    assert!(folder.path().join("a").exists() && folder.path().join("dir/b").exists());
}

#[test]
fn a_tree_shows_what_lies_below_down_to_a_depth() {
    let _folder = granted(&[("a/b/c.txt", b"123"), ("a/z", b""), ("top", b"12345")]);

    let tree = Files::tree(None, None, None).unwrap();
    assert_eq!(tree.text, "a/\n  b/\n    c.txt  3\n  z  0\ntop  5\n");
    assert_eq!((tree.files, tree.folders, tree.bytes, tree.truncated), (3, 2, 8, false));

    let flat = Files::tree(Some("/".into()), Some(1), None).unwrap();
    assert_eq!((flat.text.as_str(), flat.truncated), ("a/\ntop  5\n", true));
    let short = Files::tree(Some("a".into()), None, Some(1)).unwrap();
    assert_eq!((short.text.as_str(), short.truncated), ("b/\n", true));
    assert_eq!(code(Files::tree(Some("none".into()), None, None)), "not_found");
}

#[test]
fn a_walk_ends_before_its_call_does_and_follows_no_link() {
    let folder = granted(&[("a/b", b"x")]);
    std::os::unix::fs::symlink("..", folder.path().join("a/up")).unwrap();
    assert_eq!(Files::tree(None, None, None).unwrap().text, "a/\n  b  1\n  up  (link)\n");

    testing::host(|host| host.remaining = Duration::from_millis(100));

    assert!(Files::tree(None, None, None).unwrap().truncated);
    assert!(Files::changed(0, None, None).unwrap().truncated);
}

#[test]
fn a_difference_reads_as_everybody_knows_it() {
    let _folder = granted(&[("a", b"one\ntwo\nthree\n"), ("b", b"one\n2\nthree\n")]);

    let diff = Files::diff("a".into(), Some("b".into()), None).unwrap();
    assert_eq!(diff.text, "--- /a\n+++ /b\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
    assert_eq!((diff.removed, diff.added, diff.truncated), (1, 1, false));

    let same = Files::diff("a".into(), None, Some("one\ntwo\nthree\n".into())).unwrap();
    assert_eq!((same.text.as_str(), same.removed, same.added), ("", 0, 0));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let _folder = granted(&[("a", b"x"), ("bytes", b"\xff"), ("large", &vec![b'x'; 2 * 1024 * 1024 + 1])]);
    let diff = |path: &str, other: &str| Files::diff(path.into(), Some(other.into()), None);

    assert_eq!(code(diff("a", "bytes")), "not_text");
    assert_eq!(code(diff("large", "a")), "too_large");
    assert_eq!(code(diff("a", "none")), "not_found");
    assert_eq!(code(Files::diff("a".into(), None, None)), "invalid_arguments");
    assert_eq!(code(Files::diff("a".into(), Some("a".into()), Some("x".into()))), "invalid_arguments");
}

#[test]
fn what_was_written_to_since_is_told_the_last_first() {
    let folder = granted(&[("a", b""), ("dir/b", b"12"), ("c", b"")]);
    let written = |name: &str, seconds: u64| {
        let file = fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    written("a", 10);
    written("dir/b", 30);
    written("c", 20);

    let changes = Files::changed(15_000, None, None).unwrap();
    let told: Vec<_> =
        changes.files.iter().map(|file| (file.path.as_str(), file.changed_ms, file.size)).collect();
    assert_eq!(told, [("/dir/b", 30_000, 2), ("/c", 20_000, 0)]);
    assert_eq!((changes.seen_ms, changes.truncated), (30_000, false));

    let later = Files::changed(changes.seen_ms, None, None).unwrap();
    assert_eq!((later.files.len(), later.seen_ms), (0, 30_000));
    assert!(Files::changed(0, None, Some(2)).unwrap().truncated);
}
