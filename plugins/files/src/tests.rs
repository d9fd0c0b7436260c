#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use berth_plugin::testing;
use tempfile::TempDir;

use super::*;

mod trees;

thread_local! {
    static ROOT: RefCell<PathBuf> = RefCell::new(PathBuf::from("/nonexistent"));
}

/// What stands for `/` in this test.
pub fn root() -> PathBuf {
    ROOT.with_borrow(Clone::clone)
}

/// A granted folder with these files.
fn granted(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, content) in files {
        let file = folder.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    ROOT.set(folder.path().to_owned());
    folder
}

fn read(path: &str) -> Result<Content, Error> {
    Files::read(path.into(), None, None, None, None)
}

fn write(path: &str, content: &str, mode: Option<WriteMode>, parents: bool) -> Result<Written, Error> {
    Files::write(path.into(), content.into(), mode, Some(parents), None)
}

fn search(text: &str, path: Option<&str>, scope: SearchIn, ignore_case: bool) -> Found {
    Files::search(text.into(), path.map(str::to_owned), Some(scope), Some(ignore_case), None).unwrap()
}

fn edit(path: &str, old: &str, new: &str) -> Result<Edited, Error> {
    Files::edit(path.into(), old.into(), new.into())
}

#[test]
fn a_folder_is_listed_by_name_with_kinds_and_sizes() {
    let _folder = granted(&[("b.txt", b"12345"), ("a/inner", b""), ("C", b"x")]);

    let listing = Files::list(Some(".".into()), None).unwrap();

    let entries: Vec<_> =
        listing.entries.iter().map(|entry| (entry.name.as_str(), entry.kind, entry.size)).collect();
    let expected = [("C", Kind::File, Some(1)), ("a", Kind::Folder, None), ("b.txt", Kind::File, Some(5))];
    assert_eq!(entries, expected);
    assert_eq!((listing.path.as_str(), listing.truncated), ("/", false));
}

#[test]
fn a_long_listing_says_that_it_was_cut() {
    let _folder = granted(&[("a", b""), ("b", b""), ("c", b"")]);

    let listing = Files::list(None, Some(2)).unwrap();

    assert_eq!((listing.entries.len(), listing.truncated), (2, true));
    assert!(!Files::list(None, Some(3)).unwrap().truncated);
}

#[test]
fn a_path_means_the_same_with_and_without_the_slash() {
    let _folder = granted(&[("notes/a.md", b"hello")]);

    for path in ["notes/a.md", "/notes/a.md", "./notes//a.md", "/notes/../notes/a.md"] {
        assert_eq!(read(path).unwrap().content, "hello", "{path}");
        assert_eq!(read(path).unwrap().path, "/notes/a.md");
    }
}

#[test]
fn a_path_that_leaves_the_root_is_denied() {
    let _folder = granted(&[]);

    for path in ["..", "/../etc/passwd", "a/../../b"] {
        let denied = read(path).unwrap_err();
        assert_eq!(denied.code, "denied", "{path}");
        assert!(denied.message.contains("berth plugin grant files files"), "{}", denied.message);
    }
    assert_eq!(read("").unwrap_err().code, "invalid_path");
    assert_eq!(read("a\0b").unwrap_err().code, "invalid_path");
}

#[test]
fn a_place_of_the_machine_that_no_granted_folder_holds_is_denied_with_what_to_grant() {
    let _folder = granted(&[("notes/a.md", b"")]);

    let denied = read("/etc/hostname").unwrap_err();

    assert_eq!(denied.code, "denied");
    let fix = r#"--scope '{"guest":"/etc","host":"FOLDER","access":"ro"}'"#;
    assert!(denied.message.contains(fix), "{}", denied.message);
    for missing in ["/notes/b.md", "/top.md", "etc/hostname"] {
        assert_eq!(read(missing).unwrap_err().code, "not_found", "{missing}");
    }
    assert_eq!(write("/new/a.md", "x", None, false).unwrap_err().code, "not_found");
}

