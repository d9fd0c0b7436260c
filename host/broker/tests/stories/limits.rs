use std::sync::Arc;

use async_trait::async_trait;
use berth_broker::{Authority, Denied, Permit, Use, whole_body};
use http_body_util::BodyExt as _;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::AsyncWriteExt as _;

use crate::net::{Net, PUBLIC, granted};
use crate::server::{answers, caller, caller_of, code, fetch, get, reply, writes};

#[tokio::test]
async fn one_request_more_than_a_minute_holds_is_refused_with_the_time_to_wait() {
    let net = Net::new();
    net.serve("93.184.215.14:80", answers(|_| reply(200, &[], "")));
    let broker = net.broker();
    let mut caller = caller(granted(json!({ "hosts": ["http://93.184.215.14"] })));
    caller.limits.per_minute = 3;
    let url = format!("http://{PUBLIC}/");

    for _ in 0..3 {
        assert!(fetch(&broker, &caller, get(&url)).await.is_ok());
    }
    let error = fetch(&broker, &caller, get(&url)).await.unwrap_err();
    assert_eq!(error.code(), "HTTP_RATE_LIMITED");
    assert!(error.is_retryable() && error.retry_after().is_some_and(|after| !after.is_zero()));

    caller.id = "another".to_owned();
    assert!(
        fetch(&broker, &caller, get(&url)).await.is_ok(),
        "one caller does not use up the minute of another"
    );
    assert_eq!(net.dials().len(), 4);
}

#[tokio::test]
async fn an_answer_counts_as_in_flight_until_its_body_is_gone() {
    let net = Net::new();
    net.serve("93.184.215.14:80", answers(|_| reply(200, &[], "body")));
    let broker = net.broker();
    let mut caller = caller(granted(json!({ "hosts": ["http://93.184.215.14"] })));
    caller.limits.concurrent = 2;
    let url = format!("http://{PUBLIC}/");

    let first = broker.send(&caller, get(&url)).await.unwrap();
    let second = broker.send(&caller, get(&url)).await.unwrap();
    assert_eq!(code(&broker, &caller, get(&url)).await, "HTTP_BUSY");

    drop(first);
    assert!(fetch(&broker, &caller, get(&url)).await.is_ok());
    second.into_body().collect().await.unwrap();
    assert!(fetch(&broker, &caller, get(&url)).await.is_ok());
}

#[tokio::test]
async fn a_body_of_the_caller_ends_at_its_limit_whether_it_says_its_length_or_not() {
    let net = Net::new();
    net.serve("93.184.215.14:80", answers(|_| reply(200, &[], "")));
    let broker = net.broker();
    let mut caller = caller(granted(json!({ "hosts": ["http://93.184.215.14"] })));
    caller.limits.max_request_bytes = 100;
    let url = format!("http://{PUBLIC}/");

    let said = http::Request::post(&url).body(whole_body(vec![b'x'; 101])).unwrap();
    assert_eq!(code(&broker, &caller, said).await, "HTTP_REQUEST_TOO_LARGE");
    assert!(net.dials().is_empty());
    let pieces =
        futures::stream::repeat_with(|| Ok(http_body::Frame::data(bytes::Bytes::from_static(&[b'x'; 60]))));
    let endless = http_body_util::StreamBody::new(pieces).boxed_unsync();
    let unsaid = http::Request::post(&url).body(endless).unwrap();
    assert_eq!(code(&broker, &caller, unsaid).await, "HTTP_REQUEST_TOO_LARGE");
}

/// Allows everything until it is told otherwise.
struct Switch(AtomicBool);

#[async_trait]
impl Authority for Switch {
    async fn authorize(&self, _: Use<'_>) -> Result<Permit, Denied> {
        if self.0.load(Ordering::Relaxed) { Ok(Permit::default()) } else { Err(Denied::new("no")) }
    }

    fn still_allows(&self, _: Use<'_>) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn what_is_taken_back_while_a_body_runs_ends_the_body() {
    let net = Net::new();
    let chunked = "HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    net.serve(
        "93.184.215.14:80",
        writes(move |mut stream| async move {
            stream.write_all(chunked.as_bytes()).await.unwrap();
            std::future::pending().await
        }),
    );
    let switch = Arc::new(Switch(AtomicBool::new(true)));
    let caller = caller_of(switch.clone());

    let mut body = net.broker().send(&caller, get(&format!("http://{PUBLIC}/"))).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    switch.0.store(false, Ordering::Relaxed);

    assert_eq!(body.frame().await.unwrap().unwrap_err().code(), "HTTP_REVOKED");
    assert!(body.frame().await.is_none());
}
