//! Long polls of a channel, on a real host that is killed between an answer and what becomes of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};

use berth_provider::{CallContext, Capability, Identity, Provider, Token};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::channel::{install, said, until};
use crate::support::{Host, Options};

/// Crashes at a moment that nobody chooses.
const ROUNDS: usize = 6;

const MANIFEST: &str = r#"
[plugin]
id = "channel"
version = "0.1.0"
kind = "channel"

[component]
file = "channel.wasm"

[[capability]]
name = "channel"
reason = "it is one"

[[capability]]
name = "http"
reason = "its polls"

[[capability]]
name = "endpoint"
reason = "to be told what to poll, and to be held up"
scope = { tools = ["rpi.polls", "rpi.gate"] }

[[capability]]
name = "websocket"
required = false
reason = "it could have a feed"
scope = { hosts = ["wss://chat.example"] }

[[capability]]
name = "approval"
required = false
reason = "it could ask the owner"
"#;

/// A chat service: `GET /updates?from=N` is answered with the text behind the first N, once there is one. The same question has
/// the same answer, whenever it is asked.
#[derive(Clone)]
struct Service(Arc<Inner>);

struct Inner {
    address: String,
    texts: Mutex<Vec<String>>,
    written: Condvar,
    /// Where the host went on, request by request.
    asked: Mutex<Vec<usize>>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let service = Self(Arc::new(Inner {
            address,
            texts: Mutex::default(),
            written: Condvar::new(),
            asked: Mutex::default(),
        }));
        let serving = service.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let service = serving.clone();
                // Who was killed is answered in vain.
                std::thread::spawn(move || service.answer(stream));
            }
        });
        service
    }

    fn origin(&self) -> String {
        format!("http://{}", self.0.address)
    }

    fn write(&self, text: &str) {
        self.0.texts.lock().unwrap().push(text.to_owned());
        self.0.written.notify_all();
    }

    fn asked(&self) -> Vec<usize> {
        self.0.asked.lock().unwrap().clone()
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
        let request = lines.next()?.ok()?;
        let from: usize = request.split("from=").nth(1)?.split(' ').next()?.parse().ok()?;
        for line in lines {
            if line.ok()?.is_empty() {
                break;
            }
        }
        self.0.asked.lock().unwrap().push(from);
        let texts = self.0.texts.lock().unwrap();
        let texts = self.0.written.wait_while(texts, |texts| texts.len() <= from).unwrap();
        let body = json!({ "result": [texts[from]], "next": from + 1 }).to_string();
        drop(texts);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).ok()
    }
}

/// A device that says what the channel shall poll, and holds it up until it is told otherwise.
struct Device {
    held: Receiver<()>,
    is_open: Arc<AtomicBool>,
    stop: CancellationToken,
    running: Option<std::thread::JoinHandle<()>>,
}

impl Device {
    fn connect(host: &Host, polls: Value) -> Self {
        let (tell, held): (Sender<()>, _) = channel();
        let (is_open, stop) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let (open, ending, url, token) = (is_open.clone(), stop.clone(), host.url().to_owned(), host.token());
        let running = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let identity = Identity::executor("rpi", "test");
            let gate = move |_: CallContext| {
                let (open, tell) = (open.clone(), tell.clone());
                async move {
                    if !open.load(Ordering::Relaxed) {
                        // Nobody may be interested any more.
                        let _told = tell.send(());
                        std::future::pending::<()>().await;
                    }
                    Ok(json!({ "open": true }))
                }
            };
            let polls = move |_: CallContext| {
                let polls = polls.clone();
                async move { Ok(polls) }
            };
            let tool = |key: &str| Capability::new(key, key, "Is for a story.").parallel();
            let provider = Provider::builder(&url, Token::new(&token), identity)
                .capability(tool("rpi.gate"), gate)
                .capability(tool("rpi.polls"), polls)
                .build()
                .unwrap();
            // A host that goes away for good is no failure of the story.
            let _ended = runtime.block_on(provider.run(ending));
        });
        until("the device is there", || {
            let known = host.cli(&["endpoints", "--json"]).json().to_string();
            known.contains("rpi.polls").then_some(())
        });
        Self { held, is_open, stop, running: Some(running) }
    }

    /// Waits until the channel is held up.
    fn until_held(&self) {
        self.held.recv_timeout(super::channel::PATIENCE).unwrap();
    }

    /// Holds nobody up from now on.
    fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop.cancel();
        let _ended = self.running.take().map(std::thread::JoinHandle::join);
    }
}

