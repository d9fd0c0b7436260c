use std::time::Duration;

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use berth_broker::Caller;
use http_body_util::BodyExt as _;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::net::{Net, PUBLIC, granted};
use crate::server::{Handler, answers, caller, code, fetch, get, reply, writes};

fn served(handler: Handler) -> (Net, Caller) {
    let net = Net::new();
    net.name("a.example", &[PUBLIC]).serve(&format!("{PUBLIC}:80"), handler);
    (net, caller(granted(json!({ "hosts": ["http://a.example"] }))))
}

/// Takes the request and never says a word.
fn silent() -> Handler {
    writes(|stream| async move {
        let _open = stream;
        std::future::pending().await
    })
}

async fn packed(coding: &str, plain: &[u8]) -> Vec<u8> {
    macro_rules! pack {
        ($encoder:ident) => {{
            let mut encoder = $encoder::new(Vec::new());
            encoder.write_all(plain).await.unwrap();
            encoder.shutdown().await.unwrap();
            encoder.into_inner()
        }};
    }
    match coding {
        "gzip" => pack!(GzipEncoder),
        "deflate" => pack!(ZlibEncoder),
        "br" => pack!(BrotliEncoder),
        "zstd" => pack!(ZstdEncoder),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_compressed_body_is_handed_out_decoded() {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let body = packed(coding, b"hello, hello, hello").await;
        let (net, caller) = served(answers(move |heard| {
            assert_eq!(heard.header("accept-encoding"), Some("gzip, deflate, br, zstd"));
            reply(200, &[("content-encoding", coding)], &body)
        }));

        let answer = net.broker().send(&caller, get("http://a.example/")).await.unwrap();

        assert!(answer.headers().get("content-encoding").is_none(), "{coding}");
        assert!(answer.headers().get("content-length").is_none(), "{coding}");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "hello, hello, hello", "{coding}");
    }
}

#[tokio::test]
async fn a_bomb_ends_at_the_limit_of_decoded_bytes_whatever_it_is_packed_with() {
    let zeros = vec![0_u8; 4 << 20];
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bomb = packed(coding, &zeros).await;
        assert!(bomb.len() < 20_000, "{coding}");
        let (net, mut caller) = served(answers(move |_| reply(200, &[("content-encoding", coding)], &bomb)));
        caller.limits.max_response_bytes = 1 << 20;

        let mut body = net.broker().send(&caller, get("http://a.example/")).await.unwrap().into_body();
        let mut got = 0;
        let error = loop {
            match body.frame().await.unwrap() {
                Ok(frame) => got += frame.into_data().unwrap().len(),
                Err(error) => break error,
            }
        };

        assert_eq!(error.code(), "HTTP_RESPONSE_TOO_LARGE", "{coding}");
        assert!(got <= 1 << 20, "{coding}: {got}");
    }
}

#[tokio::test]
async fn a_bomb_in_a_bomb_ends_too() {
    let inner = packed("gzip", &vec![0_u8; 8 << 20]).await;
    let bomb = packed("gzip", &inner).await;
    let (net, mut caller) =
        served(answers(move |_| reply(200, &[("content-encoding", "gzip, gzip")], &bomb)));
    caller.limits.max_response_bytes = 1 << 20;

    assert_eq!(code(&net.broker(), &caller, get("http://a.example/")).await, "HTTP_RESPONSE_TOO_LARGE");
}

