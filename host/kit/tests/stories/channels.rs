//! Channels: switched on, called, told, made to send.

use crate::support::{all_passed, guest};

const MANIFEST: &str = r#"
[plugin]
id = "talk"
version = "0.1.0"
kind = "channel"
[component]
file = "guest.wasm"
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
scope = { tools = ["rpi.door", "rpi.gate", "rpi.polls", "rpi.health", "rpi.pulse"] }
[[capability]]
name = "http"
required = false
reason = "its polls"
[[capability]]
name = "approval"
required = false
reason = "to ask the owner"
"#;

async fn told(stories: &str) -> berth_kit::Report {
    guest("channel", MANIFEST, stories).await
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

    all_passed(&report.cases);
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

/// What the channel polls, and the answers of the server.
const POLLED: &str = r#"
[[case.endpoint]]
tool = "rpi.polls"
times = 9
optional = true
result = [{ name = "updates", url = "https://chat.example/updates?from={{cursor}}", items = "/result", next = "/next", first = "0" }]
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_of_the_host_is_told_of_asked_on_and_wakes_nobody_without_news() {
    let report = told(&format!(
        r#"
[[case]]
name = "an answer with news, one without, and none"
{POLLED}
[[case.http]]
url = "https://chat.example/updates?from=0"
answer = {{ json = {{ result = ["hello"], next = 7 }} }}
[[case.http]]
url = "https://chat.example/updates?from=7"
answer = {{ json = {{ result = [], next = 8 }} }}
[[case.http]]
url = "https://chat.example/updates?from=8"
fault = "timeout-after-accept"
[[case.http]]
url = "https://chat.example/updates?from=8"
status = 503
[[case.http]]
url = "https://chat.example/updates?from=8"
status = 401
times = 2
[[case.http]]
url = "https://chat.example/updates?from=8"
answer = {{ json = {{ result = ["again"], next = 9 }} }}
[[case.step]]
start = true
contains = {{ polls = [{{ name = "updates", method = "GET", timeout_ms = 60000 }}] }}
[[case.step]]
poll = "updates"
result = {{ told = true, status = 200, cursor = "7" }}
inbound = [{{ text = "polled updates 200 after `0`: " }}]
[[case.step]]
advance = "1m"
[[case.step]]
poll = "updates"
result = {{ told = false, status = 200, cursor = "8" }}
inbound = []
most_host_calls = 0
[[case.step]]
poll = "updates"
error = "HTTP_TIMEOUT"
[[case.step]]
poll = "updates"
error = "KIT_POLL_FAILED"
message = "503"
[[case.step]]
poll = "updates"
result = {{ told = true, status = 401, cursor = "8" }}
logs = ["start position="]
[[case.step]]
poll = "updates"
result = {{ told = false, status = 401, cursor = "8" }}
[[case.step]]
poll = "updates"
result = {{ told = true, status = 200, cursor = "9" }}

[[case]]
name = "what the channel cannot take moves the cursor all the same, and comes again by itself"
{POLLED}
[[case.http]]
url = "https://chat.example/updates?from=0"
answer = {{ json = {{ result = ["refuse"], next = 1 }} }}
[[case.http]]
url = "https://chat.example/updates?from=1"
answer = {{ json = {{ result = ["hello"], next = 2 }} }}
[[case.step]]
poll = "updates"
error = "REFUSED"
[[case.step]]
event = {{ again = true }}
error = "REFUSED"
[[case.step]]
poll = "updates"
contains = {{ told = true, cursor = "2" }}

[[case]]
name = "a poll that nobody granted is not sent"
{POLLED}
[[case.grant]]
capability = "http"
scope = {{ hosts = ["https://other.example"] }}
[[case.step]]
poll = "updates"
error = "HTTP_DENIED"
"#
    ))
    .await;

    all_passed(&report.cases);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_instance_begins_with_what_the_one_before_left_and_acknowledged() {
    let report = told(
        r#"
[[case]]
name = "a position and a state"
[[case.endpoint]]
tool = "rpi.polls"
times = 9
optional = true
result = [{ name = "updates", url = "https://chat.example/updates?from={{cursor}}", first = "0" }]
[[case.http]]
url = "https://chat.example/updates?from=0"
answer = "ack p7"
[[case.http]]
url = "https://chat.example/updates?from=p7"
answer = "more"
[[case.step]]
start = true
logs = ["start position= state=0"]
[[case.step]]
poll = "updates"
contains = { cursor = "p7" }
[[case.step]]
advance = "29s"
[[case.step]]
webhook = { hook = "in", body = { json = { do = "asked" } } }
contains = { body = { asked = 2 } }
[[case.step]]
advance = "30s"
[[case.step]]
poll = "updates"
logs = ["start position=p7 state="]
[[case.step]]
webhook = { hook = "in", body = { json = { do = "asked" } } }
contains = { body = { asked = 2 } }

[[case]]
name = "an event that was put off comes again"
[[case.step]]
event = { socket_text = ["feed", "later"] }
error = "LATER"
[[case.step]]
event = { again = true }
inbound = [{ text = "frame later" }]
"#,
    )
    .await;

    all_passed(&report.cases);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_optional_export_is_asked_as_a_host_would() {
    let report = told(
        r#"
[[case]]
name = "what was sent is changed"
[[case.step]]
ask = { edit = { to = "ada", ref = "dlv_1/0", text = "better" } }
logs = ["edited ada 0 better"]
[[case.step]]
ask = { edit = { to = "ada", ref = "dlv_1/0", text = "too late" } }
error = "TOO_OLD"
[[case.step]]
ask = { edit = { to = "ada", ref = "dlv_1/0", text = "not now" } }
error = "BUSY"
[[case.step]]
ask = { retract = { to = "ada", ref = "dlv_1/0" } }
logs = ["retracted ada 0"]
[[case.step]]
ask = { react = { to = "ada", ref = "dlv_1/0", emoji = "👍", add = false } }
logs = ["reacted ada 0 👍 false"]
[[case.step]]
ask = { typing = "ada" }
logs = ["typing ada"]

[[case]]
name = "what became of it, and whom it reaches"
[[case.step]]
ask = { describe = true }
contains = { provider_type = "test", max_text_bytes = 400, address_kinds = ["direct"] }
[[case.step]]
ask = { reachability = "ada" }
result = { tag = "reachable" }
[[case.step]]
ask = { reachability = "gone" }
result = { tag = "unreachable", val = "left" }
[[case.step]]
ask = { reconcile = "dlv_1/0" }
contains = { tag = "sent", val = { ref = "dlv_1/0" } }

[[case]]
name = "without its grant nobody knows"
without = ["endpoint"]
[[case.step]]
ask = { reconcile = "dlv_1/0" }
error = "NOBODY_KNOWS"

[[case]]
name = "how it is, what is new, and what the version before has left"
clock = 2026-05-01T00:00:00Z
[[case.endpoint]]
tool = "rpi.health"
result = {}
[[case.endpoint]]
tool = "rpi.health"
result = { ill = "no route" }
[[case.endpoint]]
tool = "rpi.pulse"
result = {}
[[case.endpoint]]
tool = "rpi.pulse"
result = { notable = "the door is open" }
[[case.step]]
ask = { health = true }
[[case.step]]
ask = { health = true }
error = "PROVIDER_DOWN"
message = "no route"
[[case.step]]
ask = { pulse = 2026-05-01T00:00:00Z }
result = { tag = "quiet" }
[[case.step]]
ask = { pulse = 2026-05-01T00:00:00Z }
result = { tag = "notable", val = "the door is open since 1777593600000" }
[[case.step]]
ask = { upgrade = "0.3.0" }
logs = ["upgrade from 0.3.0 with"]
[[case.step]]
ask = { upgrade = "0.4.0" }
error = "UNREADABLE"
[[case.step]]
ask = { upgrade = "0.5.0" }
error = "PLUGIN_TRAP"
"#,
    )
    .await;

    all_passed(&report.cases);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_not_there_and_a_poll_that_nobody_wished_are_told() {
    let report = told(
        r#"
[[case]]
name = "no such export"
[[case.step]]
ask = { cancel = "call_1" }
[[case]]
name = "no such poll"
[[case.step]]
poll = "news"
[[case]]
name = "nothing to come again"
[[case.step]]
event = { again = true }
"#,
    )
    .await;

    let told: String = report.cases.iter().map(berth_kit::CaseReport::text).collect();
    for piece in
        ["does not export berth:plugin/tool-cancel", "no poll `news`", "no event that could come again"]
    {
        assert!(told.contains(piece), "{told}\nlacks {piece}");
    }
}
