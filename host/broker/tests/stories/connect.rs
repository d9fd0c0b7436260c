use std::time::Duration;

use berth_broker::{Bounds, BrokerError, OutboundPolicy, Target};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::net::{Net, PUBLIC, certificate, granted, listener};

fn target(text: &str) -> Target {
    Target::parse(text).unwrap()
}

async fn refused(net: &Net, url: &str, policy: &OutboundPolicy) -> BrokerError {
    match net.broker().connect(&target(url), policy).await {
        Ok(connection) => panic!("connected to {}", connection.address),
        Err(error) => error,
    }
}

/// Takes one connection and says `hello`.
async fn greet(listener: tokio::net::TcpListener) {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"hello").await.unwrap();
}

#[tokio::test]
async fn a_name_that_nobody_granted_is_never_looked_up() {
    let net = Net::new();

    let error =
        refused(&net, "https://a.example/", &granted(json!({ "hosts": ["https://b.example"] }))).await;

    assert_eq!(error.code(), "HTTP_DENIED");
    assert_eq!(net.names_asked(), Vec::<String>::new());
    assert_eq!(net.dials(), Vec::<String>::new());
}

#[tokio::test]
async fn a_granted_name_that_leads_into_the_house_is_not_dialled() {
    let policy = granted(json!({ "hosts": ["http://a.example"] }));
    for address in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"] {
        let net = Net::new();
        net.name("a.example", &[address]);

        let error = refused(&net, "http://a.example/", &policy).await;

        assert_eq!(error.code(), "HTTP_ADDRESS_CLOSED", "{address}");
        assert!(error.to_string().contains(&format!("\"addresses\": [\"{address}\"]")), "{error}");
        assert_eq!(net.dials(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn of_several_addresses_only_the_public_ones_are_dialled() {
    let net = Net::new();
    net.name("a.example", &["10.0.0.1", "93.184.215.99", "::1", PUBLIC]);
    let (listener, server) = listener().await;
    net.route(&format!("{PUBLIC}:80"), server);
    tokio::spawn(greet(listener));

    let policy = granted(json!({ "hosts": ["http://a.example"] }));
    let mut connection = net.broker().connect(&target("http://a.example/"), &policy).await.unwrap();

    let mut text = String::new();
    connection.stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    assert_eq!(net.dials(), ["93.184.215.99:80", "93.184.215.14:80"]);
}

#[tokio::test]
async fn a_name_that_answers_differently_the_second_time_is_asked_only_once() {
    let net = Net::new();
    net.name("a.example", &[PUBLIC]).name("a.example", &["127.0.0.1"]);
    let (listener, server) = listener().await;
    net.route(&format!("{PUBLIC}:80"), server);
    tokio::spawn(greet(listener));
    let policy = granted(json!({ "hosts": ["http://a.example"] }));

    let connection = net.broker().connect(&target("http://a.example/"), &policy).await.unwrap();
    assert_eq!(connection.address.to_string(), format!("{PUBLIC}:80"));
    assert_eq!(net.names_asked(), ["a.example"]);

    let error = refused(&net, "http://a.example/", &policy).await;
    assert_eq!(error.code(), "HTTP_ADDRESS_CLOSED");
    assert_eq!(net.dials(), [format!("{PUBLIC}:80")]);
}

#[tokio::test]
async fn an_address_that_the_grant_names_is_dialled_however_it_is_written() {
    let (listener, server) = listener().await;
    let net = Net::new();
    net.route(&server.to_string(), server);
    tokio::spawn(async move {
        loop {
            listener.accept().await.unwrap();
        }
    });
    let port = server.port();
    let policy =
        granted(json!({ "hosts": [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")] }));

    for host in ["127.0.0.1", "2130706433", "0x7f000001", "127.1", "localhost", "LocalHost."] {
        let url = format!("ws://{host}:{port}/socket");
        assert!(net.broker().connect(&target(&url), &policy).await.is_ok(), "{url}");
    }
    let other = refused(&net, &format!("http://127.0.0.2:{port}/"), &policy).await;

    assert_eq!(other.code(), "HTTP_DENIED");
    assert_eq!(net.names_asked(), Vec::<String>::new(), "localhost is known without asking");
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_is_not_talked_to() {
    let (acceptor, tls) = certificate(&["a.example"]);
    let (listener, server) = listener().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    stream.write_all(b"hello").await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            });
        }
    });
    let net = Net::new();
    net.name("a.example", &[PUBLIC]).name("b.example", &[PUBLIC]).route(&format!("{PUBLIC}:443"), server);
    let policy = granted(json!({ "hosts": ["https://a.example", "https://b.example"] }));

    let mut good =
        net.broker_with(tls.clone()).connect(&target("https://a.example/"), &policy).await.unwrap();
    let mut text = String::new();
    good.stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");

    let wrong_name =
        net.broker_with(tls).connect(&target("https://b.example/"), &policy).await.err().unwrap();
    assert_eq!(wrong_name.code(), "HTTP_TLS_FAILED");
    let unknown_root = refused(&net, "https://a.example/", &policy).await;
    assert_eq!(unknown_root.code(), "HTTP_TLS_FAILED");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_never_answers_ends_at_the_time_out_of_its_phase() {
    struct Silent;
    #[async_trait::async_trait]
    impl berth_broker::Dialer for Silent {
        async fn dial(&self, _: std::net::SocketAddr) -> std::io::Result<Box<dyn berth_broker::Stream>> {
            std::future::pending().await
        }
    }
    let broker = berth_broker::Broker::new(berth_broker::BrokerParts {
        resolver: std::sync::Arc::new(Net::new()),
        dialer: std::sync::Arc::new(Silent),
        tls: berth_broker::Tls::only(Vec::new()),
    });
    let policy = granted(json!({ "hosts": ["http://8.8.8.8"] }));
    let to = target("http://8.8.8.8/");

    let slow = broker.connect(&to, &policy).await.err().unwrap();
    assert_eq!(slow.code(), "HTTP_TIMEOUT");
    let short = Bounds::within(Duration::from_secs(1));
    let late = broker.connect_within(&to, &policy, &short).await.err().unwrap();
    assert_eq!(late.code(), "HTTP_DEADLINE");
    let cancelled = Bounds::within(Duration::from_secs(60));
    cancelled.cancel.cancel();
    let ended = broker.connect_within(&to, &policy, &cancelled).await.err().unwrap();
    assert_eq!(ended.code(), "HTTP_CANCELLED");
}
