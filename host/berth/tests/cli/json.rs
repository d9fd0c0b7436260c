//! `--json` of every command of `berth plugin`: one document on standard output, whatever comes of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::packages::{key, pack};
use crate::support::{Host, Options, Output, berth, plugin, run};

/// Every command below `berth plugin`, by its page of the manual: there is no other list to forget one in.
fn commands() -> BTreeSet<String> {
    let home = tempfile::tempdir().unwrap();
    let told = run(berth(home.path()).args(["man", "pages", "--json"])).json();
    let pages = told["pages"].as_array().unwrap().iter();
    let names = pages.filter_map(|page| page.as_str()?.strip_prefix("berth-plugin-")?.strip_suffix(".1"));
    names
        .filter(|name| !name.split('-').any(|word| word == "help"))
        .map(|name| name.replace('-', " "))
        .collect()
}

/// The one document that was printed; a failure has the form that every failure has.
#[track_caller]
fn document(output: &Output) -> Value {
    let lines: Vec<_> = output.out.lines().collect();
    let [line] = lines.as_slice() else { panic!("no document in one line: {output:?}") };
    let document: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert!(document.is_object() || document.is_array(), "{output:?}");
    assert!(!output.err.contains('{'), "a document is on standard error: {output:?}");
    document
}

#[track_caller]
fn failure(output: &Output) -> Value {
    let document = document(output);
    let keys: Vec<_> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["error"], "{output:?}");
    let error = &document["error"];
    assert!(error["code"].as_str().is_some_and(|code| !code.is_empty()), "{output:?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{output:?}");
    assert!(error.as_object().unwrap().contains_key("details"), "{output:?}");
    error.clone()
}

#[test]
fn every_command_prints_one_document_for_programs_when_it_goes_well_and_when_it_does_not() {
    let host = Host::start(Options::bundled());
    key(&host, "a.key");
    let newer = key(&host, "b.key");
    let [older, newest] = ["0.1.1", "0.1.2"].map(|version| pack(&host, version, &["--key", "a.key"]));
    let echo = plugin("echo").to_str().unwrap().to_owned();
    let of_echo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/echo");
    let grant = ["plugin", "grant", "echo", "endpoint", "--scope", "{}", "--json"];
    let grant = host.cli(&grant).json()["grant_id"].as_str().unwrap().to_owned();
    let scope = ["--scope", "{}"];

    // A command, its words, and the exit code; in an order in which each has what it needs.
    let stories: &[(&str, &[&str], i32)] = &[
        ("new", &["fresh", "--lang", "c"], 0),
        ("new", &["No Name", "--lang", "c"], 2),
        ("build", &["nowhere"], 2),
        ("dev", &["nowhere"], 2),
        ("test", &[&echo, "--stories", of_echo], 0),
        ("test", &["nowhere"], 2),
        ("pack", &[&echo, "--out", "echo.berth"], 0),
        ("pack", &["nowhere"], 2),
        ("verify", &["echo.berth"], 0),
        ("verify", &["nowhere.berth"], 2),
        ("key", &[], 2),
        ("key new", &["c.key"], 0),
        ("key new", &["c.key"], 1),
        ("key show", &["c.key"], 0),
        ("key show", &["nowhere"], 1),
        ("key rotate", &["clock", "--from", "a.key", "--to", &newer], 0),
        ("key rotate", &["clock", "--from", "a.key", "--to", "none"], 1),
        ("push", &["echo.berth", "not a place"], 2),
        ("pull", &["not a place"], 2),
        ("install", &[&older, "--yes"], 0),
        ("install", &["nowhere"], 2),
        ("install", &[&older, "--digest", &"ab".repeat(32)], 1),
        ("upgrade", &["clock", &newest], 0),
        ("upgrade", &["clock", &echo], 1),
        ("upgrade", &["clock", "--accept"], 1),
        ("generations", &["clock"], 0),
        ("generations", &["none"], 1),
        ("rollback", &["clock"], 0),
        ("rollback", &["clock", "--to", "99"], 1),
        ("resume", &["clock"], 1),
        ("list", &[], 0),
        ("list", &["clock"], 2),
        ("show", &["clock"], 0),
        ("show", &["none"], 1),
        ("grant", &["echo", "endpoint", scope[0], scope[1]], 0),
        ("grant", &["echo", "endpoint"], 2),
        ("revoke", &[&grant], 0),
        ("revoke", &["grant_none"], 1),
        ("audit", &["clock"], 0),
        ("audit", &["clock", "--since", "soon"], 1),
        ("audit", &["none"], 1),
        ("audit", &["clock", "--limit", "201"], 2),
        ("suggest", &["clock"], 0),
        ("suggest", &["none"], 1),
        ("disable", &["clock"], 0),
        ("disable", &["none"], 1),
        ("enable", &["clock"], 0),
        ("enable", &["none"], 1),
        ("logs", &["clock"], 0),
        ("logs", &["none"], 1),
        ("call", &["clock_now"], 0),
        ("call", &["clock_now", "[1]"], 2),
        ("call", &["clock_add", "{\"starts\": 1}"], 1),
        ("call", &["clock_nwo"], 1),
        ("channel", &["none"], 1),
        ("deliveries", &["none"], 1),
        ("deliveries edit", &["none", "delivery_1", "text"], 1),
        ("deliveries retract", &["none", "delivery_1"], 1),
        ("deliveries react", &["none", "delivery_1", "👍"], 1),
        ("doctor", &["clock"], 0),
        ("doctor", &["none"], 1),
        ("events", &["none"], 1),
        ("events retry", &["none", "event_1"], 1),
        ("events drop", &["none", "event_1"], 1),
        ("remove", &["clock", "--purge", "--yes"], 0),
        ("remove", &["none"], 1),
    ];

    let told: BTreeSet<String> = stories.iter().map(|(command, ..)| (*command).to_owned()).collect();
    assert_eq!(told, commands(), "each command has a story here");
    for (command, words, code) in stories {
        let words = spoken(command, words);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let ended = host.cli(&words);

        assert_eq!(ended.code, *code, "{words:?}: {ended:?}");
        if *code == 0 {
            document(&ended);
        } else if !["call", "test"].contains(command) {
            failure(&ended);
        } else {
            // What a tool yielded stands beside the error.
            assert!(document(&ended)["error"]["code"].is_string(), "{words:?}: {ended:?}");
        }
    }
}

