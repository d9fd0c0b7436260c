//! Files that are read and written as streams, with their bytes counted.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, StreamResult,
};

use crate::call::spending::{NoRoom, Spending};
use crate::capability::quota::Quota;

/// How far a stream makes its file longer.
pub(super) struct Growth {
    pub quota: Arc<Quota>,
    /// Where the next byte goes; `None` at the end of the file, wherever that is.
    pub at: Option<u64>,
    /// The size of the file as far as is known.
    pub size: u64,
}

impl Growth {
    fn take(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let Some(at) = self.at else { return self.quota.grow(bytes) };
        let end = at.saturating_add(bytes);
        self.quota.grow(end.saturating_sub(self.size))?;
        self.at = Some(end);
        self.size = self.size.max(end);
        Ok(())
    }
}

/// A file that is written as a stream.
pub(super) struct CountedOutput {
    pub inner: DynOutputStream,
    pub spending: Arc<Spending>,
    pub growth: Option<Growth>,
    /// The number of the open file.
    pub file: u32,
}

impl CountedOutput {
    fn take(&mut self, bytes: usize) -> StreamResult<()> {
        let full = |full| StreamError::LastOperationFailed(io::Error::other(full).into());
        self.spending.write(bytes as u64).map_err(full)?;
        if let Some(growth) = &mut self.growth {
            growth.take(bytes as u64).map_err(full)?;
        }
        self.spending.count_sent(bytes);
        Ok(())
    }

    /// Notes why the file could not be written to, as a guest whose library does not ask the stream asks the file.
    fn noted<T>(&self, done: StreamResult<T>) -> StreamResult<T> {
        if let Err(StreamError::LastOperationFailed(error)) = &done
            && let Some(error) = error.downcast_ref::<io::Error>()
        {
            self.spending.note_broken(self.file, super::code_of(error));
        }
        done
    }
}

#[async_trait::async_trait]
impl Pollable for CountedOutput {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for CountedOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let done = self.take(bytes.len()).and_then(|()| self.inner.write(bytes));
        self.noted(done)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        let done = match self.take(bytes.len()) {
            Ok(()) => self.inner.blocking_write_and_flush(bytes).await,
            Err(error) => Err(error),
        };
        self.noted(done)
    }

    fn flush(&mut self) -> StreamResult<()> {
        let done = self.inner.flush();
        self.noted(done)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let done = self.inner.check_write();
        self.noted(done)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

/// A file that is read as a stream.
pub(super) struct CountedInput {
    pub inner: DynInputStream,
    pub spending: Arc<Spending>,
}

#[async_trait::async_trait]
impl Pollable for CountedInput {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[async_trait::async_trait]
impl InputStream for CountedInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.read(size)?;
        self.spending.count_received(bytes.len());
        Ok(bytes)
    }

    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.inner.blocking_read(size).await?;
        self.spending.count_received(bytes.len());
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}
