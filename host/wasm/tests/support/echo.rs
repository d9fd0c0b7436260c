//! A server on loopback that repeats the secret that it was sent, as a careless one would.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How a careless program writes a value: nine ways, by their names.
pub const ENCODINGS: [&str; 9] =
    ["raw", "hex", "upper", "base64", "base64url", "percent", "json", "html", "backwards"];

/// `value` in one of [`ENCODINGS`].
pub fn encoded(encoding: &str, value: &str) -> String {
    let each = |form: &dyn Fn(u8) -> String| value.bytes().map(form).collect::<String>();
    match encoding {
        "raw" => value.to_owned(),
        "hex" => hex::encode(value),
        "upper" => hex::encode_upper(value),
        "base64" => STANDARD.encode(value),
        // Behind something, so that the bits of the value begin elsewhere.
        "base64url" => URL_SAFE_NO_PAD.encode(format!("x{value}")),
        "percent" => each(&|byte| format!("%{byte:02X}")),
        "json" => each(&|byte| format!("\\u{byte:04x}")),
        "html" => each(&|byte| format!("&#x{byte:x};")),
        "backwards" => value.chars().rev().collect(),
        other => panic!("no encoding `{other}`"),
    }
}

/// `/ENCODING` answers with the `authorization` of the request in this encoding, once in the body and once in a header;
/// `/token` answers with the JSON that was set.
#[derive(Clone)]
pub struct Echo {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    token: Arc<Mutex<Value>>,
}

impl Echo {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let echo = Self { address, heard: Arc::default(), token: Arc::new(Mutex::new(json!({}))) };
        let serving = echo.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        echo
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What `/token` answers.
    pub fn set_token(&self, answer: Value) {
        *self.token.lock().unwrap() = answer;
    }

    /// The requests so far, head and body.
    pub fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }

    async fn serve(self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        let (end, head) = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break (end + 4, String::from_utf8_lossy(&bytes[..end]).into_owned());
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let line = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let length: usize = line("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while bytes.len() < end + length {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
        self.heard.lock().unwrap().push(String::from_utf8_lossy(&bytes).into_owned());
        let path = head.split(' ').nth(1)?.trim_start_matches('/').to_owned();
        let (header, body) = match path.as_str() {
            "token" => (String::new(), self.token.lock().unwrap().to_string()),
            encoding => {
                let told = encoded(encoding, &line("authorization").unwrap_or_default());
                (format!("x-told: {told}\r\n"), format!("you said {told} to me"))
            }
        };
        let answer = format!("HTTP/1.1 200 OK\r\n{header}content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()
    }
}
