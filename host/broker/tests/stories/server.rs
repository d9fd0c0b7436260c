//! A server in memory, and the caller that talks to it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use berth_broker::{
    Authority, Bounds, Broker, BrokerError, Caller, Limits, NoSecrets, Origin, OriginPattern, OutboundPolicy,
    Place, Receipt, Receipts, RequestBody, ResponseBody, Secret, SecretRefused, SecretSource, SecretValue,
    no_body,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Heard {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Plays a server for one request.
pub type Handler = Arc<dyn Fn(Heard, DuplexStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// Reads one request and lets the handler answer.
pub async fn answer_one(mut stream: DuplexStream, handler: Handler) {
    let mut text = Vec::new();
    let mut byte = [0_u8; 1];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap().split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut heard = Heard { method, path, headers, body: String::new() };
    let mut body = Vec::new();
    if let Some(length) = heard.header("content-length") {
        body.resize(length.parse().unwrap(), 0);
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
    } else if heard.header("transfer-encoding").is_some() {
        while !body.ends_with(b"0\r\n\r\n") {
            if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                return;
            }
            body.push(byte[0]);
        }
    }
    heard.body = String::from_utf8_lossy(&body).into_owned();
    handler(heard, stream).await;
}

/// An answer as it is on the wire.
pub fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.as_ref().len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    [text.as_bytes(), body.as_ref()].concat()
}

/// A server whose answer depends on the request alone.
pub fn answers(answer: impl Fn(&Heard) -> Vec<u8> + Send + Sync + 'static) -> Handler {
    let answer = Arc::new(answer);
    Arc::new(move |heard, mut stream| {
        let bytes = answer(&heard);
        Box::pin(async move {
            // Who asked may have left.
            let _ = stream.write_all(&bytes).await;
        })
    })
}

/// A server that writes as it likes.
pub fn writes<F>(write: impl Fn(DuplexStream) -> F + Send + Sync + 'static) -> Handler
where
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |_, stream| Box::pin(write(stream)))
}

/// A server that remembers what it heard and says `ok`.
pub fn remembers(heard: &Arc<Mutex<Vec<Heard>>>) -> Handler {
    let heard = heard.clone();
    answers(move |request| {
        heard.lock().unwrap().push(request.clone());
        reply(200, &[], "ok")
    })
}

/// Receipts that are kept.
#[derive(Clone, Default)]
pub struct Kept(pub Arc<Mutex<Vec<Receipt>>>);

impl Receipts for Kept {
    fn record(&self, receipt: Receipt) {
        self.0.lock().unwrap().push(receipt);
    }
}

struct Stored {
    name: String,
    value: Vec<u8>,
    audience: Vec<String>,
    places: Vec<String>,
}

/// Secrets of a test.
#[derive(Default)]
pub struct Vault(Vec<Stored>);

impl Vault {
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>, audience: &[&str], places: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        self.0.push(Stored {
            name: name.to_owned(),
            value: value.as_ref().to_vec(),
            audience: owned(audience),
            places: owned(places),
        });
        self
    }
}

#[async_trait]
impl SecretSource for Vault {
    async fn secret(&self, name: &str, _: &Origin, _: &Place) -> Result<Secret, SecretRefused> {
        let Stored { value, audience, places, .. } = self
            .0
            .iter()
            .find(|stored| stored.name == name)
            .ok_or_else(|| SecretRefused(format!("nobody granted `{name}`")))?;
        Ok(Secret {
            value: Arc::new(SecretValue::new(value.clone())),
            audience: audience.iter().map(|text| OriginPattern::parse(text).unwrap()).collect(),
            places: places.iter().map(|text| Place::parse(text).unwrap()).collect(),
        })
    }
}

/// A caller called `plugin` that may do what the policy says, for 30 s.
pub fn caller(policy: OutboundPolicy) -> Caller {
    caller_of(Arc::new(policy))
}

pub fn caller_of(authority: Arc<dyn Authority>) -> Caller {
    Caller {
        id: "plugin".to_owned(),
        authority,
        secrets: Arc::new(NoSecrets),
        limits: Limits::default(),
        receipts: Arc::new(Kept::default()),
        bounds: Bounds::within(Duration::from_secs(30)),
    }
}

pub fn get(url: &str) -> http::Request<RequestBody> {
    http::Request::get(url).body(no_body()).unwrap()
}

/// Status and body of an answer.
pub async fn read(answer: http::Response<ResponseBody>) -> Result<(u16, Bytes), BrokerError> {
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

/// Sends, and reads to the end.
pub async fn fetch(
    broker: &Broker,
    caller: &Caller,
    request: http::Request<RequestBody>,
) -> Result<(u16, String), BrokerError> {
    let (status, body) = read(broker.send(caller, request).await?).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// The code that a request ends with.
pub async fn code(broker: &Broker, caller: &Caller, request: http::Request<RequestBody>) -> &'static str {
    match fetch(broker, caller, request).await {
        Ok((status, body)) => panic!("{status}: {body}"),
        Err(error) => error.code(),
    }
}
