//! `berth secret`: values go in and never come out.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use serde_json::json;

use crate::support::{Host, Options, fixture};

const CANARY: &str = "canary-40f7d0b82c5e";

/// Whether the value is in a file of the folder, as it is or as base64 or hex of it.
fn has_canary(folder: &Path) -> Vec<String> {
    let base64 = base64::engine::general_purpose::STANDARD.encode(CANARY);
    let forms = [CANARY.to_owned(), base64.trim_end_matches('=').to_owned(), hex::encode(CANARY)];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(has_canary(&path));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form.as_bytes())) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_value_from_standard_input_is_kept_sealed_and_shown_nowhere() {
    let mut host = Host::start(Options::default().env("BERTH_LOG", "trace"));

    let set =
        host.cli_with_input(&["secret", "set", "app_secret", "--plugin", "feishu"], &format!("{CANARY}\n"));
    let again = host.cli_with_input(&["secret", "set", "app_secret", "--plugin", "feishu", "--json"], CANARY);
    let list = host.cli(&["secret", "list"]);
    let show = host.cli(&["secret", "show", "app_secret", "--plugin", "feishu", "--json"]);

    assert_eq!(set.out, "app_secret is kept, version 1\n");
    assert!(again.out.contains("\"version\":2"), "{}", again.out);
    assert!(list.out.contains("app_secret") && list.out.contains("feishu"), "{}", list.out);
    assert!(show.out.contains("\"state\":\"ok\""), "{}", show.out);
    let key = host.data().join("secrets.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
    host.stop();
    for text in
        [set.out, set.err, again.out, again.err, list.out, list.err, show.out, show.err, host.output()]
    {
        assert!(!text.contains(CANARY), "{text}");
    }
    assert_eq!(has_canary(host.data()), Vec::<String>::new());
}

#[test]
fn a_value_comes_from_a_file_and_never_from_the_command_line() {
    let host = Host::start(Options::default());
    let file = host.scratch().join("value");
    std::fs::write(&file, b"\x00\xff bytes\n").unwrap();
    let path = file.to_str().unwrap();

    let set = host.cli(&["secret", "set", "key", "--plugin", "a", "--from-file", path]).ok();
    let argument = host.cli(&["secret", "set", "key", CANARY, "--plugin", "a"]).failed(2);
    let nobody = host.cli_with_input(&["secret", "set", "key"], CANARY).failed(2);
    let empty = host.cli_with_input(&["secret", "set", "key", "--plugin", "a"], "\n").failed(2);

    assert_eq!(set, "key is kept, version 1\n");
    assert!(argument.contains("unexpected argument"), "{argument}");
    assert!(nobody.contains("--plugin") && nobody.contains("--shared"), "{nobody}");
    assert!(empty.contains("empty"), "{empty}");
}

#[test]
fn a_secret_is_rotated_renewed_and_removed() {
    let mut host = Host::start(Options::default());
    let of =
        |action: &str| host.cli_with_input(&["secret", action, "token", "--plugin", "a", "--json"], "value");

    assert!(of("rotate").failed(1).contains("SECRET_NOT_FOUND"));
    of("set").ok();
    assert_eq!(of("rotate").json()["version"], 2);
    let key = std::fs::read(host.data().join("secrets.key")).unwrap();
    host.cli(&["secret", "renew-key"]).ok();
    assert_ne!(std::fs::read(host.data().join("secrets.key")).unwrap(), key);
    host.restart();
    assert_eq!(host.cli(&["secret", "list", "--json"]).json()[0]["state"], "ok");
    host.cli(&["secret", "remove", "token", "--plugin", "a"]).ok();
    assert_eq!(host.cli(&["secret", "list", "--json"]).json(), json!([]));
    host.cli(&["secret", "show", "token", "--plugin", "a"]).failed(1);
}

#[test]
fn several_plugins_share_a_secret() {
    let host = Host::start(Options::default());
    let words = ["secret", "set", "token", "--shared", "--plugin", "a", "--plugin", "b"];

    host.cli_with_input(&words, "value").ok();

    let listed = host.cli(&["secret", "list", "--json"]).json();
    assert_eq!((&listed[0]["plugins"], &listed[0]["plugin_id"]), (&json!(["a", "b"]), &json!("")));
    assert!(host.cli(&["secret", "list"]).out.contains("a,b"));
    host.cli(&["secret", "remove", "token", "--shared"]).ok();
}

#[test]
fn a_key_that_others_may_read_is_refused_and_the_doctor_says_so() {
    let mut host = Host::start(Options::default());
    host.cli_with_input(&["secret", "set", "token", "--plugin", "a"], "value").ok();
    let key = host.data().join("secrets.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    host.restart();

    let refused =
        host.cli_with_input(&["secret", "set", "other", "--plugin", "a", "--json"], "value").failed(1);
    let listed = host.cli(&["secret", "list", "--json"]).json();
    let told = host.cli(&["doctor"]);

    assert!(refused.contains("SECRET_KEY_MODE") && refused.contains("chmod 600"), "{refused}");
    assert_eq!(listed[0]["state"], "no_key");
    assert_eq!(told.code, 1);
    assert!(told.out.contains("FAILED  secrets key") && told.out.contains("token is no_key"), "{}", told.out);
}

#[test]
fn a_key_elsewhere_and_a_database_elsewhere_are_shown_to_no_plugin() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (key, database) = (elsewhere.path().join("key"), elsewhere.path().join("db/berth.db"));
    std::fs::create_dir(elsewhere.path().join("db")).unwrap();
    let options = Options::bundled()
        .env("BERTH_SECRETS_KEY_FILE", key.to_str().unwrap())
        .env("BERTH_DATABASE", format!("sqlite:{}", database.display()));
    let host = Host::start(options);
    host.cli_with_input(&["secret", "set", "token", "--plugin", "a"], "value").ok();
    assert!(key.is_file() && database.is_file());

    for folder in [elsewhere.path(), &elsewhere.path().join("db")] {
        let words = ["plugin", "grant", "files", "files", "--folder", folder.to_str().unwrap()];
        let refused = host.cli(&words).failed(1);
        assert!(refused.contains("a file of berth"), "{refused}");
    }
    let notes = elsewhere.path().join("notes");
    std::fs::create_dir(&notes).unwrap();
    host.cli(&["plugin", "grant", "files", "files", "--folder", notes.to_str().unwrap(), "--as", "/notes"])
        .ok();
}

#[test]
fn no_core_dump_of_the_host_is_written() {
    let host = Host::start(Options::default());

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", host.pid())).unwrap();

    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
}

#[test]
fn a_secret_survives_kill_9_and_is_used_by_the_next_host() {
    let mut host = Host::start(Options::default());
    let package = fixture("secrets");
    host.cli(&["plugin", "install", package.to_str().unwrap()]).failed(1);
    let folder = host.scratch().join("secrets");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(&package, folder.join("secrets.wasm")).unwrap();
    let manifest = "[plugin]\nid = \"secrets\"\nversion = \"0.1.0\"\n[[capability]]\nname = \"secret\"\nscope = { id = \"token\" }\n[[capability]]\nname = \"endpoint\"\n";
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    host.cli(&["plugin", "install", folder.to_str().unwrap()]).ok();
    host.cli(&["plugin", "grant", "secrets", "secret", "--scope", r#"{"id": "token"}"#]).ok();
    host.cli_with_input(&["secret", "set", "token", "--plugin", "secrets"], CANARY).ok();
    let sign = ["plugin", "call", "secrets_hmac", r#"{"name": "token", "data": "x"}"#, "--json"];
    let before = host.cli(&sign).json();

    host.kill9();
    host.restart();

    assert_eq!(before["result"].as_str().map(str::len), Some(64), "{before}");
    assert_eq!(host.cli(&sign).json()["result"], before["result"]);
}
