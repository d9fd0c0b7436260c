//! Who may ask, and what answers carry.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;
use tracing::instrument::WithSubscriber;

use crate::support::{Berth, TOKEN, request};

fn bare(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path)
}

#[tokio::test]
async fn b1_health_needs_no_token_and_everything_else_does() {
    let berth = Berth::start().await;

    assert_eq!(berth.send(bare(Method::GET, "/health").body(Body::empty()).unwrap()).await.status, 200);

    for (method, path) in [
        (Method::GET, "/operator/health"),
        (Method::GET, "/openapi.json"),
        (Method::GET, "/runtime/threads"),
        (Method::POST, "/runtime/messages"),
        (Method::GET, "/runtime/threads/thr_1/events"),
        (Method::DELETE, "/runtime/threads"),
        (Method::GET, "/no/such/route"),
        (Method::GET, "/health/"),
        (Method::GET, "/"),
    ] {
        let answer = berth.send(bare(method, path).body(Body::empty()).unwrap()).await;
        let error = answer.refuses(401, "unauthorized");
        assert_eq!(error["details"], json!({ "auth_type": "bearer_or_api_key" }), "{path}");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
}

#[tokio::test]
async fn only_the_very_token_is_taken_in_either_header() {
    let berth = Berth::start().await;
    for (name, value, status) in [
        ("authorization", "Bearer correct-horse", 200),
        ("authorization", "bearer  correct-horse", 200),
        ("x-api-key", "correct-horse", 200),
        ("authorization", "Bearer correct-hors", 401),
        ("authorization", "Bearer correct-horse1", 401),
        ("authorization", "Bearer CORRECT-HORSE", 401),
        ("authorization", "Basic correct-horse", 401),
        ("authorization", "correct-horse", 401),
        ("authorization", "Bearer", 401),
        ("x-api-key", "wrong", 401),
        ("x-api-key", "", 401),
        ("cookie", "access_token=correct-horse", 401),
    ] {
        let request = bare(Method::GET, "/runtime/threads").header(name, value);
        assert_eq!(berth.send(request.body(Body::empty()).unwrap()).await.status, status, "{name}: {value}");
    }
    let in_query = bare(Method::GET, "/runtime/threads?access_token=correct-horse");
    assert_eq!(berth.send(in_query.body(Body::empty()).unwrap()).await.status, 401);
}

#[tokio::test]
async fn b2_removed_routes_are_not_there() {
    let berth = Berth::start().await;
    for path in ["/client/threads", "/client/ws", "/config", "/memory", "/runtime", "/runtime/threads/"] {
        berth.get(path).await.refuses(404, "http_404");
    }
}

#[tokio::test]
async fn a_method_that_a_route_does_not_have_is_refused_with_those_it_has() {
    let berth = Berth::start().await;
    for (method, path, allow) in [
        (Method::PUT, "/runtime/threads", "GET,HEAD,POST"),
        (Method::GET, "/runtime/messages", "POST"),
        (Method::POST, "/health", "GET,HEAD"),
        (Method::from_bytes(b"BREW").unwrap(), "/runtime/workspaces", "GET,HEAD"),
    ] {
        let answer = berth.send(request(method, path).body(Body::empty()).unwrap()).await;
        answer.refuses(405, "http_405");
        assert_eq!(answer.headers[header::ALLOW], allow, "{path}");
    }
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_refused_and_one_of_the_list_is_let_in() {
    let berth = Berth::start_with(|http, _| http.origins = vec!["https://home.example".to_owned()]).await;
    let from = |method: Method, origin: &str| {
        request(method, "/runtime/threads")
            .header(header::HOST, "berth.lan:8787")
            .header(header::ORIGIN, origin)
    };

    for origin in ["https://evil.example", "null", "http://berth.lan:8788"] {
        let answer = berth.send(from(Method::GET, origin).body(Body::empty()).unwrap()).await;
        answer.refuses(403, "origin_not_allowed");
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
    let own = berth.send(from(Method::GET, "http://berth.lan:8787").body(Body::empty()).unwrap()).await;
    assert_eq!(own.status, 200);
    for origin in ["https://home.example", "http://localhost:5173"] {
        let answer = berth.send(from(Method::GET, origin).body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status, answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN].to_str().unwrap()),
            (200, origin)
        );
        let before = from(Method::OPTIONS, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "PATCH")
            .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "authorization");
        let answer = berth.send(before.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_METHODS], "GET,POST,PATCH,PUT,DELETE");
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }
}

#[tokio::test]
async fn no_answer_is_cached_or_taken_for_another_type() {
    let berth = Berth::start().await;
    let thread = berth.thread().await;
    let events = format!("/runtime/threads/{thread}/events?after_cursor=x");
    for path in ["/health", "/runtime/threads", "/no/such/route", "/openapi.json", &events] {
        let answer = berth.get(path).await;
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json", "{path}");
    }
}

#[tokio::test]
async fn the_id_of_a_request_comes_back_or_is_made() {
    let berth = Berth::start().await;
    let with =
        |id: &str| request(Method::GET, "/health").header("x-request-id", id).body(Body::empty()).unwrap();

    assert_eq!(berth.send(with("mine-1")).await.headers["x-request-id"], "mine-1");
    for odd in ["a b", "", &"x".repeat(129)] {
        let made = berth.send(with(odd)).await.headers["x-request-id"].to_str().unwrap().to_owned();
        assert!(made.starts_with("req_") && made.len() == 36, "{made}");
    }
}

#[tokio::test]
async fn larger_headers_and_addresses_than_any_of_ours_are_refused() {
    let berth = Berth::start().await;

    let long = format!("/runtime/threads?workspace_id={}", "x".repeat(8192));
    berth.get(&long).await.refuses(414, "target_too_long");

    let many = (0..40).fold(request(Method::GET, "/runtime/threads"), |request, at| {
        request.header(format!("x-filler-{at}"), "x".repeat(1000))
    });
    berth.send(many.body(Body::empty()).unwrap()).await.refuses(431, "headers_too_large");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_token_and_no_text_of_a_message_is_in_the_log() {
    let log = Log::default();
    let written = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || written.clone())
        .finish();
    async {
        let berth = Berth::start().await;
        let thread = berth.thread().await;
        berth.turn(&thread, "/say my-secret-text").await;
        for wrong in ["Bearer wrong-horse", &format!("Bearer {TOKEN}")] {
            let path = format!("/runtime/threads?access_token={TOKEN}");
            let request = bare(Method::GET, &path).header("authorization", wrong);
            berth.send(request.body(Body::empty()).unwrap()).await;
        }
        let evil = request(Method::GET, "/runtime/threads").header(header::ORIGIN, "https://evil.example");
        berth.send(evil.body(Body::empty()).unwrap()).await;
    }
    .with_subscriber(subscriber)
    .await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let ours: Vec<_> = text.lines().filter(|line| line.contains("berth_http")).collect();
    assert!(ours.iter().any(|line| line.contains("evil.example")), "{text}");
    for secret in [TOKEN, "wrong-horse", "my-secret-text"] {
        assert!(!ours.iter().any(|line| line.contains(secret)), "{secret}: {ours:#?}");
    }
}
