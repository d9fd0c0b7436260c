//! A channel on a real host that is killed in between.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Host, Options, fixture};

/// Crashes of one host.
const ROUNDS: usize = 6;
/// Longer than anything takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

const MANIFEST: &str = r#"
[plugin]
id = "channel"
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

/// Installs the channel of the stories, which asks for what `manifest` says.
pub(super) fn install(host: &Host, manifest: &str) {
    let folder = host.scratch().join("channel");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("plugin.toml"), manifest).unwrap();
    std::fs::copy(fixture("channel"), folder.join("channel.wasm")).unwrap();
    host.cli(&["plugin", "install", folder.to_str().unwrap()]).ok();
}

fn installed() -> Host {
    let host = Host::start(Options::default());
    install(&host, MANIFEST);
    host.cli(&["plugin", "grant", "channel", "channel", "--scope", "{}"]).ok();
    host
}

/// Asks until there is what a story waits for.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::yield_now();
    }
}

/// The path of the web address, once the channel is at work.
fn path(host: &Host) -> String {
    until("the channel is at work", || {
        let (status, view) = host.request("GET", "/operator/plugins/channel/channel", None);
        let hooks = view["hooks"].as_array().filter(|_| status == 200)?;
        let hook = hooks.iter().find(|hook| hook["name"] == "in")?;
        Some(hook["path"].as_str()?.to_owned())
    })
}

fn message(number: usize) -> Value {
    json!({ "id": format!("m{number}"), "from": "ada", "text": format!("/say number {number}") })
}

/// Texts of the channel's thread by role.
pub(super) fn said(host: &Host, role: &str) -> Vec<String> {
    let (_, threads) = host.request("GET", "/runtime/threads", None);
    let mut texts = Vec::new();
    for thread in threads["threads"].as_array().or(threads.as_array()).into_iter().flatten() {
        let id = thread["thread_id"].as_str().unwrap();
        let (_, messages) = host.request("GET", &format!("/runtime/threads/{id}/messages"), None);
        let messages = messages["messages"].as_array().or(messages.as_array()).cloned().unwrap_or_default();
        let of_role = messages.iter().filter(|message| message["role"] == role);
        texts.extend(of_role.map(|message| message["content"].as_str().unwrap().to_owned()));
    }
    texts
}

#[test]
fn kill_9_between_store_and_answer_loses_no_message_of_a_channel_and_doubles_none() {
    let mut host = installed();
    let address = path(&host);

    for round in 0..ROUNDS {
        if round % 2 == 0 {
            let (status, _) = host.request("POST", &address, Some(&message(round)));
            assert_eq!(status, 200);
        } else {
            // Nobody waits for the answer: the message may be half stored when the host dies.
            let (url, body) = (format!("{}{address}", host.url()), message(round));
            let sent = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let _broken = runtime.block_on(reqwest::Client::new().post(url).json(&body).send());
            });
            std::thread::yield_now();
            host.kill9();
            sent.join().unwrap();
            host.restart();
            assert_eq!(path(&host), address);
            // The provider had no answer, so it comes again.
            let (status, _) = host.request("POST", &address, Some(&message(round)));
            assert_eq!(status, 200);
        }
        if round % 2 == 0 {
            host.kill9();
            host.restart();
        }
    }

    let mut replies = until("every message is answered", || {
        let replies = said(&host, "assistant");
        (replies.len() >= ROUNDS).then_some(replies)
    });
    replies.sort();
    let mut asked = said(&host, "user");
    asked.sort();
    let numbers: Vec<_> = (0..ROUNDS).map(|number| format!("/say number {number}")).collect();
    assert_eq!(asked, numbers);
    assert_eq!(replies.len(), ROUNDS, "{replies:?}");
    let (_, events) = host.request("GET", "/operator/plugins/channel/events", None);
    assert_eq!(events, json!([]));
}

