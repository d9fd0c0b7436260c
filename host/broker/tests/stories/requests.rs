use std::sync::{Arc, Mutex};

use berth_broker::{OutboundPolicy, RequestBody, whole_body};
use serde_json::json;

use crate::net::{Net, PUBLIC, granted};
use crate::server::{Heard, Kept, caller, code, fetch, get, remembers};

fn net(heard: &Arc<Mutex<Vec<Heard>>>) -> Net {
    let net = Net::new();
    net.name("a.example", &[PUBLIC]).serve(&format!("{PUBLIC}:80"), remembers(heard));
    net
}

fn policy() -> OutboundPolicy {
    granted(json!({ "hosts": ["http://a.example"], "paths": ["/v1/"], "methods": ["GET", "POST"] }))
}

fn with_header(name: &str, value: &str) -> http::Request<RequestBody> {
    let mut request = get("http://a.example/v1/x");
    request
        .headers_mut()
        .insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    request
}

#[tokio::test]
async fn a_granted_request_arrives_as_it_was_checked() {
    let heard = Arc::default();
    let net = net(&heard);
    let request = http::Request::post("http://A.example.:80/v1/%7Ex/../y?q=1")
        .header("content-type", "text/plain")
        .header("x-mine", "1")
        .header("host", "elsewhere.example")
        .body(whole_body("hello"))
        .unwrap();

    let answer = fetch(&net.broker(), &caller(policy()), request).await.unwrap();

    assert_eq!(answer, (200, "ok".to_owned()));
    let heard = heard.lock().unwrap()[0].clone();
    assert_eq!(
        (heard.method.as_str(), heard.path.as_str(), heard.body.as_str()),
        ("POST", "/v1/y?q=1", "hello")
    );
    assert_eq!(heard.header("host"), Some("a.example"));
    assert_eq!(heard.header("x-mine"), Some("1"));
}

#[tokio::test]
async fn what_is_outside_of_the_scope_never_leaves() {
    let heard = Arc::default();
    let net = net(&heard);
    let broker = net.broker();
    let caller = caller(policy());

    for url in [
        "http://a.example/v2/x",
        "http://b.example/v1/x",
        "https://a.example/v1/x",
        "http://a.example:81/v1/x",
    ] {
        assert_eq!(code(&broker, &caller, get(url)).await, "HTTP_DENIED", "{url}");
    }
    let delete = http::Request::delete("http://a.example/v1/x").body(whole_body("")).unwrap();
    assert_eq!(code(&broker, &caller, delete).await, "HTTP_DENIED");
    let user = get("http://user:pass@a.example/v1/x");
    assert_eq!(code(&broker, &caller, user).await, "HTTP_URL_INVALID");
    assert_eq!(code(&broker, &caller, get("http://a.example/v1/..%2fv2/x")).await, "HTTP_URL_INVALID");

    assert!(net.names_asked().is_empty() && net.dials().is_empty());
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn methods_and_headers_that_steer_the_connection_are_refused() {
    let heard = Arc::default();
    let net = net(&heard);
    let broker = net.broker();
    let caller = caller(policy());

    for method in ["CONNECT", "TRACE", "BREW"] {
        let mut request = get("http://a.example/v1/x");
        *request.method_mut() = method.parse().unwrap();
        assert_eq!(code(&broker, &caller, request).await, "HTTP_METHOD_FORBIDDEN");
    }
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("transfer-encoding", "chunked"),
        ("proxy-authorization", "Basic eA=="),
        ("expect", "100-continue"),
        ("x-forwarded-for", "127.0.0.1"),
    ] {
        assert_eq!(code(&broker, &caller, with_header(name, value)).await, "HTTP_HEADER_FORBIDDEN", "{name}");
    }
    let large = with_header("x-large", &"x".repeat(70 << 10));
    assert_eq!(code(&broker, &caller, large).await, "HTTP_REQUEST_TOO_LARGE");

    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_request_leaves_one_receipt_that_shows_no_query() {
    let heard = Arc::default();
    let net = net(&heard);
    let broker = net.broker();
    let kept = Kept::default();
    let mut caller = caller(policy());
    caller.receipts = Arc::new(kept.clone());

    let request =
        http::Request::post("http://a.example/v1/x?token=hidden").body(whole_body("12345")).unwrap();
    fetch(&broker, &caller, request).await.unwrap();
    code(&broker, &caller, get("http://b.example/v1/x?token=hidden")).await;

    let receipts = kept.0.lock().unwrap();
    let [good, bad] = receipts.as_slice() else { panic!("{receipts:?}") };
    assert_eq!(
        (good.method.as_str(), good.origin.as_str(), good.path.as_str()),
        ("POST", "http://a.example", "/v1/x")
    );
    assert_eq!((good.status, good.bytes_up, good.bytes_down, good.redirects), (Some(200), 5, 2, 0));
    assert_eq!(good.failure, None);
    assert_eq!((bad.status, bad.is_denial), (None, true));
    assert_eq!(bad.failure.as_ref().unwrap().0, "HTTP_DENIED");
    assert!(!format!("{receipts:?}").contains("hidden"));
}
