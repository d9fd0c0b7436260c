use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use berth_broker::{Caller, RequestBody, whole_body};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::net::{Net, PUBLIC, granted};
use crate::server::{
    Handler, Heard, Kept, Vault, answers, caller, code, fetch, get, remembers, reply, writes,
};

const SECRET: &str = "k/3+Y\"<&'>Zq9 t0p";

fn vault() -> Vault {
    Vault::default().with(
        "key",
        SECRET,
        &["http://a.example"],
        &["header:authorization", "query:key", "path", "json:/auth/key", "form:key"],
    )
}

fn served(handler: Handler) -> (Net, Caller) {
    let net = Net::new();
    net.name("a.example", &[PUBLIC]).name("b.example", &[PUBLIC]).serve(&format!("{PUBLIC}:80"), handler);
    let mut caller = caller(granted(json!({ "hosts": ["http://a.example", "http://b.example"] })));
    caller.secrets = Arc::new(vault());
    (net, caller)
}

fn post(content_type: &str, body: &'static str) -> http::Request<RequestBody> {
    http::Request::post("http://a.example/")
        .header("content-type", content_type)
        .body(whole_body(body))
        .unwrap()
}

fn bearer(url: &str) -> http::Request<RequestBody> {
    http::Request::get(url)
        .header("authorization", "Bearer {{secret:key}}")
        .body(berth_broker::no_body())
        .unwrap()
}

async fn heard(request: http::Request<RequestBody>, value: &str) -> Heard {
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let (net, mut caller) = served(remembers(&heard));
    let places = ["header:authorization", "query:key", "path", "json:/auth/key", "form:key"];
    caller.secrets = Arc::new(Vault::default().with("key", value, &["http://a.example"], &places));
    fetch(&net.broker(), &caller, request).await.unwrap();
    let heard = heard.lock().unwrap();
    heard[0].clone()
}

