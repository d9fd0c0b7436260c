//! `berth plugin`: the life of a plugin, its grants, its calls.

use serde_json::{Value, json};

use crate::support::{Host, Options, fixture, plugin};

fn installed(name: &str) -> Host {
    let host = Host::start(Options::default());
    host.cli(&["plugin", "install", plugin(name).to_str().unwrap()]).ok();
    host
}

#[test]
fn a_plugin_is_installed_called_switched_off_and_removed() {
    let host = Host::start(Options::default());

    let installed = host.cli(&["plugin", "install", plugin("echo").to_str().unwrap()]).ok();
    let called = host.cli(&["plugin", "call", "echo_say", "{\"text\": \"hi\"}"]).ok();
    let off = host.cli(&["plugin", "disable", "echo"]).ok();
    let refused = host.cli(&["plugin", "call", "echo_say", "{\"text\": \"hi\"}"]);
    let on = host.cli(&["plugin", "enable", "echo"]).ok();
    let again = host.cli_with_input(&["plugin", "call", "echo_say", "-"], "{\"text\": \"hi\"}").ok();
    let removed = host.cli(&["plugin", "remove", "echo"]).ok();

    assert!(installed.starts_with("installed echo 0.1.0\n") && installed.contains("echo_say"), "{installed}");
    assert_eq!(called, "{\n  \"text\": \"hi\"\n}\n");
    assert_eq!((off.as_str(), on.as_str()), ("echo takes no calls\n", "echo takes calls\n"));
    assert!(refused.failed(1).contains("echo_say"));
    assert_eq!(again, called);
    assert_eq!(removed, "echo is removed\n");
    assert!(host.cli(&["plugin", "show", "echo"]).failed(1).contains("no plugin `echo`"));
}

