//! Packages: a folder becomes one file, which is checked, installed with its publisher, or refused.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Host, Options, plugin};

/// The folder of the clock in another version.
fn clock(host: &Host, version: &str) -> PathBuf {
    let folder = host.scratch().join(format!("clock-{version}"));
    copy(&plugin("clock"), &folder);
    let manifest = folder.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("version = \"0.1.0\"", &format!("version = \"{version}\"")))
        .unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Makes a key, and answers its public half.
pub fn key(host: &Host, name: &str) -> String {
    host.cli(&["plugin", "key", "new", name]).ok().trim().to_owned()
}

/// Packs the clock; the path of the file.
pub fn pack(host: &Host, version: &str, more: &[&str]) -> String {
    let out = format!("clock-{version}-{}.berth", more.len());
    let folder = clock(host, version);
    let mut words = vec!["plugin", "pack", folder.to_str().unwrap(), "--out", &out];
    words.extend(more);
    host.cli(&words).ok();
    host.scratch().join(&out).to_str().unwrap().to_owned()
}

fn lock(host: &Host) -> String {
    std::fs::read_to_string(host.data().join("berth.lock")).unwrap()
}

fn publishers(host: &mut Host, text: &str) {
    std::fs::create_dir_all(host.data().join("policies")).unwrap();
    std::fs::write(host.data().join("policies/publishers.toml"), text).unwrap();
    host.restart();
}

#[test]
fn a_folder_becomes_one_file_that_is_the_same_each_time() {
    let host = Host::start(Options::default());
    let folder = clock(&host, "0.1.0");
    let pack = |out: &str| -> Value {
        host.cli(&["plugin", "pack", folder.to_str().unwrap(), "--out", out, "--json"]).json()
    };

    let (first, second) = (pack("a.berth"), pack("b.berth"));

    let bytes = |name: &str| std::fs::read(host.scratch().join(name)).unwrap();
    assert!(bytes("a.berth") == bytes("b.berth"));
    assert_eq!(first["digest"], second["digest"]);
    assert!(first["files"].as_array().unwrap().contains(&"plugin.toml".into()), "{first}");
    let verified = host.cli(&["plugin", "verify", "--offline", "a.berth", "--json"]).json();
    assert_eq!(verified["digest"], first["digest"]);
    assert_eq!(verified["publisher_is"], "unsigned");
    assert!(host.cli(&["plugin", "verify", "a.berth"]).ok().starts_with("clock 0.1.0 is whole\n"));
}

#[test]
fn the_descriptions_of_the_wit_go_into_the_package() {
    let host = Host::start(Options::default());
    let file = pack(&host, "0.1.0", &[]);
    let tools = |host: &Host| host.cli(&["plugin", "show", "clock", "--json"]).json()["tools"].clone();

    host.cli(&["plugin", "install", plugin("clock").to_str().unwrap()]).ok();
    let from_folder = tools(&host);
    host.cli(&["plugin", "remove", "clock"]).ok();
    host.cli(&["plugin", "install", &file]).ok();

    assert_eq!(tools(&host), from_folder);
    assert!(from_folder[0]["description"].as_str().unwrap().len() > 10, "{from_folder}");
}

#[test]
fn a_signed_package_is_installed_with_its_publisher_and_pinned() {
    let mut host = Host::start(Options::default());
    let publisher = key(&host, "acme.key");
    let file = pack(&host, "0.1.0", &["--key", "acme.key"]);
    let verified = host.cli(&["plugin", "verify", &file, "--json"]).json();
    assert_eq!(verified["publisher_is"], "first-use");

    host.cli(&["plugin", "install", &file]).ok();

    for pinned in [&publisher, verified["digest"].as_str().unwrap(), verified["component"].as_str().unwrap()]
    {
        assert!(lock(&host).contains(pinned), "{pinned} is not in\n{}", lock(&host));
    }
    let now = host.cli(&["plugin", "call", "clock_now", "{\"zone\": \"Asia/Tokyo\"}", "--json"]).json();
    assert!(now["result"].is_object(), "{now}");
    // The key is known from now on, also after a restart; a grant may be for it alone.
    host.restart();
    let next = pack(&host, "0.2.0", &["--key", "acme.key"]);
    assert_eq!(host.cli(&["plugin", "verify", &next, "--json"]).json()["publisher_is"], "known");
    host.cli(&["plugin", "install", &next]).ok();
    assert!(lock(&host).contains("version = \"0.2.0\""), "{}", lock(&host));
    host.cli(&["plugin", "remove", "clock"]).ok();
    assert!(!lock(&host).contains("clock"), "{}", lock(&host));
}

#[test]
fn another_publisher_waits_for_consent_and_one_who_changes_keys_himself_does_not() {
    let host = Host::start(Options::default());
    let (acme, thief) = (key(&host, "acme.key"), key(&host, "thief.key"));
    host.cli(&["plugin", "install", &pack(&host, "0.1.0", &["--key", "acme.key"])]).ok();

    let theirs = pack(&host, "0.2.0", &["--key", "thief.key"]);
    let waits = host.cli(&["plugin", "install", &theirs]).ok();

    assert!(
        waits.contains("waits for consent") && waits.contains(&thief) && waits.contains(&acme),
        "{waits}"
    );
    assert!(lock(&host).contains("version = \"0.1.0\"") && !lock(&host).contains(&thief), "{}", lock(&host));
    host.cli(&["plugin", "upgrade", "clock", "--decline"]).ok();
    // Without a signature it is another publisher, too: from a folder as from an archive.
    let unsigned = clock(&host, "0.2.1");
    assert!(host.cli(&["plugin", "install", unsigned.to_str().unwrap()]).ok().contains("signed by nobody"));

    let newer = key(&host, "newer.key");
    let statement =
        host.cli(&["plugin", "key", "rotate", "clock", "--from", "acme.key", "--to", &newer]).ok();
    std::fs::write(host.scratch().join("rotation"), statement).unwrap();
    let ours = pack(&host, "0.3.0", &["--key", "newer.key", "--rotation", "rotation"]);
    let installed = host.cli(&["plugin", "install", &ours]).ok();

    assert!(installed.contains("installed clock 0.3.0"), "{installed}");
    assert!(lock(&host).contains(&newer), "{}", lock(&host));
}