#[tokio::test]
async fn a_secret_is_put_where_its_placeholder_stands_and_escaped_for_it() {
    let value = r#"a"b&c=d e"#;
    assert_eq!(
        heard(bearer("http://a.example/"), value).await.header("authorization"),
        Some(r#"Bearer a"b&c=d e"#)
    );
    let query = heard(get("http://a.example/x?a=1&key=%7B%7Bsecret:key%7D%7D&b=%20"), value).await;
    assert_eq!(query.path, "/x?a=1&key=a%22b%26c%3Dd%20e&b=%20");
    let path = heard(get("http://a.example/bot{{secret:key}}/send"), value).await;
    assert_eq!(path.path, "/bota%22b%26c%3Dd%20e/send");
    let form =
        heard(post("application/x-www-form-urlencoded", "a=1&key=%7B%7Bsecret%3Akey%7D%7D"), value).await;
    assert_eq!(form.body, "a=1&key=a%22b%26c%3Dd%20e");
    let broken_number = heard(
        post("application/json; charset=utf-8", r#"{ "n": 1.50, "auth": {"key": "x-{{secret:key}}"} }"#),
        value,
    );
    assert_eq!(broken_number.await.body, r#"{ "n": 1.50, "auth": {"key": "x-a\"b&c=d e"} }"#);
}

#[tokio::test]
async fn a_secret_goes_to_its_audience_and_into_its_places_alone() {
    let (net, caller) = served(answers(|_| reply(200, &[], "")));
    let broker = net.broker();

    for request in [
        bearer("http://b.example/"),
        http::Request::get("http://a.example/")
            .header("x-other", "{{secret:key}}")
            .body(berth_broker::no_body())
            .unwrap(),
        get("http://a.example/?other={{secret:key}}"),
        post("application/json", r#"{"text": "{{secret:key}}"}"#),
        post("application/json", r#"{"auth": {"key": ["{{secret:key}}"]}}"#),
        post("application/x-www-form-urlencoded", "other={{secret:key}}"),
        get("http://a.example/?key={{secret:unknown}}"),
    ] {
        assert_eq!(code(&broker, &caller, request).await, "HTTP_SECRET_REFUSED");
    }
    for body in [r#"{"{{secret:key}}": 1}"#, r#"{"auth": {"key": "{{secret:key}}"}, "{{secret:key}}": 1}"#] {
        assert_eq!(
            code(&broker, &caller, post("application/json", body)).await,
            "HTTP_SECRET_PLACE",
            "{body}"
        );
    }
    assert_eq!(net.dials(), Vec::<String>::new());
    assert!(fetch(&broker, &caller, post("text/plain", "{{secret:key}} stays as it is")).await.is_ok());
}

#[tokio::test]
async fn a_value_that_would_change_the_request_is_not_placed() {
    for (value, request) in [
        ("line\r\nx-injected: 1", bearer("http://a.example/")),
        ("../../admin", get("http://a.example/v1/{{secret:key}}/x")),
        ("abc", bearer("http://a.example/")),
    ] {
        let (net, mut caller) = served(answers(|_| reply(200, &[], "")));
        caller.secrets = Arc::new(Vault::default().with(
            "key",
            value,
            &["http://a.example"],
            &["header:authorization", "path"],
        ));
        let code = code(&net.broker(), &caller, request).await;
        assert!(["HTTP_SECRET_PLACE", "HTTP_SECRET_REFUSED"].contains(&code), "{value:?}: {code}");
        assert_eq!(net.dials(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_value_that_answers_cannot_be_searched_for_does_not_leave_however_often_it_is_asked_for() {
    let (net, mut caller) = served(answers(|_| reply(200, &[], "")));
    let long = "long-value".repeat(1000);
    caller.secrets =
        Arc::new(Vault::default().with("key", long, &["http://a.example"], &["header:authorization"]));
    let broker = net.broker();

    for _ in 0..2 {
        assert_eq!(code(&broker, &caller, bearer("http://a.example/")).await, "HTTP_SECRET_REFUSED");
    }

    assert_eq!(net.dials(), Vec::<String>::new());
}

/// The secret as a server could echo it.
fn echoes() -> Vec<(&'static str, String)> {
    let percent =
        percent_encoding::utf8_percent_encode(SECRET, percent_encoding::NON_ALPHANUMERIC).to_string();
    let html = SECRET
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;");
    let numeric: String = SECRET.bytes().map(|byte| format!("&#x{byte:X};")).collect();
    let unicode: String = SECRET.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let mut echoes = vec![
        ("raw", SECRET.to_owned()),
        ("upper case", SECRET.to_uppercase()),
        ("percent", percent.clone()),
        ("percent in lower case", percent.to_lowercase()),
        ("form", SECRET.replace('/', "%2F").replace('+', "%2B").replace('"', "%22").replace(' ', "+")),
        ("percent of the reserved", SECRET.replace('"', "%22").replace(' ', "%20")),
        ("json", json!(SECRET).to_string()),
        ("json of unicode", unicode),
        ("json with slashes", json!(SECRET).to_string().replace('/', "\\/")),
        ("html", html),
        ("html by number", numeric),
        ("hex", hex::encode(SECRET)),
        ("upper hex", hex::encode_upper(SECRET)),
        ("reversed", SECRET.chars().rev().collect()),
    ];
    for before in ["", "x", "xy"] {
        for after in ["", "z", "zz"] {
            let text = format!("{before}{SECRET}{after}");
            echoes.push(("base64", STANDARD.encode(&text)));
            echoes.push(("base64 without padding", STANDARD_NO_PAD.encode(&text)));
            echoes.push(("base64 for URLs", URL_SAFE.encode(&text)));
            echoes.push(("base64 for URLs without padding", URL_SAFE_NO_PAD.encode(&text)));
        }
    }
    echoes
}

#[tokio::test]
async fn no_form_of_a_placed_secret_comes_back_in_a_body_wherever_the_pieces_part() {
    for (form, echo) in echoes() {
        for piece in [1, 7, 4096] {
            let text = format!("before {echo} after");
            let sent = text.clone();
            let (net, caller) = served(writes(move |mut stream| {
                let text = sent.clone();
                async move {
                    stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
                    for part in text.as_bytes().chunks(piece) {
                        let head = format!("{:x}\r\n", part.len());
                        // The broker has left when it saw enough.
                        let _ = stream.write_all(&[head.as_bytes(), part, b"\r\n"].concat()).await;
                        tokio::task::yield_now().await;
                    }
                    let _ = stream.write_all(b"0\r\n\r\n").await;
                }
            }));
            let mut body = net.broker().send(&caller, bearer("http://a.example/")).await.unwrap().into_body();
            let mut got = Vec::new();
            let error = loop {
                use http_body_util::BodyExt as _;
                match body.frame().await {
                    Some(Ok(frame)) => got.extend_from_slice(&frame.into_data().unwrap()),
                    Some(Err(error)) => break Some(error.code()),
                    None => break None,
                }
            };
            assert_eq!(error, Some("HTTP_SECRET_ECHO"), "{form} in pieces of {piece}");
            // In base64 the first characters still belong to what stands before it.
            assert!(got.len() <= "before ".len() + 3, "{form}: {}", String::from_utf8_lossy(&got));
        }
    }
}

#[tokio::test]
async fn a_secret_in_a_header_of_the_answer_is_masked() {
    for (form, echo) in echoes() {
        let (net, caller) =
            served(answers(move |_| reply(200, &[("x-echo", &echo), ("x-other", "stays")], "body")));
        let answer = net.broker().send(&caller, bearer("http://a.example/")).await.unwrap();
        assert_eq!(answer.headers()["x-echo"], "[redacted]", "{form}");
        assert_eq!(answer.headers()["x-other"], "stays");
    }
}

#[tokio::test]
async fn a_secret_that_comes_back_later_or_packed_is_found_too() {
    let (net, caller) = served(answers(|heard| match heard.path.as_str() {
        "/last" => reply(200, &[], format!("you sent {SECRET}")),
        "/odd" => reply(200, &[("content-encoding", "odd")], "…"),
        _ => reply(200, &[], "fine"),
    }));
    let broker = net.broker();
    assert!(fetch(&broker, &caller, get("http://a.example/odd")).await.is_ok(), "nothing was placed yet");

    assert!(fetch(&broker, &caller, bearer("http://a.example/")).await.is_ok());

    assert_eq!(code(&broker, &caller, get("http://a.example/last")).await, "HTTP_SECRET_ECHO");
    assert_eq!(code(&broker, &caller, get("http://a.example/odd")).await, "HTTP_ENCODING");
    let other = Caller { id: "other".to_owned(), ..caller };
    assert!(
        fetch(&broker, &other, get("http://a.example/last")).await.is_ok(),
        "it is no secret of that caller"
    );
}

#[tokio::test]
async fn neither_errors_nor_receipts_hold_a_secret() {
    let (net, mut caller) = served(answers(|_| b"HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\nx".to_vec()));
    let kept = Kept::default();
    caller.receipts = Arc::new(kept.clone());

    let url = "http://a.example/bot%7B%7Bsecret:key%7D%7D/send?key={{secret:key}}";
    caller.secrets = Arc::new(Vault::default().with(
        "key",
        "plain0secret0value",
        &["http://a.example"],
        &["path", "query:key"],
    ));
    let error = fetch(&net.broker(), &caller, get(url)).await.unwrap_err();

    let shown = format!("{error} {error:?} {:?}", kept.0.lock().unwrap());
    assert!(!shown.contains("plain0secret0value"), "{shown}");
    assert!(shown.contains("/bot%7B%7Bsecret:key%7D%7D/send"), "{shown}");
}
