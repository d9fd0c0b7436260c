//! Yes and no to what a version asks for: typed at a terminal, or given ahead, with the digest of what was looked at.

use std::path::PathBuf;

use serde_json::Value;

use crate::packages::{key, pack};
use crate::support::{Host, Options, on_terminal, plugin};

const MORE: &str = "[[capability]]\nname = \"endpoint\"\nrequired = false\nreason = \"to ask the pi\"\n";

/// A version of a plugin without imports, whose manifest says `more`.
fn version(host: &Host, number: u32, more: &str) -> PathBuf {
    let folder = host.scratch().join(format!("adder-{number}-{}", more.len()));
    std::fs::create_dir_all(&folder).unwrap();
    let component = format!(
        r#"(component
            (core module $m (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (i32.const {number}))))
            (core instance $i (instantiate $m))
            (func (export "next") (param "number" u32) (result u32) (canon lift (core func $i "run"))))"#
    );
    std::fs::write(folder.join("adder.wasm"), wat::parse_str(component).unwrap()).unwrap();
    let manifest = format!("[plugin]\nid = \"adder\"\nversion = \"{number}.0.0\"\n{more}");
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    folder
}

fn install(host: &Host, folder: &std::path::Path, more: &[&str]) -> crate::support::Output {
    host.cli(&[&["plugin", "install", folder.to_str().unwrap()][..], more].concat())
}

