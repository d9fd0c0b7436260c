//! A network that ends at this machine: every dial is written down, and only loopback is dialled.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_broker::{Broker, BrokerParts, Dialer, Resolver, Stream, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

#[derive(Clone, Default)]
pub struct Net {
    names: Arc<Mutex<HashMap<String, IpAddr>>>,
    asked: Arc<Mutex<Vec<String>>>,
    dialled: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Net {
    pub fn broker(&self) -> Broker {
        let net = Arc::new(self.clone());
        Broker::new(BrokerParts { resolver: net.clone(), dialer: net, tls: Tls::only(Vec::new()) })
    }

    pub fn name(&self, name: &str, address: &str) {
        self.names.lock().unwrap().insert(name.to_owned(), address.parse().unwrap());
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Net {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let found = self.names.lock().unwrap().get(name).copied();
        found.map(|address| vec![address]).ok_or_else(|| io::Error::other("no such name"))
    }
}

#[async_trait]
impl Dialer for Net {
    async fn dial(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.dialled.lock().unwrap().push(address);
        if !address.ip().is_loopback() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Box::new(TcpStream::connect(address).await?))
    }
}

/// A server on loopback. Its answers are its paths:
///
/// `/hello` says so and repeats what it heard, `/large` has 100 000 bytes, `/to/URL` redirects, `/silent` takes the
/// request and never answers, `/half` sends a piece of its body, and the rest when it is
/// let.
pub struct Server {
    pub address: SocketAddr,
    heard: Arc<Semaphore>,
    rest: Arc<Semaphore>,
}

impl Server {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Semaphore::new(0));
        let rest = Arc::new(Semaphore::new(0));
        let (told, let_go) = (heard.clone(), rest.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, told.clone(), let_go.clone()));
            }
        });
        Self { address, heard, rest }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lets one body that stopped half-way go on.
    pub fn go_on(&self) {
        self.rest.add_permits(1);
    }

    /// Waits until one more request has come.
    pub async fn until_heard(&self) {
        self.heard.acquire().await.unwrap().forget();
    }
}

async fn serve(mut stream: TcpStream, heard: Arc<Semaphore>, rest: Arc<Semaphore>) -> Option<()> {
    let mut text = Vec::new();
    let end = loop {
        if let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let read = stream.read_buf(&mut text).await.ok().filter(|read| *read > 0);
        read?;
    };
    let head = String::from_utf8_lossy(&text[..end]).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    let is_chunked = head.contains("transfer-encoding: chunked");
    while length.is_some_and(|length| text.len() < end + length)
        || (is_chunked && !text.ends_with(b"0\r\n\r\n"))
    {
        let read = stream.read_buf(&mut text).await.ok().filter(|read| *read > 0);
        read?;
    }
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let answer = match path.as_str() {
        "/silent" => {
            heard.add_permits(1);
            return std::future::pending().await;
        }
        "/half" => {
            let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst";
            stream.write_all(half.as_bytes()).await.ok()?;
            heard.add_permits(1);
            rest.acquire().await.ok()?.forget();
            return stream.write_all(b"other").await.ok();
        }
        "/large" => reply("200 OK", "", &"x".repeat(100_000)),
        path => match path.strip_prefix("/to/") {
            Some(url) => reply("302 Found", &format!("location: {url}\r\n"), ""),
            None => {
                let body = String::from_utf8_lossy(&text[end..]).into_owned();
                reply("200 OK", "x-server: loopback\r\n", &format!("{method} {path} {body}"))
            }
        },
    };
    heard.add_permits(1);
    stream.write_all(answer.as_bytes()).await.ok()
}

fn reply(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}
