//! What the owner of a device reads.

use std::io::Write;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth_provider::{Dial, DialError, Socket, Status};
use tracing_subscriber::fmt::MakeWriter;

use crate::device::Device;
use crate::puppet::InMemory;
use crate::support::{Berth, TOKEN};

/// The log of this thread, which runs the whole story.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn keep(level: tracing::Level) -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let to = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(log.clone());
        (log, tracing::subscriber::set_default(to.finish()))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self, with: &str) -> usize {
        self.text().lines().filter(|line| line.contains(with)).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Fails for these reasons, one a try, and then connects.
struct Failing {
    reasons: Mutex<Vec<&'static str>>,
    then: InMemory,
}

#[async_trait]
impl Dial for Failing {
    async fn dial(&self) -> Result<Socket, DialError> {
        let reason = self.reasons.lock().unwrap().pop();
        match reason {
            Some(reason) => Err(DialError::Failed(reason.to_owned())),
            None => self.then.dial().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_core_that_stays_away_is_told_of_once_for_each_reason() {
    let (log, _guard) = Log::keep(tracing::Level::INFO);
    let (then, mut cores) = InMemory::new();
    let mut reasons = vec!["nobody listens"; 5];
    reasons.extend(["no such host"; 3]);
    let dial = Failing { reasons: Mutex::new(reasons), then };

    let mut device = Device::start_with("http://in.memory", "t", |builder| builder.dial(dial));
    let mut core = cores.recv().await.unwrap();
    core.welcomes().await;
    device.is(Status::Ready).await;

    assert_eq!((log.lines("no such host"), log.lines("nobody listens")), (1, 1), "{}", log.text());
    assert_eq!(log.lines("trying again until it works"), 2);
    assert_eq!(log.lines("connected endpoint.id=edge.lab1.executor"), 1);
}

#[tokio::test]
async fn neither_the_token_nor_what_came_sealed_is_in_the_log() {
    let (log, _guard) = Log::keep(tracing::Level::TRACE);
    let berth = Berth::start_with(|config| config.secret = Some(TOKEN.to_owned())).await;
    let _device = Device::start(&format!("http://{}", berth.address), TOKEN).ready().await;

    let arguments = serde_json::json!({ "password": "hush-hush" });
    berth.call("t.echo", None, arguments.clone()).await.unwrap().unwrap().outcome.unwrap();
    berth.call("t.panics", None, arguments).await.unwrap().unwrap().outcome.unwrap_err();

    let text = log.text();
    let of_ours: Vec<&str> = text.lines().filter(|line| line.contains("berth_provider")).collect();
    assert!(!of_ours.is_empty());
    assert!(!of_ours.iter().any(|line| line.contains(TOKEN) || line.contains("hush-hush")), "{of_ours:#?}");
}