#[test]
fn what_is_not_there_is_not_found_and_a_folder_is_no_file() {
    let _folder = granted(&[("a/b", b"")]);

    assert_eq!(read("nothing").unwrap_err().code, "not_found");
    assert_eq!(read("a").unwrap_err().code, "is_a_folder");
    assert_eq!(Files::list(Some("a/b".into()), None).unwrap_err().code, "not_a_folder");
    assert_eq!(Files::list(Some("x".into()), None).unwrap_err().code, "not_found");
}

#[test]
fn text_is_read_by_lines_and_read_on() {
    let _folder = granted(&[("a.txt", "één\ntwo\nthree".as_bytes())]);
    let piece = |offset, limit| Files::read("a.txt".into(), Some(offset), Some(limit), None, None).unwrap();

    let first = piece(0, 2);
    assert_eq!((first.content.as_str(), first.next_offset), ("één\ntwo\n", Some(2)));
    assert_eq!((first.encoding, first.unit, first.size), (Encoding::Text, Unit::Lines, 15));

    let rest = piece(2, 2);
    assert_eq!((rest.content.as_str(), rest.next_offset, rest.truncated), ("three", None, false));
    assert_eq!(piece(9, 2).content, "");
}

#[test]
fn a_piece_by_bytes_ends_between_two_characters() {
    let _folder = granted(&[("a.txt", "aéé".as_bytes())]);
    let piece = |offset| Files::read("a.txt".into(), Some(offset), Some(2), Some(Unit::Bytes), None).unwrap();

    let (first, second) = (piece(0), piece(1));

    assert_eq!((first.content.as_str(), first.next_offset), ("a", Some(1)));
    assert_eq!((second.content.as_str(), second.next_offset), ("é", Some(3)));
    assert_eq!(piece(3).next_offset, None);
}

#[test]
fn what_is_no_text_comes_as_base64() {
    let _folder = granted(&[("a.bin", &[0, 159, 146, 150])]);

    let content = read("a.bin").unwrap();

    assert_eq!((content.encoding, content.unit), (Encoding::Base64, Unit::Bytes));
    assert_eq!(content.content, "AJ+Slg==");
    let by_lines = Files::read("a.bin".into(), None, None, Some(Unit::Lines), None);
    assert_eq!(by_lines.unwrap_err().code, "not_text");
}

#[test]
fn text_in_another_encoding_is_read_as_what_it_says_or_is_said_to_be() {
    let _folder = granted(&[
        ("mark.txt", b"\xff\xfeh\0\xe9\0\n\0x\0"),
        ("latin.txt", b"h\xe9\nx"),
        ("utf8.txt", "hé".as_bytes()),
    ]);
    let read = |path: &str, unit, encoding| {
        Files::read(path.into(), None, Some(1), unit, encoding)
            .map_or_else(|error| error.code, |piece| format!("{:?} {}", piece.encoding, piece.content))
    };

    assert_eq!(read("mark.txt", None, None), "Encoding::Text hé\n");
    assert_eq!(read("mark.txt", Some(Unit::Bytes), None), "invalid_arguments");
    assert_eq!(read("mark.txt", None, Some(Decoding::Base64)), "Encoding::Base64 /w==");
    assert_eq!(read("latin.txt", None, None), "Encoding::Base64 aA==");
    assert_eq!(read("latin.txt", None, Some(Decoding::Latin1)), "Encoding::Text hé\n");
    assert_eq!(read("latin.txt", Some(Unit::Bytes), Some(Decoding::Latin1)), "Encoding::Text h");
    assert_eq!(read("latin.txt", None, Some(Decoding::Utf8)), "not_text");
    assert_eq!(read("utf8.txt", Some(Unit::Lines), Some(Decoding::Base64)), "not_text");
}

#[test]
fn an_answer_stays_below_its_cap() {
    let lines = "0123456789\n".repeat(50_000);
    let _folder = granted(&[("long", "x".repeat(300_000).as_bytes()), ("lines", lines.as_bytes())]);

    let piece = Files::read("lines".into(), None, Some(40_000), None, None).unwrap();

    assert!(piece.truncated && piece.content.len() <= 256 * 1024 && piece.content.ends_with('\n'));
    let next = piece.next_offset.unwrap();
    assert_eq!(next, piece.content.lines().count() as u64);
    assert_eq!(read("long").unwrap_err().code, "too_large");
}

