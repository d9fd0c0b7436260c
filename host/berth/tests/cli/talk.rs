//! `berth send` and `berth chat`.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Host, Options};

#[test]
fn send_prints_the_answer_and_nothing_else() {
    let host = Host::start(Options::default());

    let sent = host.cli(&["send", "/say hello there"]);

    assert_eq!((sent.code, sent.out.as_str(), sent.err.as_str()), (0, "hello there\n", ""));
}

#[test]
fn a_dash_reads_the_text_from_standard_input() {
    let host = Host::start(Options::default());

    let sent = host.cli_with_input(&["send", "-"], "/say one\n/say two\n").ok();
    let chatted = host.cli_with_input(&["chat", "-"], "/say three\n").ok();

    assert_eq!((sent.as_str(), chatted.as_str()), ("one\ntwo\n", "three\n"));
}

#[test]
fn a_message_that_is_sent_twice_under_one_key_is_answered_once() {
    let host = Host::start(Options::default());

    let first = host.cli(&["send", "--key", "k1", "--json", "/say once"]).json();
    let second = host.cli(&["send", "--key", "k1", "--json", "/say once"]).json();
    let other = host.cli(&["send", "--key", "k1", "/say twice"]);

    assert_eq!(first, second);
    assert_eq!(first["message"]["content"], "once");
    assert_eq!(host.cli(&["runs", "--json"]).json().as_array().unwrap().len(), 1);
    assert!(other.failed(1).contains("another message"));
}

#[test]
fn send_without_waiting_names_the_run() {
    let host = Host::start(Options::default());

    let run = host.cli(&["send", "--no-wait", "/say later"]).ok();

    let events = host.cli(&["runs", "follow", "--json", run.trim()]).lines();
    assert_eq!(events.last().unwrap()["type"], "run.completed");
}

#[test]
fn a_message_goes_to_the_thread_that_is_named() {
    let host = Host::start(Options::default());
    let (_, thread) = host.request("POST", "/runtime/threads", Some(&json!({ "title": "Other" })));
    let id = thread["thread_id"].as_str().unwrap();

    host.cli(&["send", "--thread", id, "/say here"]).ok();

    let shown = host.cli(&["threads", "show", id]).ok();
    assert!(shown.contains("user\n/say here\n") && shown.ends_with("assistant\nhere\n"), "{shown}");
    let unknown = host.cli(&["send", "--thread", "thr_1", "x"]).failed(1);
    assert!(unknown.contains("thr_1"), "{unknown}");
}

#[test]
fn a_chat_from_a_pipe_answers_line_by_line_without_prompts() {
    let host = Host::start(Options::bundled());
    let mut chat = host.spawn(&["chat"]);

    chat.write("/slow 1 /say one two three\n\n");
    chat.wait_for("one two three\n");
    chat.write("/call echo_say {\"text\": \"héllo\"}\n");
    chat.wait_for("echo_say: {\"text\":\"héllo\"}\n");
    let ended = chat.finish();

    assert_eq!(ended.out, "one two three\necho_say: {\"text\":\"héllo\"}\n");
    assert_eq!((ended.code, ended.err.as_str()), (0, "[echo_say]\n"));
}

#[test]
fn a_chat_in_json_is_a_line_per_event() {
    let host = Host::start(Options::default());

    let events = host.cli_with_input(&["chat", "--json"], "/say one two\n").lines();

    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.last(), Some(&"run.completed"));
    let said: String = events.iter().filter_map(|event| event["payload"]["delta"].as_str()).collect();
    assert_eq!(said, "one two", "{kinds:?}");
}

#[test]
fn an_interrupt_stops_the_run_and_keeps_what_was_said() {
    let host = Host::start(Options::default());
    let chat = host.spawn(&["chat", "--json", "/slow 60000 /say never"]);
    chat.wait_for("model.started");

    chat.signal(Signal::INT);
    let ended = chat.finish();

    assert_eq!(ended.code, 1, "{}", ended.err);
    let last: Value = serde_json::from_str(ended.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["type"], "run.cancelled");
    let runs = host.cli(&["runs", "--json"]).json();
    assert_eq!(runs[0]["status"], "cancelled");
}

#[test]
fn a_chat_goes_on_after_an_interrupted_answer() {
    let host = Host::start(Options::default());
    let mut chat = host.spawn(&["chat", "--json"]);
    chat.write("/slow 60000 /say never\n");
    chat.wait_for("model.started");

    chat.signal(Signal::INT);
    chat.wait_for("run.cancelled");
    chat.write("/say again\n");
    chat.wait_for("run.completed");
    let ended = chat.finish();

    assert_eq!(ended.code, 1, "one run was not completed");
}

#[test]
fn a_run_that_fails_fails_the_command() {
    let config = "[runs]\nmax_rounds = 1\n".to_owned();
    let host = Host::start(Options { config, ..Options::bundled() });

    let sent = host.cli(&["send", "/call echo_say {\"text\": \"x\"}"]);
    let json = host.cli(&["send", "--json", "/call echo_say {\"text\": \"x\"}"]);

    assert_eq!((sent.code, sent.out.as_str()), (1, ""));
    assert!(sent.err.starts_with("error: run_"), "{}", sent.err);
    assert_eq!(json.code, 1);
    let answer: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((answer["status"].as_str(), json.err.as_str()), (Some("failed"), ""));
}

#[test]
fn a_message_that_is_too_long_or_empty_is_refused_with_its_limit() {
    let host = Host::start(Options::default());

    let long = host.cli_with_input(&["send", "-"], &"a".repeat(600 << 10));
    let huge = host.cli_with_input(&["send", "-"], &"a".repeat(5 << 20));
    let empty = host.cli(&["send", ""]);

    assert!(long.failed(1).contains("512 KiB"));
    assert!(huge.failed(1).contains("4194304 bytes"));
    assert!(empty.failed(1).contains("empty"));
}
