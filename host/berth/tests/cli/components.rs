//! `berth plugin install` of what is no plugin.

use std::path::PathBuf;

use serde_json::json;

use crate::support::{Host, Options, Output, fixture, plugin};

/// A folder with a good manifest and `component`, installed.
fn install(host: &Host, component: &[u8]) -> Output {
    let folder = folder(host, "[plugin]\nid = \"bad\"\nversion = \"0.1.0\"\n");
    std::fs::write(folder.join("bad.wasm"), component).unwrap();
    host.cli(&["plugin", "install", folder.to_str().unwrap()])
}

fn folder(host: &Host, manifest: &str) -> PathBuf {
    let folder = host.scratch().join("bad");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    folder
}

#[test]
fn a_component_that_is_none_is_refused_with_the_reason() {
    let host = Host::start(Options::default());
    let good = std::fs::read(plugin("echo").join("echo.wasm")).unwrap();
    let elf = std::fs::read(env!("CARGO_BIN_EXE_berth")).unwrap();

    for (name, component, reason) in [
        ("truncated", &good[..good.len() / 2], "ends too early"),
        ("a core module", b"\0asm\x01\0\0\0", "core module"),
        ("machine code", &elf[..4096], "machine code"),
        ("text", b"hello", "no WebAssembly"),
        ("empty", b"", "empty"),
        ("too large", &vec![0; (32 << 20) + 1], "33554432"),
        ("a stranger's import", &std::fs::read(fixture("unknown-import")).unwrap(), "acme:stuff/things"),
    ] {
        let refusal = install(&host, component).failed(1);

        assert!(refusal.starts_with("error: ") && refusal.contains(reason), "{name}: {refusal}");
    }
    assert_eq!(host.cli(&["plugin", "list"]).err, "(none)\n");
}

#[test]
fn a_key_that_no_manifest_has_is_shown_with_its_line() {
    let host = Host::start(Options::default());
    let folder = folder(&host, "[plugin]\nid = \"bad\"\nversion = \"0.1.0\"\n\n[limits]\nmemory = 5\n");
    let path = folder.to_str().unwrap();

    let text = host.cli(&["plugin", "install", path]).failed(1);
    let json = host.cli(&["plugin", "install", path, "--json"]).failed(1);

    assert!(text.contains("plugin.toml:6") && text.contains("memory = 5"), "{text}");
    assert!(text.contains("memory_bytes"), "{text}");
    // What stands above is wrapped, and where depends on the length of the path.
    let (_, marked) = text.split_once('╭').unwrap();
    insta::assert_snapshot!(format!("╭{}", marked.replace(path, "DIR")), @r"
    ╭─[DIR/plugin.toml:6:1]
     5 │ [limits]
     6 │ memory = 5
       · ───┬──
       ·    ╰── here
       ╰────
      help: docs/plugin-guide.md lists every key
    ");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["error"]["code"], "MANIFEST_UNKNOWN_KEY");
}

#[test]
fn a_path_without_a_plugin_is_told_apart() {
    let host = Host::start(Options::default());
    let empty = host.scratch().join("empty");
    std::fs::create_dir(&empty).unwrap();

    let nothing = host.cli(&["plugin", "install", "nowhere"]).failed(2);
    let folder = host.cli(&["plugin", "install", empty.to_str().unwrap()]).failed(1);
    let file = host.cli(&["plugin", "install", env!("CARGO_MANIFEST_DIR")]).failed(1);

    assert!(nothing.contains("nowhere does not exist"), "{nothing}");
    assert!(folder.contains("has no plugin.toml"), "{folder}");
    assert!(file.contains("has no plugin.toml"), "{file}");
}

#[test]
fn a_component_alone_or_beside_its_manifest_is_a_plugin_too() {
    let host = Host::start(Options::default());

    let beside = host.cli(&["plugin", "install", plugin("echo").join("echo.wasm").to_str().unwrap()]).ok();
    let alone = host.cli(&["plugin", "install", fixture("typed").to_str().unwrap()]);

    assert!(beside.starts_with("installed echo 0.1.0"), "{beside}");
    assert!(alone.err.contains("warning: "), "{}", alone.err);
    assert!(alone.ok().starts_with("installed typed 0.0.0"));
}

#[test]
fn a_component_that_was_written_for_nobody_in_particular_runs_as_it_is() {
    let folder = std::env::var("BERTH_FOREIGN")
        .expect("BERTH_FOREIGN names the folder of a foreign component: run the tests by `cargo xtask test`");
    let component = PathBuf::from(folder).join("words.wasm");
    let host = Host::start(Options::default());

    let installed = host.cli(&["plugin", "install", component.to_str().unwrap()]).ok();
    let call = |tool: &str, arguments: &str| host.cli(&["plugin", "call", tool, arguments, "--json"]);
    let counted = call("words_count", r#"{"text": "the quick fox"}"#).json();
    let empty = call("words_count", r#"{"text": " "}"#);
    let wrong = call("words_reverse", r#"{"items": ["a", 5]}"#);
    let turned = call("words_reverse", r#"{"items": ["a", "b"]}"#).json();

    assert!(installed.starts_with("installed words 0.0.0"), "{installed}");
    assert_eq!(counted["result"], json!({ "words": 3, "letters": 11, "longest": "quick" }));
    assert!(empty.code == 1 && empty.out.contains(r#""result":{"tag":"empty"}"#), "{empty:?}");
    assert!(wrong.code == 1 && wrong.out.contains(r#""pointer":"/items/1""#), "{wrong:?}");
    assert_eq!(turned["result"], json!(["b", "a"]));
}
