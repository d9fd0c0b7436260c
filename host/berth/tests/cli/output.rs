//! What goes where: data on standard output, the rest on standard error.

use std::process::Stdio;

use crate::support::{Host, Options, berth, run};

#[test]
fn every_list_is_one_json_value_or_a_plain_table() {
    let host = Host::start(Options::bundled());
    host.cli(&["send", "/say x"]).ok();

    for words in [
        &["threads"][..],
        &["runs"],
        &["approvals"],
        &["endpoints"],
        &["plugin", "list"],
        &["plugin", "show", "files"],
        &["plugin", "logs", "files"],
        &["config"],
        &["token"],
        &["doctor"],
    ] {
        let json = host.cli(&[words, &["--json"]].concat()).json();
        assert!(json.is_array() || json.is_object(), "{words:?}");
        let text = host.cli(words).ok();
        assert!(!text.contains('\x1b'), "{words:?} colours a pipe: {text}");
    }
}

#[test]
fn a_host_without_a_terminal_logs_without_colours() {
    let mut host = Host::start(Options::bundled());

    let ended = host.stop();

    assert!(ended.err.contains("stopped") && !ended.err.contains('\x1b'), "{}", ended.err);
}

#[test]
fn logs_are_json_when_they_are_asked_to_be() {
    let mut host = Host::start(Options::bundled().arg("--log-format").arg("json"));

    let ended = host.stop();

    assert!(ended.err.lines().count() > 1);
    for line in ended.err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let host = Host::start(Options::default());
    host.cli(&["send", "/say x"]).ok();

    for words in [&["runs"][..], &["runs", "--json"], &["--help"], &["token"]] {
        let mut command = host.command(words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();

        assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0), "{words:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_a_failure() {
    let host = Host::start(Options::default());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();

    let ended = host.command(&["token"]).stdout(full).output().unwrap();

    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stderr).unwrap().contains("cannot be written"));
}

#[test]
fn every_command_has_help_with_examples() {
    let home = tempfile::tempdir().unwrap();
    let commands = [
        "serve",
        "chat",
        "send",
        "threads",
        "runs",
        "approvals",
        "endpoints",
        "plugin",
        "plugin grant",
        "plugin call",
        "config",
        "token",
        "migrate",
        "doctor",
    ];

    for command in commands {
        let mut words: Vec<_> = command.split(' ').collect();
        words.push("--help");
        let help = run(berth(home.path()).args(&words)).ok();
        assert!(help.contains("Examples:") && help.contains("Options of every command:"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{help}");
    }
    let all = run(berth(home.path()).arg("--help")).ok();
    assert!(all.contains("Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 not connected"), "{all}");
    assert!(run(berth(home.path()).arg("--version")).ok().starts_with("berth "));
}

#[test]
fn completions_and_pages_of_the_manual_know_every_command() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(berth(home.path()).args(["completions", shell])).ok();
        let told = run(berth(home.path()).args(["completions", shell, "--json"])).json();

        for word in ["plugin", "rollback", "expires", "no-such-command"] {
            assert_eq!(script.contains(word), word != "no-such-command", "{shell}: {word}");
        }
        assert_eq!(told["script"], script);
    }
    let none = run(berth(home.path()).args(["completions", "tcsh"]));
    assert_eq!(none.code, 2, "{}", none.err);

    let told = run(berth(home.path()).args(["man", "pages", "--json"])).json();
    let page = std::fs::read_to_string(home.path().join("pages/berth-plugin-grant.1")).unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    let blocked = run(berth(home.path()).args(["man", "file"]));

    assert!(page.contains("\\-\\-scope"), "{page}");
    assert!(told["pages"].as_array().unwrap().len() > 60, "{told}");
    assert_eq!(blocked.code, 1);
    assert!(blocked.err.contains("file cannot be written"), "{}", blocked.err);
}
