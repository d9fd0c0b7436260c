//! A provider that runs beside a story, with tools that tell what becomes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use berth_provider::{
    Answer, Backoff, Builder, CallContext, Capability, Identity, Limits, Provider, Status, Stopped, Token,
    Tools,
};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const ENDPOINT: &str = "edge.lab1.executor";

/// What the tools of one device tell.
#[derive(Clone)]
pub struct Bench {
    /// A permit for each call of a gated tool that has begun.
    began: Arc<Semaphore>,
    /// A call of a gated tool takes one to end.
    gate: Arc<Semaphore>,
    /// A permit for each call of a gated tool that was dropped before its end.
    cut_off: Arc<Semaphore>,
    counted: Arc<AtomicUsize>,
}

/// Tells of its drop.
struct Guard(Option<Arc<Semaphore>>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(cut_off) = &self.0 {
            cut_off.add_permits(1);
        }
    }
}

impl Bench {
    pub fn new() -> Self {
        let none = || Arc::new(Semaphore::new(0));
        Self { began: none(), gate: none(), cut_off: none(), counted: Arc::default() }
    }

    fn tools(&self) -> Tools {
        let (counted, free, serial) = (self.counted.clone(), self.clone(), self.clone());
        let tool = |key: &str| Capability::new(key, key, "").parallel();
        Tools::new()
            .with(tool("t.echo"), |call: CallContext| async move { Ok(call.arguments.into()) })
            .with(tool("t.count"), move |_| {
                let count = counted.fetch_add(1, Ordering::Relaxed) + 1;
                async move { Ok(json!({ "count": count })) }
            })
            .with(tool("t.gated"), move |call| free.clone().gated(call))
            .with(Capability::new("t.serial", "", ""), move |call| serial.clone().gated(call))
            .with(tool("t.panics"), |_| async { panic!("this tool breaks down") })
            .with(tool("t.text"), |_| async { Ok(json!("no object")) })
            .with(tool("t.huge"), |_| async { Ok(json!({ "text": "x".repeat(17 << 20) })) })
    }

    async fn gated(self, call: CallContext) -> Answer {
        let mut guard = Guard(Some(self.cut_off.clone()));
        call.progress("working", "half way");
        self.began.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        guard.0 = None;
        Ok(json!({ "done": true }))
    }

    pub async fn begins(&self) {
        self.began.acquire().await.unwrap().forget();
    }

    pub fn lets_one_end(&self) {
        self.gate.add_permits(1);
    }

    pub async fn is_cut_off(&self) {
        self.cut_off.acquire().await.unwrap().forget();
    }

    pub fn nothing_more_begins(&self) {
        assert_eq!(self.began.available_permits(), 0);
    }
}

/// Stops when it is dropped.
pub struct Device {
    pub bench: Bench,
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    run: Option<JoinHandle<Result<(), Stopped>>>,
}

/// A device that is not started yet; nobody waits long for the next try.
pub fn builder(address: &str, token: &str, bench: &Bench) -> Builder {
    let identity = Identity::executor("edge", "lab1").serving(&["home-lab".to_owned()]);
    Provider::builder(address, Token::new(token), identity)
        .tools(bench.tools())
        .backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(100)))
}

impl Device {
    pub fn start(address: &str, token: &str) -> Self {
        Self::start_with(address, token, |builder| builder)
    }

    pub fn start_with(address: &str, token: &str, change: impl FnOnce(Builder) -> Builder) -> Self {
        let bench = Bench::new();
        let provider = change(builder(address, token, &bench)).build().unwrap();
        let (status, stop) = (provider.status(), CancellationToken::new());
        let run = tokio::spawn(provider.run(stop.clone()));
        Self { bench, status, stop, run: Some(run) }
    }

    /// Waits until Core has its capabilities.
    pub async fn ready(mut self) -> Self {
        self.is(Status::Ready).await;
        self
    }

    pub async fn is(&mut self, wanted: Status) {
        self.status.wait_for(|status| *status == wanted).await.unwrap();
    }

    pub fn told_to_stop(&self) {
        self.stop.cancel();
    }

    /// How it ended, by itself or because it was told to.
    pub async fn ends(&mut self) -> Result<(), Stopped> {
        self.run.take().unwrap().await.unwrap()
    }

    /// Ends as a process does that is killed.
    pub async fn dies(mut self) {
        let run = self.run.take().unwrap();
        run.abort();
        let _ = run.await;
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Room for this many calls.
pub fn room(max_running: usize, max_waiting: usize) -> Limits {
    Limits { max_running, max_waiting, ..Limits::default() }
}
