//! Tokens, origins, hello and goodbye.

use std::time::Duration;

use berth_testkit::tidy;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::http::Request;

use crate::support::{Berth, Client, End, TOKEN, hello, protocol};

/// The status and body that refuse a connection.
async fn refused(request: Request<()>) -> (u16, Value) {
    match Client::open(request).await {
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            (response.status().as_u16(), serde_json::from_slice(body).unwrap())
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the socket is open"),
    }
}

fn with(mut request: Request<()>, name: &'static str, value: &str) -> Request<()> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn v01_without_a_token_nobody_connects() {
    let berth = Berth::start().await;

    let (status, body) = refused(berth.request("")).await;

    assert_eq!(status, 401);
    insta::assert_snapshot!(tidy(&body), @r#"{"schema":"meetyou.ws.v1","kind":"error","error":{"code":"unauthorized","category":"runtime","message":"the access token is missing or wrong","retryable":false,"details":{"auth_type":"bearer_or_api_key_or_query"},"occurred_at":"<time>"}}"#);
}

#[tokio::test]
async fn v02_a_wrong_header_decides_over_a_right_query() {
    let berth = Berth::start().await;
    let query = format!("?access_token={TOKEN}");

    let bearer = refused(with(berth.request(&query), "authorization", "Bearer wrong")).await;
    let key = refused(with(berth.request(&query), "x-api-key", "wrong")).await;

    assert_eq!((bearer.0, key.0), (401, 401));
}

#[tokio::test]
async fn v03_a_scheme_that_is_not_bearer_counts_as_none() {
    let berth = Berth::start().await;
    let query = format!("?thread_id=x&access_token={TOKEN}");

    let mut client = Client::open(with(berth.request(&query), "authorization", "Basic x")).await.unwrap();

    client.hears_nothing_more().await;
}

#[tokio::test]
async fn v04_pages_of_foreign_origins_do_not_connect() {
    let berth = Berth::start().await;
    let query = format!("?access_token={TOKEN}");

    for origin in ["https://evil.example", "null"] {
        let (status, body) = refused(with(berth.request(&query), "origin", origin)).await;

        assert_eq!((status, &body["error"]["code"]), (403, &json!("origin_not_allowed")), "{origin}");
        assert_eq!(body["error"]["details"]["origin"], origin);
    }
    for origin in ["https://home.example", "http://localhost:5173"] {
        Client::open(with(berth.request(&query), "origin", origin)).await.unwrap();
    }
}

#[tokio::test]
async fn a_get_without_an_upgrade_finds_nothing() {
    let berth = Berth::start().await;
    let mut socket = TcpStream::connect(berth.address).await.unwrap();

    socket.write_all(b"GET /endpoint/ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();

    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(answer.ends_with(r#"{"detail":"Not Found"}"#), "{answer}");
}

#[tokio::test]
async fn a_full_hub_refuses_the_next_socket_and_takes_one_again_later() {
    let berth = Berth::start_with(|config| config.max_sockets = 1).await;
    let first = berth.connect().await;
    let request = || with(berth.request(""), "x-api-key", TOKEN);

    let (status, body) = refused(request()).await;
    drop(first);
    // The place is free when the hub has seen that the first one left.
    let again = loop {
        match Client::open(request()).await {
            Err(Error::Http(_)) => tokio::task::yield_now().await,
            other => break other,
        }
    };

    assert_eq!((status, &body["error"]["code"]), (503, &json!("endpoint_sockets_exhausted")));
    again.unwrap().hears_nothing_more().await;
}

#[tokio::test]
async fn a_good_hello_is_acknowledged_with_all_that_clients_need() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    client.say("endpoint.hello", hello("edge.lab1.executor")).await;

    insta::assert_snapshot!(tidy(&client.hears_any().await), @r#"{"schema":"meetyou.endpoint.ws.v4","type":"endpoint.hello.ack","endpoint_id":"edge.lab1.executor","correlation_id":"m1","payload":{"accepted":true,"connection_id":"conn_1","requires_capabilities_snapshot":true,"heartbeat_interval_seconds":20,"registered_endpoints":["edge.lab1.executor"],"protocol":{"selected_schema":"meetyou.endpoint.ws.v4","selected_version":4,"enabled_features":[],"disabled_features":["tool_snapshot_optional","connection_prompt","feature_negotiation","heartbeat_interval_negotiation","hello_reject_reason"],"compatibility_mode":"negotiated"}}}"#);
    assert!(berth.is_connected("edge.lab1.executor"));
    assert_eq!(berth.status_of("edge.lab1.executor").await, "online");
}

#[tokio::test]
async fn v08_a_hello_without_an_offer_is_rejected() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    for payload in [json!({}), json!([]), json!({ "protocol": [] })] {
        client.say("endpoint.hello", payload).await;

        let ack = client.hears("endpoint.hello.ack").await;
        assert_eq!((&ack["endpoint_id"], &ack["payload"]["accepted"]), (&json!(""), &json!(false)));
        assert_eq!(ack["payload"]["reject_reason"]["code"], "endpoint_protocol_required");
    }
}

#[tokio::test]
async fn v09_another_version_or_schema_is_rejected() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    for protocol in [
        json!({ "schema": "meetyou.endpoint.ws.v4", "version": 3 }),
        json!({ "supported_schemas": ["meetyou.endpoint.ws.v3"], "supported_versions": [3, 4] }),
    ] {
        let mut payload = hello("edge");
        payload["protocol"] = protocol;
        client.say("endpoint.hello", payload).await;

        let ack = client.hears("endpoint.hello.ack").await;
        assert_eq!(ack["payload"]["reject_reason"]["code"], "unsupported_endpoint_protocol");
    }
}

#[tokio::test]
async fn v10_features_that_core_does_not_know_are_named_in_order() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;
    let mut payload = hello("edge");
    payload["protocol"]["required_features"] = json!(["zzz", "aaa"]);

    client.say("endpoint.hello", payload).await;

    let reason = client.hears("endpoint.hello.ack").await["payload"]["reject_reason"].clone();
    assert_eq!(reason["code"], "unsupported_endpoint_features");
    assert!(reason["message"].as_str().unwrap().ends_with("aaa, zzz"), "{reason}");
}

#[tokio::test]
async fn v11_a_hello_without_a_usable_endpoint_is_rejected_and_may_be_said_again() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    for endpoints in [json!([]), json!([1, { "endpoint_id": " " }]), json!(null)] {
        client.say("endpoint.hello", json!({ "protocol": protocol(), "endpoints": endpoints })).await;
        let ack = client.hears("endpoint.hello.ack").await;
        assert_eq!(ack["payload"]["reject_reason"]["code"], "endpoint_required");
    }
    client.say("endpoint.hello", hello("edge")).await;

    assert_eq!(client.hears("endpoint.hello.ack").await["payload"]["accepted"], true);
}

