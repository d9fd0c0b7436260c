//! `wasi:filesystem/types`: what the library serves, with what a call writes and makes counted.
//!
//! The library checks paths and permissions and knows no quota. Everything is handed on to it; before bytes are written
//! or an entry is made, room for it is taken from the call.

mod streams;

use std::io;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{WasiFilesystemCtxView, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
    DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor as _, MetadataHashValue, NewTimestamp,
    OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::call::quotas::FolderQuotas;
use crate::call::spending::{NoRoom, Spending};
use crate::call::state::PluginState;
use crate::capability::quota::Quota;
use streams::{CountedInput, CountedOutput, Growth};

/// The file system of one call.
pub struct Files<'a> {
    inner: WasiFilesystemCtxView<'a>,
    spending: Arc<Spending>,
    quotas: Arc<FolderQuotas>,
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

/// Puts the counted file system in the place of the library's.
pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    types::add_to_linker::<_, HasFiles>(linker, files)?;
    preopens::add_to_linker::<_, HasFiles>(linker, files)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn files(state: &mut PluginState) -> Files<'_> {
    let (spending, quotas) = (state.spending().clone(), state.quotas().clone());
    Files { inner: state.filesystem(), spending, quotas }
}

impl Files<'_> {
    /// Takes the place of one more entry below `quota`.
    fn create(&self, quota: Option<&Arc<Quota>>) -> FsResult<()> {
        self.spending.create().map_err(full)?;
        quota.map_or(Ok(()), |quota| quota.make()).map_err(full)
    }

    /// Gives the place back when the entry was not made.
    fn created<T>(&self, quota: Option<&Arc<Quota>>, done: FsResult<T>) -> FsResult<T> {
        if let (Err(_), Some(quota)) = (&done, quota) {
            quota.unmake();
        }
        self.noted(done)
    }

    /// The bytes of a file that go with its name; none of a folder, and none where others name it too.
    async fn held(&mut self, fd: &Resource<Descriptor>, path: &str) -> Option<u64> {
        let folder = Resource::new_borrow(fd.rep());
        let found = self.inner.stat_at(folder, PathFlags::empty(), path.to_owned()).await.ok()?;
        let is_file = found.type_ == DescriptorType::RegularFile;
        Some(if is_file && found.link_count <= 1 { found.size } else { 0 })
    }

    /// The size of the file behind a handle.
    fn size(&self, fd: &Resource<Descriptor>) -> u64 {
        match self.inner.table.get(fd) {
            Ok(Descriptor::File(file)) => file.file.metadata().map_or(0, |file| file.len()),
            _ => 0,
        }
    }

    /// Takes room for one more entry with its bytes.
    fn moved_in(quota: Option<&Arc<Quota>>, bytes: u64) -> FsResult<()> {
        let Some(quota) = quota else { return Ok(()) };
        quota.make().map_err(full)?;
        quota.grow(bytes).map_err(|exceeded| {
            quota.unmake();
            full(exceeded)
        })
    }

    /// Gives the room of an entry back.
    fn moved_out(quota: Option<&Arc<Quota>>, bytes: u64) {
        if let Some(quota) = quota {
            quota.unmake();
            quota.shrink(bytes);
        }
    }

    /// Says what became of what was written before, once, as a sync does everywhere.
    fn unbroken(&self, fd: &Resource<Descriptor>) -> FsResult<()> {
        self.spending.take_broken(fd.rep()).map_or(Ok(()), |why| Err(why.into()))
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

    fn counted(
        &mut self,
        stream: Resource<DynOutputStream>,
        growth: Option<Growth>,
        file: u32,
    ) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.inner.table.delete(stream)?;
        let counted: DynOutputStream =
            Box::new(CountedOutput { inner, spending: self.spending.clone(), growth, file });
        Ok(self.inner.table.push(counted)?)
    }
}

fn full(room: NoRoom) -> FsError {
    code(room).into()
}

fn code(room: NoRoom) -> ErrorCode {
    match room {
        NoRoom::Quota => ErrorCode::Quota,
        NoRoom::Disk => ErrorCode::InsufficientSpace,
    }
}

