use super::*;
use crate::limits::Limits;

const NOTES: &str = r#"
[plugin]
id = "notes"
version = "0.1.0"

[component]
file = "notes.wasm"

[[capability]]
name = "files"
reason = "keep notes"
scope = { guest = "/notes", access = "rw" }

[tool.append-line]
risk = "write"
timeout_ms = 500

[limits]
memory_bytes = 1048576
"#;

#[test]
fn a_manifest_says_what_the_plugin_wants() {
    let manifest = Manifest::parse(NOTES).unwrap();

    assert_eq!(manifest.id, "notes");
    assert_eq!(manifest.kind, Kind::Tool);
    assert_eq!(manifest.wishes.over(&Limits::default()).memory_bytes, 1 << 20);
    assert_eq!(manifest.requests[0].capability, Capability::Files);
    assert!(manifest.requests[0].required);
    let hints = manifest.hints(Some("me:notes/files"), "append-line").unwrap();
    assert_eq!(hints.risk, Some(Risk::LocalWrite));
    assert_eq!(hints.timeout, Some(Duration::from_millis(500)));
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    for (line, find, put) in [
        (3, "id = \"notes\"", "idd = \"notes\""),
        (7, "file = \"notes.wasm\"", "path = \"notes.wasm\""),
        (11, "reason =", "why ="),
        (15, "risk =", "danger ="),
        (19, "memory_bytes =", "memory ="),
    ] {
        let source = NOTES.replace(find, put);

        let error = Manifest::parse(&source).unwrap_err();

        assert_eq!(error.code(), "MANIFEST_UNKNOWN_KEY", "{error}");
        assert_eq!(error.line, Some(line), "{error}");
        let key = put.split(' ').next().unwrap();
        assert!(error.message.contains(key), "{error}");
        assert_eq!(&source[error.span.unwrap()], key);
    }
}

#[test]
fn an_unknown_capability_is_named_with_its_line() {
    let error = Manifest::parse(&NOTES.replace("\"files\"", "\"flies\"")).unwrap_err();

    assert_eq!(error.code(), "MANIFEST_UNKNOWN_CAPABILITY");
    assert_eq!(error.line, Some(10));
    assert!(error.message.contains("`flies`"));
}

#[test]
fn values_out_of_range_are_refused_where_they_stand() {
    for (find, put) in [
        ("\"notes\"\nversion", "\"No tes\"\nversion"),
        ("\"0.1.0\"", "\"one\""),
        ("\"notes.wasm\"", "\"../notes.wasm\""),
        ("\"write\"", "\"wild\""),
        ("1048576", "0"),
    ] {
        let error = Manifest::parse(&NOTES.replace(find, put)).unwrap_err();

        assert_eq!(error.code(), "MANIFEST_INVALID", "{put}: {error}");
        assert!(error.span.is_some(), "{put}");
    }
    let error = Manifest::parse(&NOTES.replace("\"/notes\"", "\"notes\"")).unwrap_err();
    assert_eq!(error.code(), "MANIFEST_SCOPE");
}

#[test]
fn wishes_end_at_the_ceilings_of_the_operator() {
    let manifest = Manifest::parse(&NOTES.replace("1048576", "99999999999")).unwrap();

    assert_eq!(manifest.wishes.over(&Limits::default()).clamped(&Limits::ceilings()).memory_bytes, 256 << 20);
}

#[test]
fn a_hint_may_name_the_interface_too() {
    assert!(hint_names("files.append_line", Some("me:notes/files@1.0.0"), "append-line"));
    assert!(!hint_names("other.append_line", Some("me:notes/files@1.0.0"), "append-line"));
    assert!(hint_names("append_line", None, "append-line"));
}
