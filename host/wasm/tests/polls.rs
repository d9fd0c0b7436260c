//! The polls of channels: asked by the host, at no cost of an instance.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "support/world.rs"]
mod world;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use world::World;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(120);

/// A server whose answers a story gives, one by one.
struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// A request that waits for its answer.
struct Asked {
    stream: TcpStream,
    /// Request line and headers.
    head: String,
    body: String,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request.
    async fn asked(&self) -> Asked {
        let (mut stream, _) = tokio::time::timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        let mut text = Vec::new();
        let end = loop {
            if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(stream.read_buf(&mut text).await.unwrap() > 0);
        };
        let head = String::from_utf8_lossy(&text[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().unwrap());
        while text.len() < end + length {
            assert!(stream.read_buf(&mut text).await.unwrap() > 0);
        }
        Asked { stream, head, body: String::from_utf8_lossy(&text[end..]).into_owned() }
    }
}

impl Asked {
    fn line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    async fn answer(self, status: &str, headers: &str, body: &str) {
        let mut stream = self.stream;
        let text = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        // Who is asked may have hung up.
        let _gone = stream.write_all(text.as_bytes()).await;
    }

    async fn says(self, body: &str) {
        self.answer("200 OK", "", body).await;
    }

    /// Waits until whoever asked hangs up.
    async fn until_hung_up(mut self) {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await.unwrap().ok();
    }
}

/// A channel with one poll, which begins.
async fn polling(server: &Server, wish: Value) -> World {
    let world = World::start().await;
    let mut poll = json!({ "name": "updates", "url": format!("{}/updates", server.origin()) });
    for (key, value) in wish.as_object().unwrap() {
        poll[key] = value.clone();
    }
    world.endpoint_says("rpi.polls", json!([poll]));
    world.install("channel").await;
    world.grant("channel", "http", json!({ "hosts": [server.origin()] })).await;
    world.grant("channel", "endpoint", json!({ "tools": ["rpi.gate", "rpi.polls"] })).await;
    world.grant("channel", "channel", json!({})).await;
    world
}

/// A long poll as chat services have it: items, and where to go on.
fn long_poll(server: &Server) -> Value {
    let url = format!("{}/updates?offset={{{{cursor}}}}", server.origin());
    json!({ "url": url, "items": "/result", "next": "/next", "first": "0" })
}

fn failures(world: &World) -> (u32, String) {
    let poll = world.view("channel").unwrap().polls.remove(0);
    (poll.failures, poll.error)
}

/// Lets the wait before the next request go by.
async fn next_beat(world: &World) {
    world.until("it waits", async || world.sleeps_within(SECOND)).await;
    world.clock.advance(SECOND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_needs_no_instance_and_an_answer_makes_one_and_moves_the_cursor() {
    let server = Server::start().await;
    let world = polling(&server, long_poll(&server)).await;
    let asked = server.asked().await;
    assert_eq!(asked.line(), "GET /updates?offset=0 HTTP/1.1");
    world.until_asleep_for(Duration::from_secs(20)).await;
    world.clock.advance(Duration::from_secs(20));
    world.until("the instance is gone", async || world.view("channel").unwrap().residents == 0).await;

    asked.answer("200 OK", "x-sign: s1\r\n", r#"{"result":["hello"],"next":7}"#).await;

    world.until_brought_in(r#"polled updates 200 after `0`: {"result":["hello"],"next":7}"#).await;
    let again = server.asked().await;
    assert_eq!(again.line(), "GET /updates?offset=7 HTTP/1.1");
    assert_eq!(failures(&world), (0, String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_news_moves_the_cursor_and_wakes_nobody() {
    let server = Server::start().await;
    let world = polling(&server, long_poll(&server)).await;
    let asked = server.asked().await;
    world.until_asleep_for(Duration::from_secs(20)).await;
    world.clock.advance(Duration::from_secs(20));
    world.until("the instance is gone", async || world.view("channel").unwrap().residents == 0).await;

    asked.says(r#"{"result":[],"next":8}"#).await;

    assert_eq!(server.asked().await.line(), "GET /updates?offset=8 HTTP/1.1");
    assert_eq!(world.view("channel").unwrap().residents, 0);
    assert_eq!(world.brought_in().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_changes_count_the_server_is_told_what_is_known_and_the_same_is_told_once() {
    let server = Server::start().await;
    let world = polling(&server, json!({ "only_changes": true, "every_ms": 5000 })).await;
    let asked = server.asked().await;
    assert!(!asked.head.contains("if-none-match"), "{}", asked.head);
    asked.answer("200 OK", "etag: \"v1\"\r\n", "first").await;
    world.until_brought_in("polled updates 200 after ``: first").await;

    for (status, body) in [("304 Not Modified", ""), ("200 OK", "first"), ("200 OK", "second")] {
        world.until_asleep_for(Duration::from_secs(5)).await;
        world.clock.advance(Duration::from_secs(5));
        let asked = server.asked().await;
        assert!(asked.head.contains("if-none-match: \"v1\""), "{}", asked.head);
        asked.answer(status, "etag: \"v1\"\r\n", body).await;
    }

    world.until_brought_in("polled updates 200 after ``: second").await;
    assert_eq!(world.brought_in().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_is_asked_ever_later_and_an_answer_ends_that() {
    let server = Server::start().await;
    let world = polling(&server, json!({ "timeout_ms": 200 })).await;

    // It hangs up, says nothing, says too much, is broken, and asks for time.
    drop(server.asked().await);
    let mut failed = 0;
    let mut slow = Vec::new();
    for word in ["HTTP_PROTOCOL", "HTTP_TIMEOUT", "HTTP_RESPONSE_TOO_LARGE", "status 500", "status 503"] {
        failed += 1;
        world.until(word, async || failures(&world).0 == failed).await;
        let (_, error) = failures(&world);
        assert!(error.contains(word), "{error}");
        let (least, most) = (2_u64.pow(failed), 2_u64.pow(failed) * 5 / 4 + 1);
        let wait = if word == "status 503" {
            // As long as the server says.
            world.until_asleep_for(SECOND * 90).await;
            90
        } else {
            assert!(!world.sleeps_within(Duration::from_secs(least - 1)), "{word}");
            most
        };
        world.clock.advance(Duration::from_secs(wait));
        let asked = server.asked().await;
        match word {
            "HTTP_PROTOCOL" => slow.push(asked),
            "HTTP_TIMEOUT" => asked.says(&"x".repeat((1 << 20) + 1)).await,
            "HTTP_RESPONSE_TOO_LARGE" => asked.answer("500 Oh", "", "").await,
            "status 500" => asked.answer("503 Later", "retry-after: 90\r\n", "").await,
            _ => asked.says("at last").await,
        }
    }

    world.until_brought_in("polled updates 200 after ``: at last").await;
    world.until("all is well", async || failures(&world) == (0, String::new())).await;
    let log = world.printed("channel");
    assert!(log.iter().any(|line| line.contains("HTTP_TIMEOUT")), "{log:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_of_the_server_is_told_once() {
    let server = Server::start().await;
    let world = polling(&server, json!({})).await;

    for times in 1..=2 {
        server.asked().await.answer("401 No", "", "who are you").await;
        world.until("it was refused", async || failures(&world).0 == times).await;
        world.clock.advance(SECOND * 6);
    }

    server.asked().await.says("welcome").await;
    world.until_brought_in("polled updates 200 after ``: welcome").await;
    let told = world.brought_in().await;
    assert_eq!(told.iter().filter(|text| text.contains("who are you")).count(), 1, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_ends_with_its_grant_and_begins_with_the_next_one() {
    let server = Server::start().await;
    let world = World::start().await;
    world.endpoint_says("rpi.polls", json!([{ "name": "updates", "url": format!("{}/x", server.origin()) }]));
    world.install("channel").await;
    let grant = world.grant("channel", "http", json!({ "hosts": [server.origin()] })).await;
    world.grant("channel", "endpoint", json!({ "tools": ["rpi.polls"] })).await;
    world.grant("channel", "channel", json!({})).await;
    let asked = server.asked().await;

    world.host.revoke(grant).await.unwrap();

    asked.until_hung_up().await;
    world.until("it is denied", async || failures(&world).1.contains("HTTP_DENIED")).await;
    let dialled = world.net.dialled().len();
    world.clock.advance(SECOND * 30);
    assert_eq!(world.net.dialled().len(), dialled);
    world.grant("channel", "http", json!({ "hosts": [server.origin()] })).await;
    server.asked().await.says("back").await;
    world.until_brought_in("polled updates 200 after ``: back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_at_the_cursor_and_what_a_stop_cut_off_comes_again_once() {
    let server = Server::start().await;
    let world = polling(&server, long_poll(&server)).await;
    server.asked().await.says(r#"{"result":["a"],"next":1}"#).await;
    world.until_brought_in(r#"polled updates 200 after `0`: {"result":["a"],"next":1}"#).await;
    next_beat(&world).await;
    server.asked().await.says(r#"{"result":["hold"],"next":2}"#).await;
    world.until_held().await;

    // The guest has the answer, and has not said what became of it.
    let world = world.restart().await;
    world.let_go(2);
    let asked = server.asked().await;

    assert_eq!(asked.line(), "GET /updates?offset=1 HTTP/1.1");
    asked.says(r#"{"result":["hold"],"next":2}"#).await;
    let told = r#"polled updates 200 after `1`: {"result":["hold"],"next":2}"#;
    world.until_brought_in(told).await;
    next_beat(&world).await;
    assert_eq!(server.asked().await.line(), "GET /updates?offset=2 HTTP/1.1");
    let all = world.brought_in().await;
    assert_eq!(all.iter().filter(|text| *text == told).count(), 1, "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_pointer_the_cursor_is_what_the_channel_acknowledged() {
    let server = Server::start().await;
    let poll = json!({
        "method": "POST",
        "body": r#"{"buf":"{{cursor}}"}"#,
        "headers": { "content-type": "application/json" },
        "first": "begin",
    });
    let world = polling(&server, poll).await;
    let asked = server.asked().await;
    assert_eq!(asked.body, r#"{"buf":"begin"}"#);
    asked.says("ack p\"7").await;

    next_beat(&world).await;
    let asked = server.asked().await;
    assert_eq!(asked.body, r#"{"buf":"p\"7"}"#);
    // What the channel refuses is laid aside, and the poll does not run after it at once.
    asked.says("refuse").await;
    world.until("it is laid aside", async || world.events("channel").await.len() == 1).await;
    world.until("it waits", async || failures(&world).0 == 1).await;
    assert_eq!(world.events("channel").await[0].kind, "poll_answered");
    world.clock.advance(SECOND * 3);
    assert_eq!(server.asked().await.body, r#"{"buf":"p\"7"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_goes_with_a_poll_to_its_audience_and_the_channel_never_sees_it() {
    let server = Server::start().await;
    let world = World::start().await;
    world.keep_secret("channel", "key", b"canary-of-the-poll").await;
    let poll = json!({
        "name": "updates",
        "url": format!("{}/x", server.origin()),
        "headers": { "authorization": "Bearer {{secret:key}}" },
    });
    world.endpoint_says("rpi.polls", json!([poll]));
    world.install("channel").await;
    world.grant("channel", "http", json!({ "hosts": [server.origin()] })).await;
    let scope = json!({ "id": "key", "audience": [server.origin()], "place": ["header:authorization"] });
    world.grant("channel", "secret", scope).await;
    world.grant("channel", "endpoint", json!({ "tools": ["rpi.polls"] })).await;
    world.grant("channel", "channel", json!({})).await;

    let asked = server.asked().await;
    assert!(asked.head.contains("authorization: Bearer canary-of-the-poll"), "{}", asked.head);
    asked.says("you are canary-of-the-poll").await;

    world.until("it is cut off", async || failures(&world).1.contains("HTTP_SECRET_ECHO")).await;
    assert_eq!(world.brought_in().await, [""; 0]);
    assert!(!world.printed("channel").join("\n").contains("canary-of-the-poll"));
}
