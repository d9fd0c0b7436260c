//! The bundled plugins on a host, with its store, its network and its grants: what they keep, what they reach, and what
//! they are denied.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::host::Harness;
use support::vault;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A web server on loopback with a few pages; it writes down each request.
struct Site {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

type Pages = &'static [(&'static str, &'static str, &'static str)];

impl Site {
    /// Paths, kinds, bodies; any other path is not found.
    async fn start(pages: Pages) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = heard.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = Vec::new();
                while !is_whole(&text) && stream.read_buf(&mut text).await.is_ok_and(|read| read > 0) {}
                let text = String::from_utf8_lossy(&text).into_owned();
                let path = text.split(' ').nth(1).unwrap_or_default();
                let page = pages.iter().find(|(known, ..)| *known == path);
                let (status, kind, body) = page
                    .map_or(("404 Not Found", "text/plain", "no"), |(_, kind, body)| ("200 OK", kind, body));
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                told.lock().unwrap().push(text);
                // A client that went away does not want its answer.
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { address, heard }
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Whether a request is there with its body, whose length is told or is none.
fn is_whole(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    body.len() >= length.unwrap_or(0) && (!head.contains("chunked") || body.ends_with("0\r\n\r\n"))
}

const PAGES: Pages = &[
    ("/robots.txt", "text/plain", "User-agent: *\nDisallow: /private\n"),
    ("/page", "text/html", "<title>A page</title><nav>menu</nav><main><h1>Hello</h1><p>there</main>"),
    ("/private/page", "text/html", "<p>secret"),
    (
        "/feed",
        "application/rss+xml",
        "<rss><channel><title>News</title><item><title>One</title></item></channel></rss>",
    ),
    (
        "/find?q=a+b&n=5",
        "application/json",
        r#"{"results":[{"title":"T","url":"https://t.example","content":"C"}]}"#,
    ),
    ("/api/items?page=2", "application/json", r#"{"items":[]}"#),
    ("/api/items", "application/json", r#"{"id":7}"#),
];

async fn with(plugin: &str) -> Harness {
    let berth = Harness::start().await;
    berth.install(plugin).await;
    berth
}

fn denial(failure: &Value, plugin: &str, capability: &str) {
    let message = failure["message"].as_str().unwrap();
    assert!(matches!(failure["code"].as_str(), Some("denied" | "PERMISSION_DENIED")), "{failure}");
    let command = format!("berth plugin grant {plugin} {capability} --scope '{{");
    assert!(message.contains(&command), "{message}");
}

#[tokio::test]
async fn notes_are_kept_between_calls_and_found_again() {
    let berth = with("notes").await;
    berth.grant("notes", "keyvalue", json!({ "store": "notes", "access": "rw" })).await;

    let added = berth.answer("notes_add", json!({ "text": "Bread is out", "tags": ["Shopping"] })).await;
    berth.answer("notes_add", json!({ "text": "Call Ada" })).await;
    berth.answer("notes_change", json!({ "id": added["id"], "text": "Bread and butter are out" })).await;

    let found = berth.answer("notes_search", json!({ "words": "butter" })).await;
    assert_eq!((&found["notes"][0]["id"], &found["notes"][0]["tags"]), (&json!("1"), &json!(["shopping"])));
    let after = berth.restarted().await;
    let listed = berth.answer_of(&after, "notes_list", json!({})).await;
    assert_eq!(listed["notes"].as_array().unwrap().len(), 2);
    berth.answer("notes_remove", json!({ "id": "2" })).await;
    assert_eq!(berth.refusal("notes_get", json!({ "id": "2" })).await["code"], "not_found");
}

#[tokio::test]
async fn notes_without_a_grant_say_what_to_grant_and_with_a_narrow_one_only_read() {
    let berth = with("notes").await;
    denial(&berth.refusal("notes_list", json!({})).await, "notes", "keyvalue");

    berth.grant("notes", "keyvalue", json!({ "store": "notes", "access": "ro" })).await;

    assert_eq!(berth.answer("notes_list", json!({})).await["notes"], json!([]));
    denial(&berth.refusal("notes_add", json!({ "text": "x" })).await, "notes", "keyvalue");
}

#[tokio::test]
async fn web_reads_pages_and_feeds_of_granted_hosts_and_obeys_robots() {
    let site = Site::start(PAGES).await;
    let berth = with("web").await;
    denial(&berth.refusal("web_read", json!({ "url": site.url("/page") })).await, "web", "http");
    assert!(site.heard().is_empty());

    berth.grant("web", "http", json!({ "hosts": [site.origin()], "methods": ["GET"] })).await;

    let page = berth.answer("web_read", json!({ "url": site.url("/page") })).await;
    assert_eq!((&page["title"], &page["text"]), (&json!("A page"), &json!("# Hello\n\nthere")));
    let feed = berth.answer("web_feed", json!({ "url": site.url("/feed") })).await;
    assert_eq!((&feed["title"], &feed["entries"][0]["title"]), (&json!("News"), &json!("One")));
    assert!(
        site.heard()[0].starts_with("GET /robots.txt ") && site.heard()[0].contains("user-agent: berth-web/")
    );
    let before = site.heard().len();
    assert_eq!(
        berth.refusal("web_read", json!({ "url": site.url("/private/page") })).await["code"],
        "robots"
    );
    assert_eq!(site.heard().len(), before + 1, "robots.txt alone was asked for");
    assert_eq!(berth.refusal("web_search", json!({ "query": "x" })).await["code"], "no_search");
    denial(&berth.refusal("web_feed", json!({ "url": "https://other.example/feed" })).await, "web", "http");
}

#[tokio::test]
async fn http_calls_a_granted_service_and_no_other() {
    let site = Site::start(PAGES).await;
    let berth = with("http").await;
    let read = json!({ "url": site.url("/api/items"), "query": [{ "name": "page", "value": "2" }] });
    denial(&berth.refusal("http_read", read.clone()).await, "http", "http");

    berth
        .grant("http", "http", json!({ "hosts": [site.origin()], "paths": ["/api/"], "methods": ["GET"] }))
        .await;

    let answer = berth.answer("http_read", read).await;
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!(r#"{"items":[]}"#)));
    let send = json!({ "method": "post", "url": site.url("/api/items"), "body": { "tag": "json", "val": "{\"a\": 1}" } });
    denial(&berth.refusal("http_send", send.clone()).await, "http", "http");
    denial(&berth.refusal("http_read", json!({ "url": site.url("/page") })).await, "http", "http");
    assert_eq!(site.heard().len(), 1);

    berth
        .grant("http", "http", json!({ "hosts": [site.origin()], "paths": ["/api/"], "methods": ["POST"] }))
        .await;
    assert_eq!(berth.answer("http_send", send).await["body"], r#"{"id":7}"#);
    assert!(site.heard()[1].contains(r#"{"a":1}"#), "{}", site.heard()[1]);
}

#[tokio::test]
async fn http_places_a_secret_that_the_plugin_never_sees() {
    let site = Site::start(PAGES).await;
    let berth = with("http").await;
    vault::keep(&berth.desk, "http", "token", b"s3cret-value").await;
    berth.grant("http", "http", json!({ "hosts": [site.origin()] })).await;
    let read =
        json!({ "url": site.url("/api/items"), "secret": { "name": "token", "place": { "tag": "bearer" } } });

    let denied = berth.refusal("http_read", read.clone()).await;
    assert!(site.heard().is_empty(), "{denied}");

    let scope = json!({ "id": "token", "audience": [site.origin()], "place": ["header:authorization"] });
    berth.grant("http", "secret", scope).await;
    let answer = berth.answer("http_read", read).await;

    assert!(site.heard()[0].contains("authorization: Bearer s3cret-value"), "{}", site.heard()[0]);
    assert!(!answer.to_string().contains("s3cret"), "{answer}");
}