/// The words of a command with its own; those of a command in a command begin with what they are about.
fn spoken(command: &str, words: &[&str]) -> Vec<String> {
    let mut all = vec!["plugin".to_owned()];
    match (command.split_once(' '), words) {
        (Some(("deliveries" | "events", inner)), [id, rest @ ..]) => {
            let outer = command.split(' ').next().unwrap_or_default();
            all.extend([outer, id, inner].map(str::to_owned));
            all.extend(rest.iter().map(|word| (*word).to_owned()));
        }
        _ => {
            all.extend(command.split(' ').map(str::to_owned));
            all.extend(words.iter().map(|word| (*word).to_owned()));
        }
    }
    all.push("--json".to_owned());
    all
}

#[test]
fn words_that_no_command_has_and_a_host_that_is_not_there_are_documents_too() {
    let home = tempfile::tempdir().unwrap();
    for command in commands() {
        let mut words = vec!["plugin".to_owned()];
        words.extend(command.split(' ').map(str::to_owned));
        let wrong = run(berth(home.path()).args(&words).args(["--json", "--no-such-flag"]));
        assert_eq!((failure(&wrong)["code"].clone(), wrong.code), ("usage".into(), 2), "{command}");
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}");
    std::fs::write(home.path().join("plugin.toml"), "").unwrap();
    for words in [
        &["list"][..],
        &["show", "clock"],
        &["call", "clock_now"],
        &["grant", "files", "files", "--folder", "."],
        &["install", "."],
        &["remove", "clock"],
        &["dev", "."],
    ] {
        let mut command = berth(home.path());
        command.arg("plugin").args(words).args(["--json", "--url", &nobody]);
        let alone = run(&mut command);
        assert_eq!((failure(&alone)["code"].clone(), alone.code), ("not_connected".into(), 3), "{words:?}");
    }
}

#[test]
fn every_command_shows_examples_of_itself_and_has_a_page_of_the_manual_with_them() {
    let home = tempfile::tempdir().unwrap();
    run(berth(home.path()).args(["man", "pages"])).ok();
    for command in commands() {
        let mut words = vec!["plugin"];
        words.extend(command.split(' '));
        let help = run(berth(home.path()).args(&words).arg("--help")).ok();
        let other = run(berth(home.path()).arg("help").args(&words)).ok();
        let page = home.path().join(format!("pages/berth-plugin-{}.1", command.replace(' ', "-")));
        let page = std::fs::read_to_string(page).unwrap();

        let (_, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("{command}: {help}"));
        let begin = format!("  berth plugin {}", words[1]);
        assert!(examples.starts_with(&begin), "{command}: {examples}");
        assert!(help.contains("--json"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
        assert_eq!(help, other);
        assert!(page.contains("Examples:"), "{page}");
    }
    for (command, flags) in [
        ("install", &["yes", "digest", "locked", "lock"][..]),
        ("upgrade", &["yes", "accept", "digest", "decline"]),
        ("remove", &["yes", "purge"]),
        ("dev", &["yes"]),
    ] {
        let page = home.path().join(format!("pages/berth-plugin-{command}.1"));
        let page = std::fs::read_to_string(page).unwrap();
        for flag in flags {
            assert!(page.contains(&format!("\\-\\-{flag}")), "{command} {flag}: {page}");
        }
        for shell in ["bash", "zsh", "fish"] {
            let script = run(berth(home.path()).args(["completions", shell])).ok();
            assert!(flags.iter().all(|flag| script.contains(flag)), "{command} in {shell}");
        }
    }
}