/// What is in place, what waits, and all that an install would have written.
fn state(host: &Host) -> (Value, Vec<String>, Value) {
    let shown = host.cli(&["plugin", "show", "adder", "--json"]).json();
    let generations = host.cli(&["plugin", "generations", "adder", "--json"]).json();
    let mut files: Vec<_> = std::fs::read_dir(host.data().join("plugins"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    (shown, files, generations)
}

fn error(output: crate::support::Output) -> Value {
    serde_json::from_str::<Value>(&output.failed(1)).unwrap()["error"].clone()
}

#[test]
fn another_digest_than_the_one_that_was_looked_at_is_refused_and_nothing_is_written() {
    let host = Host::start(Options::default());
    install(&host, &version(&host, 1, ""), &[]).ok();
    let before = state(&host);
    let (seen, other) = ("ab".repeat(32), version(&host, 2, MORE));
    let path = other.to_str().unwrap();

    for words in [
        &["plugin", "install", path, "--yes", "--digest", &seen, "--json"][..],
        &["plugin", "install", path, "--digest", &format!("sha256:{seen}"), "--json"],
        &["plugin", "upgrade", "adder", path, "--accept", "--digest", &seen, "--json"],
    ] {
        let refused = error(host.cli(words));

        assert_eq!(refused["code"], "PLUGIN_OTHER_DIGEST");
        let message = refused["message"].as_str().unwrap();
        let named: Vec<_> = message.match_indices("sha256:").collect();
        assert_eq!(named.len(), 2, "{message}");
        assert!(message.contains(&format!("sha256:{seen} is wanted")), "{message}");
    }
    assert_eq!(state(&host), before);
    let none = host.cli(&["plugin", "install", path, "--digest", "abc"]).failed(2);
    assert!(none.contains("64 digits of hex"), "{none}");
}

#[test]
fn the_digest_that_a_waiting_version_shows_accepts_it_and_no_other() {
    let host = Host::start(Options::default());
    install(&host, &version(&host, 1, ""), &[]).ok();
    let looked_at = install(&host, &version(&host, 2, MORE), &["--json"]).json();
    let digest = looked_at["waiting_digest"].as_str().unwrap().to_owned();
    let shown = host.cli(&["plugin", "show", "adder"]).ok();
    // The same component asks for something else meanwhile.
    let swapped = "[[capability]]\nname = \"http\"\nreason = \"to phone home\"\nscope = { hosts = [\"https://a.b\"] }\n";
    let other = version(&host, 2, swapped);
    let component = std::fs::read(other.join("adder.wasm")).unwrap();
    install(&host, &other, &[]).ok();

    let refused = error(host.cli(&["plugin", "upgrade", "adder", "--accept", "--digest", &digest, "--json"]));

    let command = format!("    berth plugin upgrade adder --accept --digest sha256:{digest}\n");
    assert!(shown.contains(&command), "{shown}");
    assert_eq!(refused["code"], "PLUGIN_OTHER_DIGEST");
    let show = || host.cli(&["plugin", "show", "adder", "--json"]).json();
    let now = show();
    assert_eq!(now["version"], "1.0.0");
    let waiting = now["waiting_digest"].as_str().unwrap();
    assert!(refused["message"].as_str().unwrap().contains(waiting), "{refused}");
    // The digest of the component alone says nothing of what is asked for.
    let alone = berth_package::digest(&component);
    let refused = error(host.cli(&["plugin", "upgrade", "adder", "--accept", "--digest", &alone, "--json"]));
    assert!(refused["message"].as_str().unwrap().contains("its component alone"), "{refused}");

    install(&host, &version(&host, 2, MORE), &[]).ok();
    let done = host.cli(&["plugin", "upgrade", "adder", "--yes", "--digest", &digest]).ok();
    assert!(done.starts_with("adder 2.0.0 is in place\n"), "{done}");
    assert_eq!(show()["waiting_digest"], "");
}

#[test]
fn a_yes_ahead_is_for_all_that_a_version_asks_for() {
    let host = Host::start(Options::default());
    install(&host, &version(&host, 1, ""), &["--yes"]).ok();

    let waits = install(&host, &version(&host, 2, MORE), &[]).ok();
    let agreed = install(&host, &version(&host, 2, MORE), &["--yes"]).ok();
    let upgraded = version(&host, 3, &MORE.replace("endpoint", "keyvalue"));
    let upgraded = host.cli(&["plugin", "upgrade", "adder", upgraded.to_str().unwrap(), "--yes"]).ok();

    assert!(waits.contains("    berth plugin upgrade adder --accept\n"), "{waits}");
    assert!(agreed.starts_with("installed adder 2.0.0\n"), "{agreed}");
    assert!(upgraded.starts_with("adder 3.0.0 is in place\n"), "{upgraded}");
    assert!(upgraded.contains("  new: keyvalue (anything): to ask the pi\n"), "{upgraded}");
    assert_eq!(host.cli(&["plugin", "show", "adder", "--json"]).json()["grants"], serde_json::json!([]));
}

#[test]
fn an_archive_is_agreed_to_by_the_digest_that_verify_prints() {
    let host = Host::start(Options::default());
    key(&host, "acme.key");
    let file = pack(&host, "0.1.0", &["--key", "acme.key"]);
    let verified = host.cli(&["plugin", "verify", &file, "--json"]).json();
    let [digest, component] = ["digest", "component"].map(|name| verified[name].as_str().unwrap());

    let refused = error(host.cli(&["plugin", "install", &file, "--digest", component, "--json"]));
    assert!(refused["message"].as_str().unwrap().contains("its component alone"), "{refused}");
    assert_eq!(host.cli(&["plugin", "list", "--json"]).json(), serde_json::json!([]));

    host.cli(&["plugin", "install", &file, "--yes", "--digest", digest]).ok();
    // Another publisher waits for a yes, also when he packs the same files.
    key(&host, "other.key");
    let theirs = pack(&host, "0.1.1", &["--key", "other.key"]);
    let waits = host.cli(&["plugin", "install", &theirs, "--json"]).json();
    let theirs = host.cli(&["plugin", "verify", &theirs, "--json"]).json();
    assert_eq!(waits["waiting_digest"], theirs["digest"]);
    host.cli(&["plugin", "upgrade", "clock", "--accept", "--digest", digest]).failed(1);
    let digest = theirs["digest"].as_str().unwrap();
    host.cli(&["plugin", "upgrade", "clock", "--accept", "--digest", digest]).ok();
}

#[test]
fn a_person_at_a_terminal_is_asked_and_only_a_yes_is_one() {
    let host = Host::start(Options::default());
    install(&host, &version(&host, 1, ""), &[]).ok();
    let wider = version(&host, 2, MORE);
    let words = ["plugin", "install", wider.to_str().unwrap()];
    let in_place = || host.cli(&["plugin", "show", "adder", "--json"]).json()["version"].clone();

    for no in ["n\n", "\n", "what?\n"] {
        let asked = on_terminal(&host.command(&words), 100, no);
        assert!(asked.out.contains("Put it in place? [y/N]"), "{}", asked.out);
        assert!(asked.out.contains("adder stays as it is"), "{}", asked.out);
        assert_eq!((asked.code, in_place()), (0, "1.0.0".into()));
    }
    let asked = on_terminal(&host.command(&words), 100, "yes\n");
    assert!(asked.out.contains("adder 2.0.0 is in place"), "{}", asked.out);
    assert_eq!(in_place(), "2.0.0");
    // Neither a program nor who has answered ahead is asked.
    let wider = version(&host, 3, &MORE.replace("endpoint", "keyvalue"));
    for (more, version) in [("--json", "2.0.0"), ("--yes", "3.0.0")] {
        let words = ["plugin", "install", wider.to_str().unwrap(), more];
        let told = on_terminal(&host.command(&words), 100, "n\n");
        assert!(told.code == 0 && !told.out.contains("[y/N]"), "{}", told.out);
        assert_eq!(in_place(), version);
    }
}

#[test]
fn pairs_are_removed_for_good_after_a_yes_where_somebody_sits_there() {
    let host = Host::start(Options::default());
    host.cli(&["plugin", "install", plugin("echo").to_str().unwrap()]).ok();
    let words = ["plugin", "remove", "echo", "--purge"];

    let kept = on_terminal(&host.command(&words), 100, "n\n");
    host.cli(&["plugin", "show", "echo"]).ok();
    let gone = on_terminal(&host.command(&words), 100, "y\n");

    assert_eq!(kept.code, 1, "{}", kept.out);
    assert!(kept.out.contains("key-value pairs for good? [y/N]"), "{}", kept.out);
    assert!(kept.out.contains("echo stays as it is"), "{}", kept.out);
    assert!(gone.out.contains("echo is removed"), "{}", gone.out);
    host.cli(&["plugin", "install", plugin("echo").to_str().unwrap()]).ok();
    let ahead = on_terminal(&host.command(&[&words[..], &["--yes"]].concat()), 100, "");
    assert!(ahead.code == 0 && !ahead.out.contains("[y/N]"), "{}", ahead.out);
}