/// A host whose channel polls `service`.
fn polling(service: &Service) -> (Host, Device) {
    let host = Host::start(Options::default());
    let url = format!("{}/updates?from={{{{cursor}}}}", service.origin());
    let poll = json!({ "name": "updates", "url": url, "items": "/result", "next": "/next", "first": "0" });
    let device = Device::connect(&host, json!({ "polls": [poll] }));
    install(&host, MANIFEST);
    let http = json!({ "hosts": [service.origin()] }).to_string();
    for (capability, scope) in
        [("http", http.as_str()), ("endpoint", r#"{"tools":["rpi.polls","rpi.gate"]}"#), ("channel", "{}")]
    {
        host.cli(&["plugin", "grant", "channel", capability, "--scope", scope]).ok();
    }
    (host, device)
}

/// What the channel has brought in, without what says where it comes from.
fn brought_in(host: &Host) -> Vec<String> {
    let texts = said(host, "user").into_iter();
    texts.filter_map(|text| Some(text.split_once("}: ").or(text.split_once("`: "))?.1.to_owned())).collect()
}

/// Waits until `wanted` is there, and looks whether it is there once.
fn comes_once(host: &Host, wanted: &str) {
    let told = until(wanted, || {
        let texts = brought_in(host);
        texts.iter().any(|text| text.contains(wanted)).then_some(texts)
    });
    assert_eq!(told.iter().filter(|text| text.contains(wanted)).count(), 1, "{told:?}");
}

#[test]
fn kill_9_between_the_answer_to_a_poll_and_its_handling_loses_nothing_and_doubles_nothing() {
    // It is held up before it has handed the message over, and behind that.
    for word in ["hold", "linger"] {
        let service = Service::start();
        let (mut host, device) = polling(&service);
        until("it is polled", || service.asked().first().copied());
        service.write(word);
        device.until_held();

        host.kill9();
        device.open();
        host.restart();

        comes_once(&host, word);
        service.write("afterwards");
        comes_once(&host, "afterwards");
        assert_eq!(brought_in(&host).len(), 2, "{word}");
        // The answer that was cut off is asked for again, and what was dealt with never.
        let asked = service.asked();
        assert!(asked.len() >= 3 && asked.is_sorted(), "{word}: {asked:?}");
        assert_eq!(asked.iter().filter(|from| **from == 0).count(), 2, "{word}: {asked:?}");
        let events = host.request("GET", "/operator/plugins/channel/events", None).1;
        assert_eq!(events, json!([]), "{word}");
    }
}

#[test]
fn kill_9_at_any_moment_of_a_poll_loses_nothing_and_doubles_nothing() {
    let service = Service::start();
    let (mut host, device) = polling(&service);
    device.open();
    until("it is polled", || service.asked().first().copied());

    for round in 0..ROUNDS {
        service.write(&format!("number {round}"));
        // Once before anything can have come, later and later in others.
        for _ in 0..round * 40 {
            std::thread::yield_now();
        }
        host.kill9();
        host.restart();
    }

    let told = until("all has come", || {
        let told = brought_in(&host).concat();
        (0..ROUNDS).all(|round| told.contains(&format!("number {round}"))).then_some(told)
    });
    for round in 0..ROUNDS {
        assert_eq!(told.matches(&format!("number {round}")).count(), 1, "{told}");
    }
    assert!(service.asked().is_sorted(), "{:?}", service.asked());
    let events = host.request("GET", "/operator/plugins/channel/events", None).1;
    assert_eq!(events, json!([]));
}