#[test]
fn a_write_replaces_appends_or_refuses_as_told() {
    let folder = granted(&[]);
    let content = || fs::read_to_string(folder.path().join("a.txt")).unwrap();

    assert!(write("a.txt", "a longer text", None, false).unwrap().created);
    let replaced = write("a.txt", "one", None, false).unwrap();
    assert_eq!((replaced.created, replaced.size, content().as_str()), (false, 3, "one"));

    assert_eq!(write("a.txt", " two", Some(WriteMode::Append), false).unwrap().size, 7);
    assert_eq!(content(), "one two");

    assert_eq!(write("a.txt", "three", Some(WriteMode::CreateNew), false).unwrap_err().code, "exists");
    assert_eq!(content(), "one two");
}

#[test]
fn missing_folders_are_made_only_on_request() {
    let folder = granted(&[]);

    let refused = write("x/y/a.txt", "1", None, false).unwrap_err();
    assert_eq!(refused.code, "not_found");
    assert!(refused.message.contains("parents"), "{}", refused.message);

    write("x/y/a.txt", "1", None, true).unwrap();
    assert!(folder.path().join("x/y/a.txt").exists());
    assert_eq!(write("x/y", "1", None, false).unwrap_err().code, "is_a_folder");
}

#[test]
fn bytes_are_written_from_base64() {
    let folder = granted(&[]);
    let write =
        |content: &str| Files::write("a.bin".into(), content.into(), None, None, Some(Encoding::Base64));

    write("AJ+Slg==").unwrap();

    assert_eq!(fs::read(folder.path().join("a.bin")).unwrap(), [0, 159, 146, 150]);
    assert_eq!(write("!").unwrap_err().code, "invalid_arguments");
}

#[test]
fn a_dry_run_changes_nothing() {
    let folder = granted(&[("a.txt", b"one")]);
    testing::host(|host| host.context.dry_run = true);

    let written = write("a.txt", " two", Some(WriteMode::Append), false).unwrap();
    let new = write("b.txt", "x", None, true).unwrap();
    let edited = edit("a.txt", "one", "two!").unwrap();

    assert_eq!((written.size, written.saved), (7, false));
    assert_eq!((new.created, new.saved), (true, false));
    assert_eq!((edited.size, edited.saved), (4, false));
    assert_eq!(fs::read_to_string(folder.path().join("a.txt")).unwrap(), "one");
    assert!(!folder.path().join("b.txt").exists());
    assert_eq!(write("a.txt", "x", Some(WriteMode::CreateNew), false).unwrap_err().code, "exists");
}

#[test]
fn a_search_finds_names_and_lines() {
    let _folder = granted(&[
        ("docs/berth.md", b"# title\nberth is a host\n"),
        ("docs/other.md", b"nothing\nsays Berth here"),
        ("z.txt", b"no"),
    ]);
    let places =
        |found: &Found| -> Vec<_> { found.hits.iter().map(|hit| (hit.path.clone(), hit.line)).collect() };

    let both = search("berth", None, SearchIn::Both, false);
    assert_eq!(places(&both), [("/docs/berth.md".into(), None), ("/docs/berth.md".into(), Some(2))]);
    assert_eq!(both.hits[1].text.as_deref(), Some("berth is a host"));

    let any_case = search("BERTH", Some("docs"), SearchIn::Content, true);
    assert_eq!(places(&any_case), [("/docs/berth.md".into(), Some(2)), ("/docs/other.md".into(), Some(2))]);

    let one_file = search("no", Some("z.txt"), SearchIn::Content, false);
    assert_eq!(places(&one_file), [("/z.txt".into(), Some(1))]);
}

#[test]
fn a_search_skips_what_is_no_text_and_stops_at_its_limit() {
    let _folder = granted(&[("a.bin", b"x\0x"), ("b", b"x\nx\nx")]);

    let found = Files::search("x".into(), None, None, None, Some(2)).unwrap();

    assert_eq!((found.hits.len(), found.truncated, found.skipped), (2, true, 1));
}

