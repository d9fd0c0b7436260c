//! Sockets of channels whose far end a story holds.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use berth_wasm::actor::SocketDialer;
use berth_wasm::actor::wire::{DialError, Heard, Wire, WireReader, WireWriter};
use berth_wasm::capability::websocket::{ConnectRequest, Frame};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The far end of a socket, as a story holds it.
pub struct Peer {
    pub url: String,
    /// What the peer says.
    pub say: mpsc::Sender<Result<Heard, DialError>>,
    /// What the peer hears: texts, `ping`, `close CODE`.
    pub hears: mpsc::Receiver<String>,
}

impl Peer {
    pub async fn says(&self, text: &str) {
        self.say.send(Ok(Heard::Frame(Frame::Text(text.to_owned())))).await.unwrap();
    }
}

/// A network where every address answers, unless a story has it fail.
pub struct Network {
    peers: Mutex<VecDeque<Peer>>,
    dialled: Semaphore,
    failures: Mutex<usize>,
}

impl Default for Network {
    fn default() -> Self {
        Self { peers: Mutex::default(), dialled: Semaphore::new(0), failures: Mutex::default() }
    }
}

impl Network {
    /// The next dials fail.
    pub fn fail(&self, dials: usize) {
        *self.failures.lock().unwrap() = dials;
    }

    /// The next socket that was opened.
    pub async fn peer(&self) -> Peer {
        tokio::time::timeout(PATIENCE, self.dialled.acquire()).await.unwrap().unwrap().forget();
        self.peers.lock().unwrap().pop_front().unwrap()
    }

    /// Whether somebody has opened a socket that the story has not taken.
    pub fn has_peer(&self) -> bool {
        !self.peers.lock().unwrap().is_empty()
    }
}

struct Reader(mpsc::Receiver<Result<Heard, DialError>>);

#[async_trait]
impl WireReader for Reader {
    async fn next(&mut self) -> Option<Result<Heard, DialError>> {
        self.0.recv().await
    }
}

struct Writer(mpsc::Sender<String>);

impl Writer {
    async fn write(&self, what: String) -> Result<(), DialError> {
        self.0.send(what).await.map_err(|_| DialError("the peer is gone".to_owned()))
    }
}

#[async_trait]
impl WireWriter for Writer {
    async fn frame(&mut self, frame: Frame) -> Result<(), DialError> {
        match frame {
            Frame::Text(text) => self.write(text).await,
            Frame::Binary(bytes) => self.write(format!("{} bytes", bytes.len())).await,
        }
    }

    async fn ping(&mut self) -> Result<(), DialError> {
        self.write("ping".to_owned()).await
    }

    async fn close(&mut self, code: u16, _: &str) -> Result<(), DialError> {
        self.write(format!("close {code}")).await
    }
}

#[async_trait]
impl SocketDialer for Network {
    fn covers(&self, scope: &Value, url: &str) -> bool {
        let hosts = scope["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
        hosts.into_iter().any(|host| url.starts_with(host))
    }

    async fn dial(&self, request: &ConnectRequest, scopes: &[Value]) -> Result<Wire, DialError> {
        assert!(!scopes.is_empty(), "dialled without a grant: {}", request.url);
        {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err(DialError("nobody is there".to_owned()));
            }
        }
        let (say, from_peer) = mpsc::channel(1);
        let (to_peer, hears) = mpsc::channel(1);
        self.peers.lock().unwrap().push_back(Peer { url: request.url.clone(), say, hears });
        self.dialled.add_permits(1);
        Ok(Wire { reader: Box::new(Reader(from_peer)), writer: Box::new(Writer(to_peer)) })
    }
}
