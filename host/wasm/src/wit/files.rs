//! `wasi:filesystem/types`: what the library serves, with what a call writes and makes counted.
//!
//! The library checks paths and permissions and knows no quota. Everything is handed on to it; before bytes are written
//! or an entry is made, room for it is taken from the call.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{WasiFilesystemCtxView, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult, InputStream, OutputStream, Pollable, StreamError,
    StreamResult,
};

use crate::call::spending::{QuotaExceeded, Spending};
use crate::call::state::PluginState;

/// The file system of one call.
pub struct Files<'a> {
    inner: WasiFilesystemCtxView<'a>,
    spending: Arc<Spending>,
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

/// Puts the counted file system in the place of the library's.
pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasFiles>(linker, |state: &mut PluginState| {
        let spending = state.spending().clone();
        Files { inner: state.filesystem(), spending }
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

impl Files<'_> {
    fn create(&self) -> FsResult<()> {
        self.spending.create().map_err(full)
    }

    /// Counts what the guest was not allowed.
    fn noted<T>(&self, done: FsResult<T>) -> FsResult<T> {
        if let Err(error) = &done
            && let Some(ErrorCode::NotPermitted | ErrorCode::Access) = error.downcast_ref()
        {
            self.spending.count_denial();
        }
        done
    }

    fn counted(&mut self, stream: Resource<DynOutputStream>) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.inner.table.delete(stream)?;
        let counted: DynOutputStream = Box::new(CountedOutput { inner, spending: self.spending.clone() });
        Ok(self.inner.table.push(counted)?)
    }
}

fn full(_: QuotaExceeded) -> FsError {
    ErrorCode::Quota.into()
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let known = self.inner.table.get(&error)?.downcast_ref::<io::Error>();
        if known.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<QuotaExceeded>()) {
            return Ok(Some(ErrorCode::Quota));
        }
        types::Host::filesystem_error_code(&mut self.inner, error)
    }
}

impl types::HostDescriptor for Files<'_> {
    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        self.spending.write(bytes.len() as u64).map_err(full)?;
        self.spending.count_sent(bytes.len());
        let done = self.inner.write(fd, bytes, offset).await;
        self.noted(done)
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let now = self.inner.stat(Resource::new_borrow(fd.rep())).await?.size;
        self.spending.write(size.saturating_sub(now)).map_err(full)?;
        let done = self.inner.set_size(fd, size).await;
        self.noted(done)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.inner.write_via_stream(fd, offset);
        let stream = self.noted(stream)?;
        self.counted(stream)
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.inner.append_via_stream(fd);
        let stream = self.noted(stream)?;
        self.counted(stream)
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        if open_flags.contains(OpenFlags::CREATE) {
            let folder = Resource::new_borrow(fd.rep());
            let there = self.inner.stat_at(folder, path_flags, path.clone()).await.is_ok();
            if !there {
                self.create()?;
            }
        }
        let opened = self.inner.open_at(fd, path_flags, path, open_flags, flags).await;
        self.noted(opened)
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.create()?;
        let done = self.inner.create_directory_at(fd, path).await;
        self.noted(done)
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        self.create()?;
        let done = self.inner.link_at(fd, flags, path, new_fd, new_path).await;
        self.noted(done)
    }

    async fn symlink_at(&mut self, fd: Resource<Descriptor>, target: String, path: String) -> FsResult<()> {
        self.create()?;
        let done = self.inner.symlink_at(fd, target, path).await;
        self.noted(done)
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        let read = self.inner.read(fd, length, offset).await;
        if let Ok((bytes, _)) = &read {
            self.spending.count_received(bytes.len());
        }
        self.noted(read)
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let stream = self.inner.read_via_stream(fd, offset);
        let stream = self.noted(stream)?;
        let inner = self.inner.table.delete(stream)?;
        let counted: DynInputStream = Box::new(CountedInput { inner, spending: self.spending.clone() });
        Ok(self.inner.table.push(counted)?)
    }

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        self.inner.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.inner.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.inner.sync(fd).await
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.inner.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        self.inner.get_type(fd).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let done = self.inner.set_times(fd, accessed, modified).await;
        self.noted(done)
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        accessed: NewTimestamp,
        modified: NewTimestamp,
    ) -> FsResult<()> {
        let done = self.inner.set_times_at(fd, flags, path, accessed, modified).await;
        self.noted(done)
    }

    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let listed = self.inner.read_directory(fd).await;
        self.noted(listed)
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        self.inner.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let found = self.inner.stat_at(fd, flags, path).await;
        self.noted(found)
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        let read = self.inner.readlink_at(fd, path).await;
        self.noted(read)
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let done = self.inner.remove_directory_at(fd, path).await;
        self.noted(done)
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let done = self.inner.rename_at(fd, path, new_fd, new_path).await;
        self.noted(done)
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let done = self.inner.unlink_file_at(fd, path).await;
        self.noted(done)
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.inner.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        self.inner.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        let found = self.inner.metadata_hash_at(fd, flags, path).await;
        self.noted(found)
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        types::HostDescriptor::drop(&mut self.inner, fd)
    }
}

impl types::HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.inner.read_directory_entry(stream).await
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        types::HostDirectoryEntryStream::drop(&mut self.inner, stream)
    }
}

/// A file that is written as a stream.
struct CountedOutput {
    inner: DynOutputStream,
    spending: Arc<Spending>,
}

impl CountedOutput {
    fn take(&self, bytes: usize) -> StreamResult<()> {
        self.spending
            .write(bytes as u64)
            .map_err(|full| StreamError::LastOperationFailed(io::Error::other(full).into()))?;
        self.spending.count_sent(bytes);
        Ok(())
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
        self.take(bytes.len())?;
        self.inner.write(bytes)
    }

    async fn blocking_write_and_flush(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(bytes.len())?;
        self.inner.blocking_write_and_flush(bytes).await
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

/// A file that is read as a stream.
struct CountedInput {
    inner: DynInputStream,
    spending: Arc<Spending>,
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