#[test]
fn a_long_line_is_cut_around_the_match() {
    let line = format!("{}needle{}", "é".repeat(5000), "x".repeat(5000));
    let _folder = granted(&[("a", line.as_bytes())]);

    let found = search("NEEDLE", None, SearchIn::Content, true);

    let text = found.hits[0].text.as_deref().unwrap();
    assert_eq!(text.chars().count(), 300);
    assert!(text.contains("needle"));
}

#[test]
fn a_search_ends_before_its_call_does() {
    let _folder = granted(&[("a", b"x")]);
    testing::host(|host| host.remaining = Duration::from_millis(100));

    let found = search("x", None, SearchIn::Both, false);

    assert_eq!((found.hits.len(), found.truncated), (0, true));
}

#[test]
fn a_search_for_nothing_or_below_nothing_is_refused() {
    let _folder = granted(&[]);
    let search = |text: &str, path: &str| {
        Files::search(text.into(), Some(path.into()), None, None, None).unwrap_err().code
    };

    assert_eq!(search("", "/"), "invalid_arguments");
    assert_eq!(search("a\nb", "/"), "invalid_arguments");
    assert_eq!(search("a", "/none"), "not_found");
}

#[cfg(unix)]
#[test]
fn a_link_is_listed_and_not_followed_by_a_search() {
    let folder = granted(&[("real/a.txt", b"needle")]);
    std::os::unix::fs::symlink("real", folder.path().join("loop")).unwrap();

    let found = search("needle", None, SearchIn::Content, false);

    assert_eq!(found.hits.len(), 1);
    assert_eq!(Files::list(None, None).unwrap().entries[0].kind, Kind::Link);
}

#[test]
fn an_edit_changes_the_one_place_and_says_where() {
    let folder = granted(&[("a.txt", b"one\r\ntwo\r\n")]);

    let edited = edit("a.txt", "one\ntwo", "1").unwrap();

    assert_eq!((edited.line, edited.size, edited.saved), (1, 3, true));
    assert_eq!(fs::read(folder.path().join("a.txt")).unwrap(), b"1\r\n");
}

#[test]
fn an_edit_that_is_not_sure_changes_nothing() {
    let folder = granted(&[("a.txt", b"x x"), ("a.bin", &[255, 254])]);

    let none = edit("a.txt", "y", "z").unwrap_err();
    let two = edit("a.txt", "x", "z").unwrap_err();

    assert_eq!(none.code, "no_match");
    assert_eq!(two.code, "several_matches");
    assert!(two.message.contains("2 times"), "{}", two.message);
    assert_eq!(edit("a.bin", "x", "z").unwrap_err().code, "not_text");
    assert_eq!(edit("none", "x", "z").unwrap_err().code, "not_found");
    assert_eq!(fs::read(folder.path().join("a.txt")).unwrap(), b"x x");
}

#[test]
fn a_denial_says_what_to_grant() {
    let place = place::Place::new("/notes/a.txt").unwrap();
    let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);

    let denied = failure::io_failure(failure::Access::Write, &place, &refused);

    assert_eq!(denied.code, "denied");
    let fix = r#"berth plugin grant files files --scope '{"guest":"/","host":"FOLDER","access":"rw"}'"#;
    assert!(denied.message.contains(fix), "{}", denied.message);
}

#[test]
fn without_any_grant_everything_is_denied() {
    let folder = granted(&[]);
    ROOT.set(folder.path().join("gone"));

    assert_eq!(read("a.txt").unwrap_err().code, "denied");
    assert_eq!(Files::list(None, None).unwrap_err().code, "denied");
    assert_eq!(write("a/b.txt", "x", None, false).unwrap_err().code, "denied");
}

#[test]
fn a_grant_below_the_root_tells_missing_from_denied() {
    let folder = granted(&[]);
    ROOT.set(folder.path().join("gone"));
    fs::create_dir_all(folder.path().join("gone/notes")).unwrap();

    assert_eq!(read("notes/a.txt").unwrap_err().code, "not_found");
}
