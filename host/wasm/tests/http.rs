//! Requests of a real guest through `wasi:http`, on a network that ends at this machine.
#![allow(clippy::unwrap_used)]

mod support;

use berth_wasm::HostError;
use berth_wasm::capability::logs::Stream;
use serde_json::{Value, json};
use support::host::Harness;
use support::net::Server;
use support::vault;

fn asks(hosts: &[String], more: &str) -> String {
    format!("[[capability]]\nname = \"http\"\nscope = {{ hosts = {} }}\n{more}", json!(hosts))
}

/// A host with the guest that sends what it is told, which may reach the server.
async fn granted(server: &Server, more: &str) -> Harness {
    let berth = Harness::start().await;
    let hosts = [server.url("")];
    berth.grant("http", "http", json!({ "hosts": hosts })).await;
    berth.install_fixture("http", &asks(&hosts, more)).await.unwrap();
    berth
}

async fn send(berth: &Harness, request: Value) -> Value {
    berth.answer("http_send", request).await
}

fn notes(berth: &Harness) -> Vec<String> {
    let lines = berth.host.logs(&"http".parse().unwrap()).unwrap();
    lines.into_iter().filter(|line| line.stream == Stream::Host).map(|line| line.text).collect()
}

#[tokio::test]
async fn a_granted_server_answers_the_guest() {
    let server = Server::start().await;
    let berth = granted(&server, "").await;

    let got = send(&berth, json!({ "url": server.url("/hello?a=1") })).await;
    assert_eq!((&got["status"], &got["body"]), (&json!(200), &json!("GET /hello?a=1 ")));
    assert!(got["headers"].as_array().unwrap().contains(&json!(["x-server", "loopback"])), "{got}");

    let posted = json!({ "method": "POST", "url": server.url("/hello"), "body": r#"{"a":1}"#, "headers": { "content-type": "application/json" } });
    assert_eq!(send(&berth, posted).await["body"], r#"POST /hello {"a":1}"#);
}

#[tokio::test]
async fn what_nobody_granted_is_denied_as_a_value_and_the_log_names_the_grant() {
    let server = Server::start().await;
    let berth = Harness::start().await;
    berth.install_fixture("http", &asks(&["https://a.example".to_owned()], "")).await.unwrap();

    let denied = send(&berth, json!({ "url": "https://a.example/x" })).await;
    let beside = send(&berth, json!({ "url": server.url("/hello") })).await;

    assert_eq!(denied, json!({ "error": "ErrorCode::HttpRequestDenied" }));
    assert_eq!(beside, json!({ "error": "ErrorCode::HttpRequestDenied" }));
    let notes = notes(&berth);
    let wanted = r#"berth plugin grant http http --scope '{"hosts":["https://a.example"],"paths":["/x"],"methods":["GET"]}'"#;
    assert!(
        notes[0].starts_with("HTTP_DENIED: GET https://a.example/x: ") && notes[0].contains(wanted),
        "{notes:?}"
    );
    assert!(notes[1].contains("its manifest does not ask for it"), "{notes:?}");
    assert!(berth.net.asked().is_empty() && berth.net.dialled().is_empty());
}

#[tokio::test]
async fn a_manifest_with_a_private_host_installs_only_behind_a_grant_that_names_it() {
    let server = Server::start().await;
    let berth = Harness::start().await;
    let manifest = asks(&[server.url("")], "");

    let refused = berth.install_fixture("http", &manifest).await.unwrap_err();
    assert!(matches!(refused, HostError::PrivateTarget { .. }), "{refused}");
    assert!(refused.to_string().contains("berth plugin grant http http --scope"), "{refused}");

    berth.grant("http", "http", json!({ "hosts": [server.url("")] })).await;
    assert!(berth.install_fixture("http", &manifest).await.is_ok());
}

#[tokio::test]
async fn a_public_name_that_leads_into_the_house_and_a_redirect_there_are_blocked() {
    let server = Server::start().await;
    let berth = granted(&server, "").await;
    let other = Server::start().await;
    for url in [
        other.url("/hello"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://0x7f.1/".to_owned(),
    ] {
        let answer = send(&berth, json!({ "url": server.url(&format!("/to/{url}")) })).await;
        assert_eq!(answer, json!({ "error": "ErrorCode::HttpRequestDenied" }), "{url}");
    }
    assert!(berth.net.dialled().iter().all(|address| *address == server.address));

    let house = Harness::start().await;
    house.net.name("a.example", "192.168.1.1");
    house.grant("http", "http", json!({ "hosts": ["http://a.example"] })).await;
    house.install_fixture("http", &asks(&["http://a.example".to_owned()], "")).await.unwrap();
    let answer = send(&house, json!({ "url": "http://a.example/" })).await;
    assert_eq!(answer, json!({ "error": "ErrorCode::DestinationIpProhibited" }));
    assert!(house.net.dialled().is_empty());
}

#[tokio::test]
async fn a_guest_cannot_steer_the_connection_by_headers_or_wait_longer_than_it_says() {
    let server = Server::start().await;
    let berth = granted(&server, "").await;

    for name in ["host", "connection", "transfer-encoding", "proxy-authorization", "expect"] {
        let answer = send(&berth, json!({ "url": server.url("/hello"), "headers": { name: "x" } })).await;
        assert_eq!(answer, json!({ "error": "HeaderError::Forbidden" }), "{name}");
    }
    let late = send(&berth, json!({ "url": server.url("/silent"), "first_byte_ms": 50 })).await;
    assert_eq!(late, json!({ "error": "ErrorCode::HttpResponseTimeout" }));
}

#[tokio::test]
async fn a_call_that_waits_for_an_answer_ends_when_it_is_cancelled_and_others_go_on() {
    let server = Server::start().await;
    let berth = granted(&server, "").await;

    let (cancel, call) = berth.spawn_cancellable("http_send", json!({ "url": server.url("/silent") }));
    server.until_heard().await;
    let beside = send(&berth, json!({ "url": server.url("/hello") })).await;
    assert_eq!(beside["status"], 200);
    cancel.cancel();

    let failure = call.await.unwrap().unwrap_err();
    assert_eq!(failure.code, "PLUGIN_CANCELLED");
}

#[tokio::test]
async fn a_grant_that_is_taken_back_ends_a_body_that_is_being_read() {
    let server = Server::start().await;
    let berth = Harness::start().await;
    let grant = berth.grant("http", "http", json!({ "hosts": [server.url("")] })).await;
    berth.install_fixture("http", &asks(&[server.url("")], "")).await.unwrap();

    let call = berth.spawn("http_send", json!({ "url": server.url("/half") }));
    server.until_heard().await;
    berth.host.revoke(grant).await.unwrap();
    server.go_on();

    let answer = call.await.unwrap().unwrap().content;
    assert_eq!(answer["error"], "ErrorCode::HttpRequestDenied", "{answer}");
    assert!(notes(&berth)[0].starts_with("HTTP_REVOKED: "), "{:?}", notes(&berth));
}

#[tokio::test]
async fn a_grant_that_is_taken_back_ends_who_waits_for_an_answer_or_the_rest_of_one() {
    for path in ["/silent", "/half"] {
        let server = Server::start().await;
        let berth = Harness::start().await;
        let grant = berth.grant("http", "http", json!({ "hosts": [server.url("")] })).await;
        berth.install_fixture("http", &asks(&[server.url("")], "")).await.unwrap();

        let call = berth.spawn("http_send", json!({ "url": server.url(path) }));
        server.until_heard().await;
        // The server says nothing more.
        berth.host.revoke(grant).await.unwrap();

        let answer = call.await.unwrap().unwrap().content;
        assert_eq!(answer["error"], "ErrorCode::HttpRequestDenied", "{path}: {answer}");
    }
}

#[tokio::test]
async fn the_limits_of_the_manifest_bound_requests_and_answers() {
    let server = Server::start().await;
    let limit = "limit = { concurrent = 2, per_minute = 5, max_response_bytes = 50000 }";
    let berth = granted(&server, limit).await;
    let hello = server.url("/hello");

    let large = send(&berth, json!({ "url": server.url("/large") })).await;
    assert_eq!(large, json!({ "error": "ErrorCode::HttpResponseBodySize(Some(50000))" }));
    let three = berth.answer("http_together", json!({ "urls": [hello, hello, hello] })).await;
    assert_eq!((&three[0]["status"], &three[1]["status"]), (&json!(200), &json!(200)));
    assert_eq!(three[2], json!({ "error": "ErrorCode::ConnectionLimitReached" }));

    let fourth = berth.answer("http_together", json!({ "urls": [hello, hello] })).await;
    assert_eq!((&fourth[0]["status"], &fourth[1]["status"]), (&json!(200), &json!(200)), "{fourth}");
    let sixth = send(&berth, json!({ "url": hello })).await;
    assert!(sixth["error"].as_str().unwrap().contains("HTTP_RATE_LIMITED"), "{sixth}");
}

#[tokio::test]
async fn a_secret_that_a_guest_names_reaches_the_server_and_never_the_guest() {
    let server = Server::start().await;
    let scope = |place: &str| json!({ "id": "key", "audience": [server.url("")], "place": [place] });
    let capability = format!(
        "[[capability]]\nname = \"secret\"\nscope = {{ id = \"key\", audience = [\"{}\"], place = [\"query:key\", \"header:x-key\"] }}\n",
        server.url("")
    );
    let berth = granted(&server, &capability).await;
    vault::keep(&berth.desk, "http", "key", b"s3cr3t-of-the-operator").await;
    let named = json!({ "url": server.url("/hello?key={{secret:key}}") });

    let denied = send(&berth, named.clone()).await;
    assert_eq!(denied, json!({ "error": "ErrorCode::HttpRequestDenied" }));
    assert!(notes(&berth)[0].contains("berth plugin grant http secret --scope"), "{:?}", notes(&berth));
    berth.grant("http", "secret", scope("query:key")).await;

    // The server repeats what it heard, so that it came there shows in what did not come back.
    let echoed = send(&berth, named).await;
    let elsewhere = json!({ "url": server.url("/hello"), "headers": { "x-key": "{{secret:key}}" } });
    let elsewhere = send(&berth, elsewhere).await;

    assert!(echoed["error"].as_str().unwrap().contains("HTTP_SECRET_ECHO"), "{echoed}");
    assert_eq!(elsewhere, json!({ "error": "ErrorCode::HttpRequestDenied" }), "that place is not granted");
    assert!(!format!("{echoed} {:?}", notes(&berth)).contains("s3cr3t-of"), "{echoed}");
}
