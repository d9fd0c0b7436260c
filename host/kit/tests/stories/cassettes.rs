//! What a real server said once is played again, byte for byte, without what is secret.

use std::net::SocketAddr;
use std::path::Path;

use berth_kit::{Recording, Subject, run};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{all_passed, built, tell_in};

const SECRET: &str = "canary-0123456789";
/// Two chunks, and a header that nobody else sends.
const ANSWER: &str = "HTTP/1.1 200 OK\r\nx-served-by: loopback\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                      4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n";

/// A server on loopback that answers once; what it heard.
async fn server(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.windows(4).any(|window| window == b"\r\n\r\n") {
            stream.read_buf(&mut heard).await.unwrap();
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8(heard).unwrap()
    });
    (address, heard)
}

fn story(address: SocketAddr, path: &str) -> String {
    format!(
        r#"
[[case]]
name = "A thing, read"
record = true
secrets = {{ token = "{SECRET}" }}
[[case.grant]]
capability = "http"
scope = {{ hosts = ["http://{address}"] }}
[[case.grant]]
capability = "secret"
scope = {{ id = "token", audience = ["http://{address}"], place = ["header:authorization"] }}
[[case.step]]
call = "http_read"
args = {{ url = "http://{address}{path}", secret = {{ name = "token", place = {{ tag = "bearer" }} }} }}
contains = {{ status = 200, body = "one two" }}
"#
    )
}

fn cassette(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("tests/cassettes/a-thing-read.json")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_recorded_without_secrets_and_played_again_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (address, heard) = server(ANSWER).await;
    let recording = Recording::system();

    let recorded = tell_in("http", &story(address, "/a"), Some(&recording), folder.path()).await;

    all_passed(&recorded);
    assert!(recorded[0].recorded);
    assert!(heard.await.unwrap().contains(&format!("authorization: Bearer {SECRET}")));
    let kept = cassette(folder.path());
    assert!(kept.contains("Bearer {{secret:token}}") && !kept.contains(SECRET), "{kept}");
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let pieces = kept["exchanges"][0]["answer"].as_array().unwrap();
    let whole: String = pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect();
    assert_eq!(whole, ANSWER);

    // The server is gone, and another secret stands in for the one that was.
    let again = story(address, "/a").replace(SECRET, "another-value-1");
    let played = tell_in("http", &again, None, folder.path()).await;
    all_passed(&played);
    assert!(!played[0].recorded);

    let other = tell_in("http", &story(address, "/b"), None, folder.path()).await;
    let told = other[0].text();
    assert!(
        told.contains("/b is not what was recorded")
            && told.contains(&format!("expected  http://{address}/a")),
        "{told}"
    );
    assert!(told.contains("--record"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_with_a_secret_and_a_server_outside_of_the_grants_are_not_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let echo = "HTTP/1.1 200 OK\r\ncontent-length: 17\r\nconnection: close\r\n\r\ncanary-0123456789";
    let (address, _heard) = server(echo).await;
    let recording = Recording::system();

    let told = tell_in("http", &story(address, "/a"), Some(&recording), folder.path()).await;

    assert!(told[0].text().contains("the answer holds a secret"), "{}", told[0].text());
    assert!(!folder.path().join("tests").exists());

    let denied = story(address, "/a")
        .replace(&format!("hosts = [\"http://{address}\"]"), "hosts = [\"https://a.example\"]");
    let told = tell_in("http", &denied, Some(&recording), folder.path()).await;
    assert!(told[0].text().contains("got       denied"), "{}", told[0].text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_without_its_cassette_says_how_to_record_it() {
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:1".parse().unwrap();
    let story = berth_kit::Story::parse(Path::new("tests/a.toml"), &story(address, "/a")).unwrap();
    let subject = Subject::load(&built("http"), None).await.unwrap();

    let missing = run(&subject, &story, 0, None, folder.path()).await.unwrap_err();

    assert_eq!(missing.code(), "KIT_STORY_INVALID");
    assert!(missing.to_string().contains("--record"), "{missing}");
}
