use std::sync::{Arc, Mutex};

use berth_broker::whole_body;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::net::{Net, PUBLIC, granted};
use crate::server::{Heard, Vault, answers, caller, code, fetch, get, remembers, reply};

const OTHER: &str = "93.184.215.15";

/// `a.example` sends everybody to `location`; `b.example` remembers.
fn net(status: u16, location: &'static str, heard: &Arc<Mutex<Vec<Heard>>>) -> Net {
    let net = Net::new();
    net.name("a.example", &[PUBLIC]).name("b.example", &[OTHER]).name("c.example", &["10.0.0.1"]);
    net.serve(&format!("{OTHER}:80"), remembers(heard));
    net.serve(
        &format!("{PUBLIC}:80"),
        answers(move |heard| match heard.path.as_str() {
            "/end" => reply(200, &[], format!("{} {}", heard.method, heard.body)),
            _ => reply(status, &[("location", location)], "moved"),
        }),
    );
    net
}

fn all() -> berth_broker::OutboundPolicy {
    granted(json!({ "hosts": ["http://a.example", "http://b.example", "http://c.example"] }))
}

fn post(body: &'static str) -> http::Request<berth_broker::RequestBody> {
    http::Request::post("http://a.example/").body(whole_body(body)).unwrap()
}

#[tokio::test]
async fn a_redirect_is_followed_with_the_method_and_body_that_its_status_means() {
    for (status, request, wanted) in [
        (302, get("http://a.example/"), "GET "),
        (303, post("body"), "GET "),
        (302, post("body"), "GET "),
        (307, post("body"), "POST body"),
        (308, post("body"), "POST body"),
    ] {
        let net = net(status, "/end", &Arc::default());
        let (_, body) = fetch(&net.broker(), &caller(all()), request).await.unwrap();
        assert_eq!(body, wanted, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_decided_on_like_a_request_of_its_own() {
    let only_a = granted(json!({ "hosts": ["http://a.example"] }));
    for (location, policy, wanted) in [
        ("http://b.example/", only_a.clone(), "HTTP_DENIED"),
        ("https://a.example/", only_a.clone(), "HTTP_DENIED"),
        ("http://169.254.169.254/latest/meta-data/", only_a.clone(), "HTTP_DENIED"),
        ("http://127.0.0.1/", only_a.clone(), "HTTP_DENIED"),
        ("http://0x7f.1/", only_a, "HTTP_DENIED"),
        ("http://c.example/", all(), "HTTP_ADDRESS_CLOSED"),
        ("http://user@b.example/", all(), "HTTP_URL_INVALID"),
        ("file:///etc/passwd", all(), "HTTP_URL_INVALID"),
        ("/again", all(), "HTTP_TOO_MANY_REDIRECTS"),
    ] {
        let heard = Arc::default();
        let net = net(302, location, &heard);

        assert_eq!(
            code(&net.broker(), &caller(policy), get("http://a.example/")).await,
            wanted,
            "{location}"
        );

        assert!(heard.lock().unwrap().is_empty());
        assert!(net.dials().iter().all(|dial| dial.starts_with(PUBLIC)), "{:?}", net.dials());
    }
}

#[tokio::test]
async fn five_redirects_are_followed_and_each_counts_in_the_minute() {
    let net = Net::new();
    net.serve(
        &format!("{PUBLIC}:80"),
        answers(|heard| match heard.path.trim_start_matches('/').parse::<u32>() {
            Ok(0) => reply(200, &[], "there"),
            Ok(left) => reply(302, &[("location", &format!("/{}", left - 1))], ""),
            Err(_) => reply(404, &[], ""),
        }),
    );
    let policy = granted(json!({ "hosts": [format!("http://{PUBLIC}")] }));
    let broker = net.broker();
    let mut caller = caller(policy);

    let five = fetch(&broker, &caller, get(&format!("http://{PUBLIC}/5"))).await.unwrap();
    assert_eq!(five.1, "there");
    assert_eq!(code(&broker, &caller, get(&format!("http://{PUBLIC}/6"))).await, "HTTP_TOO_MANY_REDIRECTS");
    caller.limits.per_minute = 3;
    assert_eq!(code(&broker, &caller, get(&format!("http://{PUBLIC}/5"))).await, "HTTP_RATE_LIMITED");
}

#[tokio::test]
async fn credentials_and_secrets_stay_behind_when_the_origin_changes() {
    let heard = Arc::default();
    let net = net(307, "http://b.example/x?{{secret:key}}", &heard);
    let mut caller = caller(all());
    caller.secrets = Arc::new(Vault::default().with(
        "key",
        "s3cr3t-value",
        &["http://a.example", "http://b.example"],
        &["header:x-key", "query:key", "path", "json:/key"],
    ));
    let request = http::Request::post("http://a.example/?key={{secret:key}}")
        .header("authorization", "Bearer mine")
        .header("cookie", "a=b")
        .header("x-key", "{{secret:key}}")
        .header("x-plain", "stays")
        .body(whole_body("body"))
        .unwrap();

    fetch(&net.broker(), &caller, request).await.unwrap();

    let heard = heard.lock().unwrap()[0].clone();
    assert_eq!((heard.method.as_str(), heard.body.as_str()), ("POST", "body"));
    assert_eq!(heard.header("x-plain"), Some("stays"));
    for name in ["authorization", "cookie", "x-key"] {
        assert_eq!(heard.header(name), None, "{name}");
    }
    assert!(!format!("{heard:?}").contains("s3cr3t-value"), "{heard:?}");

    let with_body = http::Request::post("http://a.example/")
        .header("content-type", "application/json")
        .body(whole_body(r#"{"key":"{{secret:key}}"}"#))
        .unwrap();
    assert_eq!(code(&net.broker(), &caller, with_body).await, "HTTP_REDIRECT_REFUSED");
}

#[tokio::test]
async fn a_body_that_is_too_large_to_be_kept_is_not_sent_twice() {
    let net = net(307, "/end", &Arc::default());
    let pieces = futures::stream::iter(
        (0..3).map(|_| Ok(http_body::Frame::data(bytes::Bytes::from(vec![b'x'; 1 << 19])))),
    );
    let body = http_body_util::StreamBody::new(pieces).boxed_unsync();
    let request = http::Request::post("http://a.example/").body(body).unwrap();

    assert_eq!(code(&net.broker(), &caller(all()), request).await, "HTTP_REDIRECT_REFUSED");
}
