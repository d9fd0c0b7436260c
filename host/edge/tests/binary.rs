//! The program itself, at a real hub.

#![allow(clippy::unwrap_used)]

#[path = "../../hub/tests/stories/support.rs"]
#[allow(dead_code, reason = "the hub's own stories need more of it")]
mod support;

#[path = "../../provider/tests/support/program.rs"]
mod program;

use std::os::unix::fs::symlink;

use program::{Running, ended, file, program};
use serde_json::{Value, json};
use support::{Berth, TOKEN};
use tokio::process::Command;

const ENDPOINT: &str = "edge.lab1.executor";

fn berth_edge(arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_berth-edge"), arguments)
}

async fn answer(berth: &Berth, tool: &str, arguments: Value) -> Value {
    berth.call(tool, Some(ENDPOINT), arguments).await.unwrap().unwrap().outcome.unwrap().content
}

async fn refusal(berth: &Berth, tool: &str, arguments: Value) -> String {
    berth.call(tool, Some(ENDPOINT), arguments).await.unwrap().unwrap().outcome.unwrap_err().code
}

#[tokio::test]
async fn an_edge_serves_its_folders_and_nothing_else_until_sigterm() {
    let berth = Berth::start().await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "hello").unwrap();
    symlink("/etc/hostname", dir.path().join("out")).unwrap();
    let (_token, token) = file(TOKEN);
    let core = format!("ws://{}/", berth.address);
    let root = format!("notes={}:rw", dir.path().display());
    let flags = ["--core", &core, "--token-file", &token, "--endpoint-id", "lab1", "--workspace", "home-lab"];
    let mut edge = Running::start(berth_edge(&[&flags[..], &["--root", &root]].concat()));
    edge.says("core has the tools tools=6").await;

    let echo = answer(&berth, "utility.echo", json!({ "text": "hi" })).await;
    let read = answer(&berth, "file.read", json!({ "path": "notes/a.txt" })).await;
    let wrote = answer(&berth, "file.write", json!({ "path": "notes/b.txt", "content": "new" })).await;
    let listed = answer(&berth, "file.list", json!({ "path": "notes" })).await;
    let linked = refusal(&berth, "file.read", json!({ "path": "notes/out" })).await;
    let absolute = refusal(&berth, "file.read", json!({ "path": "/etc/hostname" })).await;
    let (code, log) = edge.stops().await;

    assert_eq!((&echo["echo"], &read["content"]), (&json!("hi"), &json!("hello")));
    assert_eq!(wrote["bytes_written"], 3);
    assert_eq!(std::fs::read_to_string(dir.path().join("b.txt")).unwrap(), "new");
    assert_eq!(listed["entries"].as_array().unwrap().len(), 3);
    assert_eq!((linked.as_str(), absolute.as_str()), ("path_not_allowed", "path_not_allowed"));
    assert_eq!(code, 0, "{log}");
    assert!(!berth.is_connected(ENDPOINT));
}

#[tokio::test]
async fn a_wrong_token_ends_with_3_and_is_in_no_log() {
    let berth = Berth::start().await;
    let core = format!("http://{}", berth.address);
    let mut command = berth_edge(&["--core", &core, "--endpoint-id", "lab1", "--log-level", "trace"]);
    command.env("BERTH_ACCESS_TOKEN", "battery-staple");

    let (code, log) = ended(command).await;

    assert_eq!(code, 3, "{log}");
    assert!(log.contains("core refuses the access token") && !log.contains("battery"), "{log}");
}

#[tokio::test]
async fn a_check_tells_what_is_wrong_without_serving() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (core, root) = (format!("http://{nobody}"), format!("notes={}:rw", dir.path().display()));
    let mut command = berth_edge(&["--check", "--endpoint-id", "lab1", "--core", &core, "--root", &root]);

    let output = command.env("BERTH_ACCESS_TOKEN", TOKEN).output().await.unwrap();

    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("PASS  root      notes: ") && told.contains("can be read and written"), "{told}");
    assert!(told.contains("FAIL  core      ws://") && told.contains("Connection refused"), "{told}");
}

#[tokio::test]
async fn what_it_cannot_be_told_ends_with_2_and_says_what() {
    let (_dir, typo) = file("url = \"http://127.0.0.1:1\"\n[limits]\nmax_reed_bytes = 1\n");
    let (_dir2, unknown) = file("tools = [\"file.reed\"]");
    let (_dir3, token) = file(TOKEN);
    for (arguments, says) in [
        (&["--config", &typo][..], &["line 3", "max_reed_bytes"][..]),
        (&["--config", &unknown, "--token-file", &token], &["`file.reed`", "utility.echo"]),
        (&["--endpoint-id", "lab1"], &["--token-file", "BERTH_ACCESS_TOKEN"]),
        (&["--token-file", &token, "--root", "docs=/no/such/folder"], &["`docs`", "/no/such/folder"]),
        (&["--token-file", &token, "--endpoint-id", "a b"], &["`a b`"]),
        (&["--root", "docs"], &["NAME=PATH"]),
    ] {
        let (code, log) = ended(berth_edge(arguments)).await;

        assert_eq!(code, 2, "{log}");
        assert!(says.iter().all(|word| log.contains(word)), "{says:?}: {log}");
    }
}
