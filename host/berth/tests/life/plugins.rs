//! The plugins that come with berth, as an owner meets them: each answers within its narrow default, and says outside of
//! it what to grant.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;

use crate::support::{Host, Options};

/// A server on loopback that answers every request with the same page.
fn site(page: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut text = Vec::new();
            let mut piece = [0; 1024];
            while !text.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(read) if read > 0 => text.extend_from_slice(&piece[..read]),
                    _ => break,
                }
            }
            let robots = text.starts_with(b"GET /robots.txt");
            let (status, body) = if robots { ("404 Not Found", "") } else { ("200 OK", page) };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            // A client that went away does not want its answer.
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    origin
}

/// What the scripted model hears of the call of a tool.
fn call(host: &Host, tool: &str, arguments: &serde_json::Value) -> String {
    host.cli(&["send", &format!("/call {tool} {arguments}")]).ok()
}

/// Checks that `said` is a denial that names the command with which the operator can allow it.
fn is_denied(said: &str, tool: &str, command: &str) {
    assert!(said.starts_with(&format!("{tool} failed: ")), "{said}");
    assert!(said.contains("denied") || said.contains("PERMISSION_DENIED"), "{said}");
    assert!(said.contains(command), "{said}");
}

#[test]
fn calc_and_echo_answer_without_a_grant() {
    let host = Host::start(Options::bundled());

    let sum = call(&host, "calc_evaluate", &json!({ "expression": "0.1 + 0.2" }));
    let said = call(&host, "echo_reverse", &json!({ "text": "berth" }));
    let lost = call(&host, "calc_evaluate", &json!({ "expression": "1 / 0" }));

    assert_eq!(sum, "calc_evaluate: {\"value\":\"0.3\",\"exact\":true}\n");
    assert_eq!(said, "echo_reverse: {\"text\":\"htreb\"}\n");
    assert!(lost.starts_with("calc_evaluate failed: {\"code\":\"divided_by_zero\""), "{lost}");
}

#[test]
fn clock_tells_the_time_without_a_grant() {
    let host = Host::start(Options::bundled());

    let noon = call(&host, "clock_parse", &json!({ "text": "friday noon", "base": "2026-04-29" }));

    assert!(noon.starts_with("clock_parse: {\"utc\":\"2026-05-01T12:00:00Z\""), "{noon}");
}

#[test]
fn notes_are_kept_in_the_bucket_that_they_come_with_and_gone_with_their_grant() {
    let host = Host::start(Options::bundled());

    let added = call(&host, "notes_add", &json!({ "text": "Bread is out", "tags": ["shopping"] }));
    let found = call(&host, "notes_search", &json!({ "words": "bread" }));
    let id = host.cli(&["plugin", "show", "notes", "--json"]).json()["grants"][0]["grant_id"].clone();
    host.cli(&["plugin", "revoke", id.as_str().unwrap()]).ok();
    let denied = call(&host, "notes_list", &json!({}));

    assert!(added.starts_with("notes_add: {\"id\":\"1\""), "{added}");
    assert!(found.contains("Bread is out"), "{found}");
    is_denied(&denied, "notes_list", "berth plugin grant notes keyvalue --scope");
}

#[test]
fn files_move_and_compare_in_their_folder_and_reach_no_other() {
    let host = Host::start(Options::bundled());
    std::fs::write(host.data().join("files/a.txt"), "one\ntwo\n").unwrap();

    let moved = call(&host, "files_move", &json!({ "source": "a.txt", "target": "b.txt" }));
    let tree = call(&host, "files_tree", &json!({}));
    let diff = call(&host, "files_diff", &json!({ "path": "b.txt", "text": "one\n2\n" }));
    let denied = call(&host, "files_move", &json!({ "source": "b.txt", "target": "../b.txt" }));

    assert!(moved.starts_with("files_move: {\"source\":\"/a.txt\""), "{moved}");
    assert!(tree.contains("b.txt  8"), "{tree}");
    assert!(diff.contains("-two") && diff.contains("+2"), "{diff}");
    is_denied(&denied, "files_move", "berth plugin grant files files --scope");
    assert!(host.data().join("files/b.txt").exists());
}

