//! Hosts that are not there, do not let us in, or are none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use crate::support::{Host, Options, Output, berth, run};

/// Answers every connection with `answer`; the address.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0_u8; 4096];
            // What the client says does not matter, nor whether it stays for the answer.
            let _read = stream.read(&mut request);
            let _written = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

fn runs_at(home: &Path, url: &str) -> Output {
    run(berth(home).args(["runs", "--url", url]))
}

#[test]
fn a_missing_and_a_wrong_token_are_told_apart() {
    let host = Host::start(Options::default());
    let home = tempfile::tempdir().unwrap();

    let missing = runs_at(home.path(), host.url()).failed(3);
    let wrong = run(host.command(&["runs"]).env("BERTH_ACCESS_TOKEN", "wrong")).failed(3);
    let right =
        run(berth(home.path()).args(["runs", "--url", host.url()]).env("BERTH_ACCESS_TOKEN", host.token()));

    assert!(missing.contains("there is no access token") && missing.contains("--data"), "{missing}");
    assert!(wrong.contains("does not accept the access token from BERTH_ACCESS_TOKEN"), "{wrong}");
    right.ok();
}

#[test]
fn nobody_at_the_address_is_not_connected() {
    let home = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let refusal = runs_at(home.path(), &format!("http://{free}")).failed(3);

    assert!(refusal.contains(&free.to_string()) && refusal.contains("berth serve"), "{refusal}");
}

#[test]
fn another_program_at_the_address_is_no_host() {
    let home = tempfile::tempdir().unwrap();
    for answer in [
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\n<html",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
        "HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
    ] {
        let url = answering(answer);

        let refusal = runs_at(home.path(), &url).failed(3);

        assert!(refusal.contains(&url) && refusal.contains("berth host"), "{answer}: {refusal}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_a_broken_connection() {
    let home = tempfile::tempdir().unwrap();
    let url = answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n[");

    let refusal = runs_at(home.path(), &url).failed(3);

    assert!(refusal.contains("broke"), "{refusal}");
}

#[test]
fn a_host_that_lacks_the_route_is_of_another_version() {
    let home = tempfile::tempdir().unwrap();
    let url = answering(
        "HTTP/1.1 404 Not Found\r\nContent-Length: 57\r\nConnection: close\r\n\r\n\
         {\"error\":{\"code\":\"http_404\",\"message\":\"no such route\"  }}",
    );

    let refusal = runs_at(home.path(), &url).failed(1);

    assert!(refusal.contains("another version") && refusal.contains("berth doctor"), "{refusal}");
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    let home = tempfile::tempdir().unwrap();

    for url in ["ftp://127.0.0.1", "localhost:8787", "http://", "berth"] {
        let refusal = runs_at(home.path(), url).failed(2);
        assert!(refusal.contains(url) && refusal.contains("http://127.0.0.1:8787"), "{refusal}");
    }
}

#[test]
fn the_doctor_tells_a_host_of_another_series() {
    let home = tempfile::tempdir().unwrap();
    let url = answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 67\r\nConnection: close\r\n\r\n\
         {\"health\":{\"status\":\"ready\",\"ready\":true,\"version\":\"99.0.1\"      }}",
    );

    let told = run(berth(home.path()).args(["doctor", "--json", "--url", &url]));

    let told: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let version = told["checks"].as_array().unwrap().iter().find(|check| check["name"] == "version").unwrap();
    assert_eq!(version["ok"], false);
    assert!(version["detail"].as_str().unwrap().contains("99.0.1"), "{version}");
}

#[test]
fn an_answer_without_an_end_is_given_up() {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut request = [0_u8; 4096];
        let _read = stream.read(&mut request);
        let _head = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[");
        let spaces = vec![b' '; 1 << 20];
        while stream.write_all(&spaces).is_ok() {}
    });

    let refusal = runs_at(home.path(), &url).failed(3);

    assert!(refusal.contains(&url) && refusal.contains("more than"), "{refusal}");
}