#[tokio::test]
async fn a_broken_or_cut_body_is_an_error_and_never_an_end() {
    let whole = packed("gzip", &[7; 1000]).await;
    let cut = whole[..whole.len() / 2].to_vec();
    for body in [b"this is no gzip".to_vec(), cut] {
        let (net, caller) = served(answers(move |_| reply(200, &[("content-encoding", "gzip")], &body)));
        assert_eq!(code(&net.broker(), &caller, get("http://a.example/")).await, "HTTP_ENCODING");
    }
    let (net, caller) = served(answers(|_| b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\nshort".to_vec()));
    assert_eq!(code(&net.broker(), &caller, get("http://a.example/")).await, "HTTP_PROTOCOL");
}

#[tokio::test]
async fn an_unknown_coding_is_handed_on_as_it_is() {
    let (net, caller) = served(answers(|_| reply(200, &[("content-encoding", "aws-chunked")], "raw")));

    let answer = net.broker().send(&caller, get("http://a.example/")).await.unwrap();

    assert_eq!(answer.headers().get("content-encoding").unwrap(), "aws-chunked");
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "raw");
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_comes() {
    let (net, mut caller) =
        served(answers(|_| b"HTTP/1.1 200 X\r\ncontent-length: 1000000\r\n\r\n".to_vec()));
    caller.limits.max_response_bytes = 1000;

    let error = net.broker().send(&caller, get("http://a.example/")).await.err().unwrap();

    assert_eq!(error.code(), "HTTP_RESPONSE_TOO_LARGE");
}

#[tokio::test]
async fn a_body_without_an_end_ends_at_the_limit() {
    let (net, mut caller) = served(writes(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    }));
    caller.limits.max_response_bytes = 1 << 20;

    assert_eq!(code(&net.broker(), &caller, get("http://a.example/")).await, "HTTP_RESPONSE_TOO_LARGE");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_with_the_time_of_the_call() {
    let (net, caller) = served(writes(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await.unwrap();
        // The clock of the test stands still: it goes on when nobody else can.
        let mut second = tokio::time::interval(Duration::from_secs(1));
        while stream.write_all(b"x").await.is_ok() {
            second.tick().await;
        }
    }));

    assert_eq!(code(&net.broker(), &caller, get("http://a.example/")).await, "HTTP_DEADLINE");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_ends_at_the_time_out_of_its_phase() {
    let (net, mut caller) = served(silent());
    caller.bounds.timeouts.first_byte = Duration::from_secs(2);
    caller.bounds.timeouts.between_bytes = Duration::from_secs(3);
    let error = fetch(&net.broker(), &caller, get("http://a.example/")).await.unwrap_err();
    assert_eq!(error.to_string(), "waiting for the answer took longer than 2000 ms");

    net.serve(
        &format!("{PUBLIC}:80"),
        writes(|mut stream| async move {
            stream.write_all(b"HTTP/1.1 200 X\r\n\r\nhalf").await.unwrap();
            std::future::pending::<()>().await;
        }),
    );
    let error = fetch(&net.broker(), &caller, get("http://a.example/")).await.unwrap_err();
    assert_eq!(error.to_string(), "waiting for more of the body took longer than 3000 ms");
}

#[tokio::test(start_paused = true)]
async fn no_caller_waits_longer_than_the_host_lets_it() {
    let (net, mut caller) = served(silent());
    caller.bounds.deadline += Duration::from_secs(3600);
    caller.bounds.timeouts.first_byte = Duration::from_secs(3600);

    let error = fetch(&net.broker(), &caller, get("http://a.example/")).await.unwrap_err();

    assert_eq!(error.to_string(), "waiting for the answer took longer than 60000 ms");
}

#[tokio::test]
async fn a_cancelled_call_stops_waiting_for_the_head_and_for_the_body() {
    let (net, caller) = served(silent());
    let broker = net.broker();
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { code(&broker, &caller, get("http://a.example/")).await }
    });
    caller.bounds.cancel.cancel();
    assert_eq!(waiting.await.unwrap(), "HTTP_CANCELLED");

    let (net, caller) = served(writes(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 200 X\r\n\r\nhalf").await.unwrap();
        std::future::pending::<()>().await;
    }));
    let mut body = net.broker().send(&caller, get("http://a.example/")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    caller.bounds.cancel.cancel();
    assert_eq!(body.frame().await.unwrap().unwrap_err().code(), "HTTP_CANCELLED");
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    for bytes in [
        "not http at all\r\n\r\n".to_owned(),
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 X\r\nx: {}\r\n\r\n", "x".repeat(70 << 10)),
        format!("HTTP/1.1 200 X\r\n{}\r\n", "x: y\r\n".repeat(200)),
        "HTTP/1.1 200 X\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx".to_owned(),
    ] {
        let begin = bytes.chars().take(60).collect::<String>();
        let (net, caller) = served(answers(move |_| bytes.clone().into_bytes()));
        let error =
            fetch(&net.broker(), &caller, get("http://a.example/")).await.map_err(|error| error.code());
        assert_eq!(error, Err("HTTP_PROTOCOL"), "{begin}");
    }
}
