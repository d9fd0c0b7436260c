//! Channels: switched on, called, told, made to send.

use std::path::Path;

use berth_kit::{Options, test};

use crate::support::fixture;

const MANIFEST: &str = r#"
[plugin]
id = "talk"
version = "0.1.0"
kind = "channel"
[component]
file = "channel.wasm"
[[capability]]
name = "channel"
reason = "it is one"
[[capability]]
name = "websocket"
required = false
reason = "its feed"
scope = { hosts = ["wss://chat.example"] }
[[capability]]
name = "endpoint"
required = false
reason = "to be held up"
[[capability]]
name = "approval"
required = false
reason = "to ask the owner"
"#;

async fn told(stories: &str) -> berth_kit::Report {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir_all(folder.path().join("tests")).unwrap();
    write("plugin.toml", MANIFEST);
    write("tests/talk.toml", stories);
    std::fs::copy(fixture("channel"), Path::new(folder.path()).join("channel.wasm")).unwrap();
    test(folder.path(), &Options::default(), |_| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_told_stories_too() {
    let report = told(
        r#"
[[case]]
name = "a message comes in by its web address"
[[case.step]]
start = true
contains = { hooks = [{ name = "in" }, { name = "second" }], timers = [{ name = "tick", every_ms = 60000 }], sockets = [{ name = "feed" }] }
[[case.step]]
webhook = { hook = "in", body = { json = { id = "m1", from = "ada", text = "hello" } } }
contains = { status = 200 }
inbound = [{ message = "m1", text = "hello", duplicate = false }]
[[case.step]]
webhook = { hook = "in", method = "GET", query = "a=b", headers = { X-Sign = "s", X-Other = "o" } }
contains = { status = 200, body = { query = "a=b", headers = [["x-sign", "s"]] } }

[[case]]
name = "timers and frames become messages, and an echo goes out"
expect = { frames = ["feed echo"] }
[[case.step]]
event = { timer = "tick" }
inbound = [{ text = "timer tick" }]
[[case.step]]
event = { socket_opened = "feed" }
inbound = [{ text = "opened feed" }]
[[case.step]]
event = { socket_text = ["feed", "echo"] }
inbound = [{ text = "frame echo" }]
[[case.step]]
event = { socket_text = ["feed", "refuse"] }
error = "REFUSED"
[[case.step]]
event = { socket_text = ["feed", "poison"] }
error = "PLUGIN_TRAP"
[[case.step]]
event = { socket_text = ["feed", "later"], attempt = 2 }
inbound = [{ text = "frame later" }]

[[case]]
name = "what is to be sent is sent"
[[case.step]]
deliver = { to = "ada", texts = ["hello"] }
contains = [{ tag = "sent" }]
[[case.step]]
stop = "for now"
logs = ["stop for now"]

[[case]]
name = "without a grant nothing comes in"
without = ["channel"]
[[case.step]]
event = { timer = "tick" }
error = "PERMISSION_DENIED"
"#,
    )
    .await;

    let failed = report.cases.iter().filter(|case| !case.passed).map(berth_kit::CaseReport::text);
    assert_eq!(failed.collect::<Vec<_>>().join("\n"), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_channel_did_not_do_is_told() {
    let report = told(
        r#"
[[case]]
name = "another text"
[[case.step]]
event = { timer = "tick" }
inbound = [{ text = "tock" }]
[[case]]
name = "no such address"
[[case.step]]
start = true
[[case.step]]
webhook = { hook = "out" }
[[case]]
name = "no frames"
expect = { frames = ["feed hello"] }
[[case.step]]
start = true
"#,
    )
    .await;

    let told: String = report.cases.iter().map(berth_kit::CaseReport::text).collect();
    for piece in ["handed to Core differs at /0/text", "no web address `out`", "the frames differ"] {
        assert!(told.contains(piece), "{told}\nlacks {piece}");
    }
    assert_eq!(report.failed, 3);
}