#[test]
fn the_pairs_of_a_plugin_outlive_it_unless_they_are_purged() {
    let host = Host::start(Options::default());
    let install = || {
        let package = host.scratch().join("standards");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::copy(fixture("standards"), package.join("standards.wasm")).unwrap();
        let manifest = "[plugin]\nid = \"standards\"\nversion = \"0.1.0\"\n[[capability]]\nname = \"keyvalue\"\n\
            scope = { access = \"rw\" }\n[[capability]]\nname = \"endpoint\"\n";
        std::fs::write(package.join("plugin.toml"), manifest).unwrap();
        host.cli(&["plugin", "install", package.to_str().unwrap()]).ok();
    };
    install();
    host.cli(&["plugin", "grant", "standards", "keyvalue", "--scope", r#"{"access":"rw"}"#]).ok();
    let steps = r#"{"bucket":"notes","steps":[{"do":"set","key":"a","value":"kept"}]}"#;
    host.cli(&["plugin", "call", "standards_pairs", steps]).ok();
    let shown = host.cli(&["plugin", "show", "standards"]).ok();

    let removed = host.cli(&["plugin", "remove", "standards"]).ok();
    let purged = host.cli(&["plugin", "remove", "standards", "--purge"]).ok();

    assert!(shown.contains("used since the host started\n  1 calls, 0 failed\n"), "{shown}");
    assert!(
        removed.contains("1 key-value pairs of it stay: berth plugin remove standards --purge removes them"),
        "{removed}"
    );
    assert_eq!(purged, "standards is removed\n1 key-value pairs of it are removed as well\n");
    assert!(host.cli(&["plugin", "remove", "standards", "--purge"]).failed(1).contains("no plugin"));
}

#[test]
fn a_plugin_is_shown_with_the_commands_that_grant_what_it_asks_for() {
    let host = installed("files");

    let shown = host.cli(&["plugin", "show", "files"]).ok();

    assert!(shown.contains("status     ready") && shown.contains("grants     none"), "{shown}");
    assert!(shown.contains("    berth plugin grant files files --folder DIR --write --as /\n"), "{shown}");
}

#[test]
fn a_folder_is_granted_for_reading_then_for_writing_then_taken_back() {
    let host = installed("files");
    let notes = host.scratch().join("notes");
    std::fs::create_dir(&notes).unwrap();
    std::fs::write(notes.join("a.txt"), "apples").unwrap();
    let folder = notes.to_str().unwrap();
    let read = || host.cli(&["plugin", "call", "files_read", "{\"path\": \"a.txt\"}"]);
    let write = || host.cli(&["plugin", "call", "files_write", "{\"path\": \"b.txt\", \"content\": \"x\"}"]);

    let denied = read().failed(1);
    let grant = host.cli(&["plugin", "grant", "files", "files", "--folder", folder, "--json"]).json();
    let granted = read().ok();
    let read_only = write();
    host.cli(&["plugin", "grant", "files", "files", "--folder", folder, "--write", "--reason", "notes"]).ok();
    write().ok();
    for grant in host.cli(&["plugin", "show", "files", "--json"]).json()["grants"].as_array().unwrap() {
        host.cli(&["plugin", "revoke", grant["grant_id"].as_str().unwrap()]).ok();
    }
    let revoked = read().failed(1);

    assert!(
        denied.contains("berth plugin grant files files --scope") && denied.contains("FOLDER\""),
        "{denied}"
    );
    assert_eq!(grant["scope"], json!({ "host": folder, "access": "ro" }));
    assert!(granted.contains("apples"), "{granted}");
    assert_eq!(read_only.code, 1, "{}", read_only.out);
    assert_eq!(std::fs::read_to_string(notes.join("b.txt")).unwrap(), "x");
    assert!(revoked.contains("not granted"), "{revoked}");
}

#[test]
fn a_denial_beats_a_grant() {
    let host = installed("files");
    let notes = host.scratch().join("notes");
    std::fs::create_dir(&notes).unwrap();
    let folder = notes.to_str().unwrap().to_owned();
    host.cli(&["plugin", "grant", "files", "files", "--folder", &folder]).ok();
    host.cli(&["plugin", "call", "files_list"]).ok();

    let done = host.cli(&["plugin", "grant", "files", "files", "--folder", &folder, "--mode", "deny"]).ok();

    assert!(done.starts_with("denied files "), "{done}");
    host.cli(&["plugin", "call", "files_list"]).failed(1);
}

#[test]
fn a_grant_says_what_it_grants() {
    let host = installed("gpio");

    let unsaid = host.cli(&["plugin", "grant", "gpio", "endpoint"]).failed(2);
    let tool = host.cli(&["plugin", "grant", "gpio", "endpoint", "--tool", "rpi.*", "--json"]).json();
    let wrong = host.cli(&["plugin", "grant", "gpio", "endpoint", "--folder", "/"]).failed(2);
    let scope = host.cli(&["plugin", "grant", "gpio", "endpoint", "--scope", "[1]"]).failed(2);
    let key = host.cli(&["plugin", "grant", "gpio", "endpoint", "--scope", "{\"tool\": 1}"]).failed(1);
    let unknown = host.cli(&["plugin", "grant", "gpio", "teleport", "--scope", "{}"]).failed(1);
    let time =
        host.cli(&["plugin", "grant", "gpio", "endpoint", "--scope", "{}", "--expires", "soon"]).failed(1);

    assert!(unsaid.contains("berth plugin grant gpio endpoint --tool rpi.gpio.read"), "{unsaid}");
    assert_eq!(tool["scope"], json!({ "tools": ["rpi.*"] }));
    assert!(wrong.contains("--folder is for the capability files"), "{wrong}");
    assert!(scope.contains("no JSON object"), "{scope}");
    assert!(key.contains("`tool`") && key.contains("`tools`"), "{key}");
    assert!(unknown.contains("`teleport` is no capability"), "{unknown}");
    assert!(time.contains("2026-12-31T00:00:00Z"), "{time}");
}

#[test]
fn arguments_that_are_no_object_are_wrong_usage_and_wrong_ones_fail() {
    let host = installed("clock");

    let syntax = host.cli(&["plugin", "call", "clock_add", "{bad"]).failed(2);
    let list = host.cli(&["plugin", "call", "clock_add", "[1]"]).failed(2);
    let shape = host.cli(&["plugin", "call", "clock_add", "{\"starts\": 1}"]).failed(1);
    let json = host.cli(&["plugin", "call", "clock_add", "{\"starts\": 1}", "--json"]);
    let unknown = host.cli(&["plugin", "call", "nope"]).failed(1);

    assert!(syntax.contains("no JSON object") && list.contains("no JSON object"));
    assert_eq!(
        shape,
        "error: the arguments do not fit clock_add: /start: is required\n  \
         try: clock_add(start: string, duration: string, zone?: string)\n"
    );
    let answer: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((json.code, json.err.as_str()), (1, ""));
    assert_eq!(answer["error"]["code"], "INVALID_ARGUMENTS", "{answer}");
    assert!(unknown.contains("nope"), "{unknown}");
}