#[test]
fn web_reads_a_page_of_a_host_once_it_is_granted() {
    let host = Host::start(Options::bundled());
    let origin = site("<title>T</title><h1>Hello</h1><p>there");
    let read = json!({ "url": format!("{origin}/page") });

    let denied = call(&host, "web_read", &read);
    let scope = json!({ "hosts": [origin], "methods": ["GET"] }).to_string();
    host.cli(&["plugin", "grant", "web", "http", "--scope", &scope, "--reason", "a page of mine"]).ok();
    let page = call(&host, "web_read", &read);

    is_denied(&denied, "web_read", "berth plugin grant web http --scope");
    assert!(page.starts_with("web_read: {"), "{page}");
    assert!(page.contains("\"text\":\"# Hello\\n\\nthere\""), "{page}");
}

#[test]
fn http_calls_a_service_once_it_is_granted() {
    let host = Host::start(Options::bundled());
    let origin = site("{\"stars\": 3}");
    let read = json!({ "url": format!("{origin}/api") });

    let denied = call(&host, "http_read", &read);
    let scope = json!({ "hosts": [origin], "methods": ["GET"] }).to_string();
    host.cli(&["plugin", "grant", "http", "http", "--scope", &scope]).ok();
    let answer = call(&host, "http_read", &read);
    let send = json!({ "method": "delete", "url": format!("{origin}/api") });
    let beside = call(&host, "http_send", &send);

    is_denied(&denied, "http_read", "berth plugin grant http http --scope");
    assert!(answer.contains("\"status\":200") && answer.contains("stars"), "{answer}");
    is_denied(&beside, "http_send", "berth plugin grant http http --scope");
}

#[test]
fn shell_runs_what_only_reads_and_nothing_gets_past_the_policy() {
    let host = Host::start(Options::bundled());
    std::fs::write(host.data().join("files/note.txt"), "x").unwrap();
    let run = |program: &str, argv: &[&str], folder: Option<&str>| {
        call(&host, "shell_run", &json!({ "program": program, "argv": argv, "folder": folder }))
    };

    let kernel = run("uname", &["-s"], None);
    assert!(kernel.starts_with("shell_run: {\"exit\":0,\"stdout\":\"Linux\\n\""), "{kernel}");
    assert!(run("ls", &[], Some("/files")).contains("note.txt"));

    let target = host.data().join("files/stolen");
    let output = format!("--output={}", target.display());
    for argv in [
        &["log", &output][..],
        &["log", "--outp", "x"],
        &["log", "-n", "1\nrm"],
        &["log", "--", "--output=x"],
        &["-c", "core.pager=id", "log"],
        &["diff", "--no-index", "/etc/passwd", "/dev/null"],
        &["log", "--format=%x", "--exec=id"],
        &["grep", "--open-files-in-pager=id"],
        &["status;id"],
    ] {
        let said = run("git", argv, Some("/files"));
        assert!(said.contains("\"code\":\"COMMAND_REFUSED\""), "{argv:?}: {said}");
    }
    for argv in [&["$(id)"][..], &["../../etc"], &["-la;id"], &["/etc"], &["--color=x\n-R"]] {
        let said = run("ls", argv, Some("/files"));
        let held = said.contains("COMMAND_REFUSED") || said.contains("cannot access");
        assert!(held && !said.contains("uid="), "{argv:?}: {said}");
    }
    assert!(!target.exists());

    let line = run("git log; id", &[], None);
    assert!(line.contains("no shell reads it") || line.contains("no id of a program"), "{line}");
    is_denied(
        &run("curl", &["-o", "x", "https://a.example"], None),
        "shell_run",
        "berth plugin grant shell process",
    );
}