#[tokio::test]
async fn v12_offered_and_required_features_are_enabled_in_cores_order() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;
    let mut payload = hello("edge");
    payload["protocol"] = json!({
        "schema": "meetyou.endpoint.ws.v4", "version": "4",
        "features": ["connection_prompt", "zzz"], "required_features": ["hello_reject_reason"],
    });

    client.say("endpoint.hello", payload).await;

    let agreed = client.hears("endpoint.hello.ack").await["payload"]["protocol"].clone();
    assert_eq!(agreed["enabled_features"], json!(["connection_prompt", "hello_reject_reason"]));
    assert_eq!(
        agreed["disabled_features"],
        json!(["tool_snapshot_optional", "feature_negotiation", "heartbeat_interval_negotiation"])
    );
}

#[tokio::test]
async fn ids_that_no_database_holds_are_rejected() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;

    let long = "x".repeat(256);
    client.say("endpoint.hello", hello(&long)).await;
    let too_long = client.hears("endpoint.hello.ack").await;
    let mut payload = hello("edge");
    payload["provider"]["provider_type"] = json!("t".repeat(65));
    client.say("endpoint.hello", payload).await;
    let type_too_long = client.hears("endpoint.hello.ack").await;
    client.say("endpoint.hello", hello("core.local")).await;
    let of_core = client.hears("endpoint.hello.ack").await;

    let code = |ack: &Value| ack["payload"]["reject_reason"]["code"].clone();
    assert_eq!(code(&too_long), "invalid_endpoint_id");
    assert_eq!(code(&type_too_long), "invalid_endpoint");
    assert_eq!(code(&of_core), "core_endpoint_reserved");
}