#[test]
fn consent_to_another_publisher_pins_him() {
    let host = Host::start(Options::default());
    key(&host, "acme.key");
    let second = key(&host, "second.key");
    host.cli(&["plugin", "install", &pack(&host, "0.1.0", &["--key", "acme.key"])]).ok();
    host.cli(&["plugin", "install", &pack(&host, "0.2.0", &["--key", "second.key"])]).ok();
    assert!(host.cli(&["plugin", "show", "clock"]).ok().contains("another publisher"));

    host.cli(&["plugin", "upgrade", "clock", "--accept"]).ok();

    assert!(lock(&host).contains(&second), "{}", lock(&host));
    let third = pack(&host, "0.3.0", &["--key", "second.key"]);
    assert!(host.cli(&["plugin", "install", &third]).ok().contains("installed clock 0.3.0"));
}

#[test]
fn an_older_package_and_a_changed_one_are_refused() {
    let host = Host::start(Options::default());
    key(&host, "acme.key");
    let older = pack(&host, "0.1.0", &["--key", "acme.key"]);
    let newer = pack(&host, "0.2.0", &["--key", "acme.key"]);
    host.cli(&["plugin", "install", &newer]).ok();

    let refused = host.cli(&["plugin", "install", &older]).failed(1);

    assert!(
        refused.contains("older than 0.2.0") && refused.contains("berth plugin rollback clock"),
        "{refused}"
    );
    let mut bytes = std::fs::read(&newer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(host.scratch().join("changed.berth"), bytes).unwrap();
    for words in [["plugin", "verify"], ["plugin", "install"]] {
        let changed = host.scratch().join("changed.berth");
        let refused = host.cli(&[words[0], words[1], changed.to_str().unwrap()]).failed(1);
        assert!(refused.contains("damaged"), "{refused}");
    }
    assert!(lock(&host).contains("version = \"0.2.0\""));
}

#[test]
fn what_the_policy_refuses_is_not_installed() {
    let mut host = Host::start(Options::default());
    let acme = key(&host, "acme.key");
    let other = key(&host, "other.key");
    let by_acme = pack(&host, "0.1.0", &["--key", "acme.key"]);
    let by_other = pack(&host, "0.1.1", &["--key", "other.key"]);
    let refused = |host: &Host, path: &str, reason: &str| {
        let said = host.cli(&["plugin", "install", path]).failed(1);
        assert!(said.contains(reason), "{said}");
    };

    publishers(&mut host, &format!("[[publisher]]\nkey = \"{acme}\"\nplugins = [\"clock\"]\n"));
    refused(&host, &by_other, &other);
    refused(&host, plugin("clock").to_str().unwrap(), "is not signed");
    host.cli(&["plugin", "install", &by_acme]).ok();

    publishers(&mut host, &format!("[[revoked]]\nkey = \"{acme}\"\nreason = \"the key was stolen\"\n"));
    refused(&host, &pack(&host, "0.2.0", &["--key", "acme.key"]), "the key was stolen");
    let said = host.cli(&["plugin", "verify", &by_acme]).failed(1);
    assert!(said.contains("the key was stolen"), "{said}");
}

#[test]
fn a_policy_of_publishers_that_is_not_right_stops_the_start_with_its_line() {
    let mut host = Host::start(Options::default());
    host.stop();
    std::fs::create_dir_all(host.data().join("policies")).unwrap();
    std::fs::write(host.data().join("policies/publishers.toml"), "\nunsigned = \"perhaps\"\n").unwrap();

    let refused = host.start_refused(&[]);

    assert!(refused.err.contains("publishers.toml:2"), "{}", refused.err);
}

#[test]
fn a_damaged_lock_stops_installs_until_it_is_put_right() {
    let host = Host::start(Options::default());
    host.cli(&["plugin", "install", &pack(&host, "0.1.0", &[])]).ok();
    let whole = lock(&host);
    std::fs::write(host.data().join("berth.lock"), whole.replace("0.1.0", "0.0.9")).unwrap();

    let refused = host.cli(&["plugin", "install", plugin("echo").to_str().unwrap()]).failed(1);

    assert!(refused.contains("berth.lock is damaged"), "{refused}");
    std::fs::write(host.data().join("berth.lock"), whole).unwrap();
    host.cli(&["plugin", "install", plugin("echo").to_str().unwrap()]).ok();
    assert!(lock(&host).contains("id = \"echo\""), "{}", lock(&host));
}

#[test]
fn a_lock_says_which_package_is_meant() {
    let host = Host::start(Options::default());
    host.cli(&["plugin", "install", &pack(&host, "0.1.0", &[])]).ok();
    std::fs::copy(host.data().join("berth.lock"), host.scratch().join("theirs.lock")).unwrap();
    let other = pack(&host, "0.2.0", &[]);

    let refused =
        host.cli(&["plugin", "verify", &other, "--lock", "theirs.lock", "--locked", "--json"]).failed(1);

    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["error"]["code"], "LOCK_MISMATCH");
    let same = host.scratch().join("clock-0.1.0-0.berth");
    host.cli(&["plugin", "verify", same.to_str().unwrap(), "--lock", "theirs.lock", "--locked"]).ok();
}
