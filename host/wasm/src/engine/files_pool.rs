//! Threads for calls that may touch files.
//!
//! A file operation of such a call runs on the thread that polls the call, which is ten times quicker than handing it
//! to a blocking thread; the threads that serve sockets must not wait for a disk, hence threads of their own.

use std::future::{Future, poll_fn};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;

use crate::error::EngineError;

type Job = futures::future::BoxFuture<'static, ()>;

/// Runs futures on a few threads, each with a runtime of its own. Threads start when first needed.
pub struct FilesPool {
    threads: Vec<Mutex<Option<mpsc::UnboundedSender<Job>>>>,
    next: AtomicUsize,
}

/// The pool is gone, or the job panicked.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the file tool stopped")]
pub struct PoolGone;

impl FilesPool {
    pub fn new(threads: usize) -> Self {
        Self { threads: (0..threads.max(1)).map(|_| Mutex::new(None)).collect(), next: AtomicUsize::new(0) }
    }

    /// Runs `work` where it may wait for a disk. Dropping the returned future ends `work`.
    ///
    /// On a runtime with several threads this one does it, after its other tasks have moved to another: two trips
    /// between threads cost as much as reading a small file. On any other runtime one of the pool does it.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, PoolGone> {
        if Handle::try_current().is_ok_and(|here| here.runtime_flavor() == RuntimeFlavor::MultiThread) {
            let mut work = std::pin::pin!(work);
            return Ok(poll_fn(|cx| block_in_place(|| work.as_mut().poll(cx))).await);
        }
        self.elsewhere(work).await
    }

    async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, PoolGone> {
        let thread = self.sender().map_err(|_| PoolGone)?;
        let (mut reply, answer) = oneshot::channel();
        let job: Job = Box::pin(async move {
            tokio::select! {
                biased;
                () = reply.closed() => {}
                value = work => { let _ = reply.send(value); }
            }
        });
        thread.send(job).map_err(|_| PoolGone)?;
        answer.await.map_err(|_| PoolGone)
    }

    fn sender(&self) -> Result<mpsc::UnboundedSender<Job>, EngineError> {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        let mut slot = match self.threads[index].lock() {
            Ok(slot) => slot,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let sender = spawn(index).map_err(|source| EngineError::Threads { source })?;
        *slot = Some(sender.clone());
        Ok(sender)
    }
}

fn spawn(index: usize) -> std::io::Result<mpsc::UnboundedSender<Job>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Bounded by the permits that a call holds.
    let (sender, mut inbox) = mpsc::unbounded_channel::<Job>();
    std::thread::Builder::new().name(format!("berth-files-{index}")).spawn(move || {
        super::PluginEngine::warm_thread();
        runtime.block_on(async move {
            while let Some(job) = inbox.recv().await {
                tokio::spawn(job);
            }
        });
    })?;
    Ok(sender)
}