/// The code of what a stream failed with.
fn code_of(error: &io::Error) -> ErrorCode {
    let room = error.get_ref().and_then(|inner| inner.downcast_ref::<NoRoom>());
    room.map_or_else(|| ErrorCode::from(error), |room| code(*room))
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.inner.table.get(&error)?.downcast_ref::<io::Error>().map(code_of))
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
        if let Some(quota) = self.quotas.of(fd.rep()) {
            let end = offset.saturating_add(bytes.len() as u64);
            quota.grow(end.saturating_sub(self.size(&fd))).map_err(full)?;
        }
        let done = self.inner.write(fd, bytes, offset).await;
        self.noted(done)
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let now = self.inner.stat(Resource::new_borrow(fd.rep())).await?.size;
        self.spending.write(size.saturating_sub(now)).map_err(full)?;
        let quota = self.quotas.of(fd.rep());
        if let Some(quota) = &quota {
            quota.grow(size.saturating_sub(now)).map_err(full)?;
        }
        let done = self.inner.set_size(fd, size).await;
        if let (Ok(()), Some(quota)) = (&done, &quota) {
            quota.shrink(now.saturating_sub(size));
        }
        self.noted(done)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let (size, file) = (self.size(&fd), fd.rep());
        let growth = self.quotas.of(file).map(|quota| Growth { quota, at: Some(offset), size });
        let stream = self.inner.write_via_stream(fd, offset);
        let stream = self.noted(stream)?;
        self.counted(stream, growth, file)
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        let file = fd.rep();
        let growth = self.quotas.of(file).map(|quota| Growth { quota, at: None, size: 0 });
        let stream = self.inner.append_via_stream(fd);
        let stream = self.noted(stream)?;
        self.counted(stream, growth, file)
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        let quota = self.quotas.of(fd.rep());
        let truncates = quota.is_some() && open_flags.contains(OpenFlags::TRUNCATE);
        let (mut made, mut emptied) = (None, 0);
        if open_flags.contains(OpenFlags::CREATE) || truncates {
            let folder = Resource::new_borrow(fd.rep());
            match self.inner.stat_at(folder, path_flags, path.clone()).await {
                Ok(there) if truncates => emptied = there.size,
                Err(_) if open_flags.contains(OpenFlags::CREATE) => {
                    self.create(quota.as_ref())?;
                    made = quota.as_ref();
                }
                _ => {}
            }
        }
        let opened = self.inner.open_at(fd, path_flags, path, open_flags, flags).await;
        let opened = self.created(made, opened)?;
        if let Some(quota) = &quota {
            quota.shrink(emptied);
            self.quotas.inherited(Some(quota), opened.rep());
        }
        Ok(opened)
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let quota = self.quotas.of(fd.rep());
        self.create(quota.as_ref())?;
        let done = self.inner.create_directory_at(fd, path).await;
        self.created(quota.as_ref(), done)
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let (from, to) = (self.quotas.of(fd.rep()), self.quotas.of(new_fd.rep()));
        if !are_same(from.as_ref(), to.as_ref()) {
            return Err(ErrorCode::CrossDevice.into());
        }
        self.create(to.as_ref())?;
        let done = self.inner.link_at(fd, flags, path, new_fd, new_path).await;
        self.created(to.as_ref(), done)
    }

    async fn symlink_at(&mut self, fd: Resource<Descriptor>, target: String, path: String) -> FsResult<()> {
        let quota = self.quotas.of(fd.rep());
        self.create(quota.as_ref())?;
        let done = self.inner.symlink_at(fd, target, path).await;
        self.created(quota.as_ref(), done)
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
        self.unbroken(&fd)?;
        self.inner.sync_data(fd).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.unbroken(&fd)?;
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
        let quota = self.quotas.of(fd.rep());
        let done = self.inner.remove_directory_at(fd, path).await;
        if done.is_ok() {
            Self::moved_out(quota.as_ref(), 0);
        }
        self.noted(done)
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let (from, to) = (self.quotas.of(fd.rep()), self.quotas.of(new_fd.rep()));
        if from.is_none() && to.is_none() {
            let done = self.inner.rename_at(fd, path, new_fd, new_path).await;
            return self.noted(done);
        }
        let moves = !are_same(from.as_ref(), to.as_ref());
        let replaced = self.held(&new_fd, &new_path).await;
        let mut bytes = 0;
        if moves {
            let folder = Resource::new_borrow(fd.rep());
            let found = self.inner.stat_at(folder, PathFlags::empty(), path.clone()).await?;
            // What is below a folder would have to be counted first: a guest copies it instead, as between two disks.
            if found.type_ == DescriptorType::Directory {
                return Err(ErrorCode::CrossDevice.into());
            }
            bytes = found.size;
            Self::moved_in(to.as_ref(), bytes)?;
        }
        let done = self.inner.rename_at(fd, path, new_fd, new_path).await;
        match &done {
            Ok(()) => {
                if moves {
                    Self::moved_out(from.as_ref(), bytes);
                }
                if let Some(replaced) = replaced {
                    Self::moved_out(to.as_ref(), replaced);
                }
            }
            Err(_) if moves => Self::moved_out(to.as_ref(), bytes),
            Err(_) => {}
        }
        self.noted(done)
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let quota = self.quotas.of(fd.rep());
        let held = if quota.is_some() { self.held(&fd, &path).await } else { None };
        let done = self.inner.unlink_file_at(fd, path).await;
        if done.is_ok() {
            Self::moved_out(quota.as_ref(), held.unwrap_or_default());
        }
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
        self.quotas.closed(fd.rep());
        let _nobody_asks = self.spending.take_broken(fd.rep());
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

impl preopens::Host for Files<'_> {
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let folders = preopens::Host::get_directories(&mut self.inner)?;
        if !self.quotas.is_empty() {
            for (folder, guest) in &folders {
                self.quotas.opened(folder.rep(), guest);
            }
        }
        Ok(folders)
    }
}

/// Whether both lead into the same bounded folder, or neither into one.
fn are_same(one: Option<&Arc<Quota>>, other: Option<&Arc<Quota>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_same(other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