#[tokio::test]
async fn v24_a_second_hello_takes_the_place_of_the_first() {
    let berth = Berth::start().await;
    let mut client = berth.connect().await;
    client.say("endpoint.hello", hello("edge.a")).await;
    let first = client.hears("endpoint.hello.ack").await;

    client.say("endpoint.hello", hello("edge.b")).await;

    let second = client.hears("endpoint.hello.ack").await;
    assert_eq!(second["payload"]["registered_endpoints"], json!(["edge.b"]));
    assert_ne!(first["payload"]["connection_id"], second["payload"]["connection_id"]);
    assert!(!berth.is_connected("edge.a") && berth.is_connected("edge.b"));
    assert_eq!(berth.status_of("edge.a").await, "offline");
}

#[tokio::test]
async fn v25_goodbye_closes_the_socket_and_the_endpoint_is_offline() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;

    client.say("endpoint.goodbye", json!({ "reason": "done" })).await;

    assert_eq!(client.hears_the_end().await, End::Closed(1000));
    assert!(!berth.is_connected("edge"));
    berth.core.shutdown().await;
    berth.hub.drained().await;
    assert_eq!(berth.status_of("edge").await, "offline");
}

#[tokio::test]
async fn a_second_socket_of_an_endpoint_kicks_nobody() {
    let berth = Berth::start().await;
    let mut first = berth.surface("feishu.provider.ui").await;

    let second = berth.surface("feishu.provider.ui").await;
    first.hears_nothing_more().await;
    drop(second);
    first.hears_nothing_more().await;

    assert!(berth.is_connected("feishu.provider.ui"));
}

#[tokio::test]
async fn a_socket_that_says_nothing_is_closed_and_one_that_only_listens_is_not() {
    let berth = Berth::start_with(|config| config.timing.hello_within = Duration::from_secs(1)).await;
    let mut listener = berth.connect().await;
    listener.follows("thread", "thr_x", None).await;
    let mut silent = berth.connect().await;

    assert_eq!(silent.hears_the_end().await, End::Closed(1008));
    listener.hears_nothing_more().await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_closed() {
    let berth = Berth::start_with(|config| {
        config.timing.ping_every = Duration::from_millis(20);
        config.timing.pong_within = Duration::from_millis(20);
    })
    .await;
    // Bytes alone: nothing here answers a ping.
    let mut socket = TcpStream::connect(berth.address).await.unwrap();
    let request = format!(
        "GET /endpoint/ws HTTP/1.1\r\nHost: x\r\nX-API-Key: {TOKEN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await.unwrap();

    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).await.unwrap();

    let close = heard.windows(4).find(|bytes| bytes[0] == 0x88).expect("a close frame");
    assert_eq!(u16::from_be_bytes([close[2], close[3]]), 1011);
}

#[tokio::test]
async fn a_host_that_stops_closes_its_sockets_and_takes_no_more() {
    let berth = Berth::start().await;
    let mut client = berth.surface("edge").await;

    let (end, ()) = tokio::join!(client.hears_the_end(), berth.core.shutdown());
    berth.hub.drained().await;

    assert_eq!(end, End::Closed(1001));
    assert_eq!(refused(with(berth.request(""), "x-api-key", TOKEN)).await.0, 503);
    assert_eq!(berth.hub.sockets(), 0);
}
