//! Over a real socket.

use std::net::SocketAddr;
use std::time::Duration;

use berth_http::ServeConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{Berth, TOKEN, Told};

struct Served {
    berth: Berth,
    address: SocketAddr,
    closing: CancellationToken,
    serving: JoinHandle<()>,
}

async fn served(config: ServeConfig) -> Served {
    let berth = Berth::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let closing = CancellationToken::new();
    let serving = tokio::spawn(berth_http::serve(listener, berth.app.clone(), config, closing.clone()));
    Served { berth, address, closing, serving }
}

impl Served {
    /// A connection that has asked for the events of a thread, and read nothing of them.
    async fn asks_for_events(&self, thread: &str) -> reqwest::Response {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/runtime/threads/{thread}/events", self.address);
        client.get(url).bearer_auth(TOKEN).send().await.unwrap()
    }
}

/// What a peer hears that says `words` and then waits.
async fn hears(address: SocketAddr, words: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(words.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).await.unwrap();
    String::from_utf8(heard).unwrap()
}

#[tokio::test]
async fn headers_that_never_end_are_cut_off() {
    let served =
        served(ServeConfig { headers_within: Duration::from_millis(30), ..ServeConfig::default() }).await;

    assert_eq!(hears(served.address, "GET /health HTTP/1.1\r\nHost: b\r\nX-Slow: ").await, "");

    let whole = hears(served.address, "GET /health HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
}

#[tokio::test]
async fn what_is_no_http_or_has_too_many_headers_is_refused() {
    let served = served(ServeConfig::default()).await;
    let many: String = (0..200).map(|at| format!("X-{at}: y\r\n")).collect();

    let heard = hears(served.address, &format!("GET /health HTTP/1.1\r\nHost: b\r\n{many}\r\n")).await;
    assert!(heard.starts_with("HTTP/1.1 431"), "{heard}");

    let heard = hears(served.address, "\u{16}\u{3}\u{1} no http\r\n\r\n").await;
    assert!(heard.starts_with("HTTP/1.1 400"), "{heard}");
}

#[tokio::test]
async fn one_connection_more_than_there_may_be_waits_for_another_to_end() {
    let served = served(ServeConfig { max_connections: 1, ..ServeConfig::default() }).await;
    let thread = served.berth.thread().await;
    let first = served.asks_for_events(&thread).await;
    let mut second = TcpStream::connect(served.address).await.unwrap();
    second.write_all(b"GET /health HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n").await.unwrap();

    drop(first);

    let mut heard = String::new();
    second.read_to_string(&mut heard).await.unwrap();
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_events_holds_nobody_back_and_misses_none() {
    let served = served(ServeConfig::default()).await;
    let thread = served.berth.thread().await;
    let sleeper = served.asks_for_events(&thread).await;
    let first = served.berth.turn(&thread, "/say one").await;
    // More than a socket of this machine holds unread.
    served.berth.flood(first[0].data["run_id"].as_str().unwrap(), 200, &"x".repeat(100_000)).await;
    let second = served.berth.turn(&thread, "/say two").await;
    let last = second.iter().filter_map(Told::cursor).max().unwrap();

    let heard = ids_up_to(sleeper, last).await;

    // The first line says where the stream begins.
    assert_eq!(heard, (0..=last).collect::<Vec<_>>());
    assert!(last > 200);
}

/// The ids of a stream up to `last`.
async fn ids_up_to(mut stream: reqwest::Response, last: i64) -> Vec<i64> {
    let mut text = Vec::new();
    let end = format!("\nid: {last}\n");
    while !text.windows(end.len()).rev().take(10_000).any(|window| window == end.as_bytes()) {
        text.extend(stream.chunk().await.unwrap().unwrap());
    }
    let lines = text.split(|byte| *byte == b'\n');
    lines.filter_map(|line| std::str::from_utf8(line).ok()?.strip_prefix("id: ")?.parse().ok()).collect()
}

#[tokio::test]
async fn a_host_that_closes_lets_requests_under_way_end_and_takes_no_more() {
    let served = served(ServeConfig::default()).await;
    let idle = TcpStream::connect(served.address).await.unwrap();
    let thread = served.berth.thread().await;
    let events = served.asks_for_events(&thread).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/operator/plugins/call", served.address);
    let call = client.post(url).bearer_auth(TOKEN).json(&json!({ "tool": "notes_wait" })).send();
    let call = tokio::spawn(call);
    served.berth.shelf.waiting.notified().await;

    served.closing.cancel();
    served.berth.core.shutdown().await;

    assert_eq!(call.await.unwrap().unwrap().status(), 499);
    let told = events.text().await.unwrap();
    assert!(told.contains("event: stream.closed"), "{told}");
    served.serving.await.unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
    drop(idle);
}
