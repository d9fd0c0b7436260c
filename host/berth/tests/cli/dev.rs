//! `berth plugin dev`: somebody writes while the host runs.

use rustix::process::Signal;

use crate::languages::Author;
use crate::support::{Process, run};

fn greet(author: &Author) -> String {
    author.berth(&["plugin", "call", "lively_greet", r#"{"name": "Ada"}"#]).ok().trim().to_owned()
}

#[test]
fn what_is_edited_is_built_and_answers_and_what_is_broken_leaves_the_version_before() {
    let author = Author::new();
    author.begin("lively", "c");
    let words = author.folder.join("lively/src/words.c");
    let first = std::fs::read_to_string(&words).unwrap();
    let installed = |times: usize| move |said: &str| said.matches("installed lively").count() >= times;

    let dev = Process::spawn(&mut author.command(&["plugin", "dev", "lively"]));
    dev.wait_until(installed(1));
    assert_eq!(greet(&author), "\"Hello, Ada!\"");

    let second = first.replace("\"Hello, %s!\"", "\"Good day, %s!\"");
    let second = second
        .replace("sizeof \"Hello, !\";", "sizeof \"Good day, !\";\n    fputs(\"greeting\\n\", stderr);");
    std::fs::write(&words, &second).unwrap();
    dev.wait_until(installed(2));
    assert_eq!(greet(&author), "\"Good day, Ada!\"");
    dev.wait_for("greeting");

    std::fs::write(&words, "no C at all").unwrap();
    dev.wait_for_error("what is installed goes on");
    assert_eq!(greet(&author), "\"Good day, Ada!\"");

    std::fs::write(&words, &first).unwrap();
    dev.wait_until(installed(3));
    assert_eq!(greet(&author), "\"Hello, Ada!\"");

    dev.signal(Signal::INT);
    let ended = dev.finish();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert_eq!(greet(&author), "\"Hello, Ada!\"");
}

#[test]
fn without_a_host_nothing_is_built() {
    let mut author = Author::new();
    author.begin("lonely", "c");
    author.host.stop();

    let refused = run(&mut author.command(&["plugin", "dev", "lonely"])).failed(3);

    assert!(refused.contains("no host answers"), "{refused}");
    assert!(!author.folder.join("lonely/lonely.wasm").exists());
}