#[test]
fn a_web_address_needs_its_path_alone_and_is_nothing_to_who_lacks_a_part_of_it() {
    let host = installed();
    let address = path(&host);
    let ask = |method: &str, path: &str, body: Vec<u8>| {
        let request =
            reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", host.url()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = request.body(body).send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            (status, headers, answer.text().await.unwrap())
        })
    };

    let (status, headers, body) = ask("GET", &format!("{address}?challenge=7"), Vec::new());
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/json"));
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["content-security-policy"], "default-src 'none'; sandbox");
    assert!(body.contains("challenge=7"), "{body}");
    let (status, headers, _) =
        ask("POST", &address, br#"{"do":"answer","type":"text/html","status":418}"#.to_vec());
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (418, "application/octet-stream"));
    assert!(!headers.contains_key("set-cookie"));

    let (short, _) = address.rsplit_once('/').unwrap();
    let mut bodies = Vec::new();
    for path in
        [short, &format!("{short}/guess"), "/channels/other/in/guess", "/channels/channel/ghost/guess"]
    {
        let (status, _, body) = ask("POST", path, b"{}".to_vec());
        assert_eq!(status, 404, "{path}");
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body["error"]["occurred_at"].take();
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    let (status, ..) = ask("POST", &address, vec![b'x'; (1 << 20) + 1]);
    assert_eq!(status, 413);
}

#[test]
fn parked_events_are_listed_handed_over_again_and_forgotten_on_the_command_line() {
    let host = installed();
    let address = path(&host);
    let (status, _) = host.request("POST", &address, Some(&json!({ "do": "trap" })));
    assert_eq!(status, 202);

    let events = host.cli(&["plugin", "events", "channel", "--json"]).json();
    assert_eq!((&events[0]["kind"], &events[0]["status"]), (&json!("webhook"), &json!("parked")));
    let id = events[0]["event_id"].as_str().unwrap();
    assert!(host.cli(&["plugin", "events", "channel"]).ok().contains(id));
    assert!(host.cli(&["plugin", "channel", "channel"]).ok().contains(&address));
    host.cli(&["plugin", "events", "channel", "drop", id]).ok();
    assert_eq!(host.cli(&["plugin", "events", "channel", "--json"]).json(), json!([]));
    assert!(host.cli(&["plugin", "events", "channel", "retry", id]).failed(1).contains("no event"));
}

#[test]
fn what_a_channel_has_sent_is_looked_at_and_changed_on_the_command_line() {
    let host = installed();
    let address = path(&host);
    let (status, _) = host.request("POST", &address, Some(&message(7)));
    assert_eq!(status, 200);
    let sent = until("the answer is sent", || {
        let all = host.cli(&["plugin", "deliveries", "channel", "--json"]).json();
        all.as_array()?.iter().find(|one| one["status"] == "delivered").cloned()
    });
    assert_eq!((&sent["kind"], &sent["parts"][0]["text"]), (&json!("message"), &json!("number 7")));
    let id = sent["delivery_id"].as_str().unwrap();
    assert_eq!(sent["parts"][0]["reference"], format!("{id}/0"));

    host.cli(&["plugin", "deliveries", "channel", "edit", id, "number 8"]).ok();
    host.cli(&["plugin", "deliveries", "channel", "react", id, "👍", "--remove"]).ok();
    host.cli(&["plugin", "deliveries", "channel", "retract", id]).ok();

    for wanted in ["edited ada 0 number 8", "reacted ada 0 👍 false", "retracted ada 0"] {
        until(wanted, || host.cli(&["plugin", "logs", "channel"]).ok().contains(wanted).then_some(()));
    }
    assert!(host.cli(&["plugin", "deliveries", "channel"]).ok().contains("message_edit"));
    let refused = host.cli(&["plugin", "deliveries", "channel", "retract", id, "--part", "9"]);
    assert!(refused.failed(1).contains(id));
    let (status, _) = host.request(
        "POST",
        &format!("/operator/plugins/channel/deliveries/{id}/edit"),
        Some(&json!({ "text": " " })),
    );
    assert_eq!(status, 422);
    assert!(host.cli(&["plugin", "doctor", "channel"]).ok().contains("channel is well"));
    assert!(host.cli(&["plugin", "doctor", "ghost"]).failed(1).contains("ghost"));
}
