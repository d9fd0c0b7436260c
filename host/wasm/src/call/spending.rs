//! What a call takes from the machine beyond memory and time, counted while it takes it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;

use crate::limits::Limits;
use crate::lock;

/// Why there is no room for what a call writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// It has written, or made, as much as it may.
    #[error("the call has written as much as it may")]
    Quota,
    /// The surroundings of the call say that their disk is full.
    #[error("the disk is full")]
    Disk,
}

/// Counters of one call. Shared by its store and its open streams.
#[derive(Debug)]
pub struct Spending {
    most_written: u64,
    most_created: u64,
    disk: AtomicU64,
    host_calls: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    written: AtomicU64,
    created: AtomicU64,
    denials: AtomicU64,
    /// Why streams of an open file failed, by the number of the file.
    broken: Mutex<HashMap<u32, ErrorCode>>,
}

impl Spending {
    pub fn new(limits: &Limits) -> Self {
        Self {
            most_written: limits.written_bytes,
            most_created: limits.created_files,
            disk: AtomicU64::new(u64::MAX),
            host_calls: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            written: AtomicU64::new(0),
            created: AtomicU64::new(0),
            denials: AtomicU64::new(0),
            broken: Mutex::default(),
        }
    }

    /// A stream into this open file failed.
    pub fn note_broken(&self, file: u32, why: ErrorCode) {
        lock(&self.broken).insert(file, why);
    }

    /// Why a stream into this open file failed, if one did since the last time.
    pub fn take_broken(&self, file: u32) -> Option<ErrorCode> {
        lock(&self.broken).remove(&file)
    }

    /// Counts from nothing again, for another call of the same instance.
    pub fn renew(&self) {
        for counter in
            [&self.host_calls, &self.sent, &self.received, &self.written, &self.created, &self.denials]
        {
            counter.store(0, Relaxed);
        }
    }

    /// Has the disk be full when so many bytes are written.
    pub fn leave_on_disk(&self, bytes: u64) {
        self.disk.store(bytes, Relaxed);
    }

    pub fn count_host_call(&self) {
        self.host_calls.fetch_add(1, Relaxed);
    }

    /// The guest handed `bytes` to the host.
    pub fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// The guest got `bytes` from the host.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// The guest asked for what nobody granted.
    pub fn count_denial(&self) {
        self.denials.fetch_add(1, Relaxed);
    }

    /// Takes room for `bytes` in the granted folders before they are written.
    pub fn write(&self, bytes: u64) -> Result<(), NoRoom> {
        let disk = self.disk.load(Relaxed);
        take(&self.written, bytes, self.most_written.min(disk))
            .map_err(|()| if disk < self.most_written { NoRoom::Disk } else { NoRoom::Quota })
    }

    /// Takes the place of one more file, folder or link before it is made.
    pub fn create(&self) -> Result<(), NoRoom> {
        if self.disk.load(Relaxed) == 0 {
            return Err(NoRoom::Disk);
        }
        take(&self.created, 1, self.most_created).map_err(|()| NoRoom::Quota)
    }

    pub fn host_calls(&self) -> u64 {
        self.host_calls.load(Relaxed)
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    pub fn created(&self) -> u64 {
        self.created.load(Relaxed)
    }

    pub fn denials(&self) -> u64 {
        self.denials.load(Relaxed)
    }
}

/// Adds to a counter unless it would pass `most`.
fn take(counter: &AtomicU64, amount: u64, most: u64) -> Result<(), ()> {
    let room = |taken: u64| taken.checked_add(amount).filter(|sum| *sum <= most);
    counter.fetch_update(Relaxed, Relaxed, room).map(drop).map_err(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_takes_no_room() {
        let limits = Limits { written_bytes: 10, created_files: 1, ..Limits::default() };
        let spending = Spending::new(&limits);

        assert_eq!(spending.write(8), Ok(()));
        assert_eq!(spending.write(u64::MAX), Err(NoRoom::Quota));
        assert_eq!(spending.write(3), Err(NoRoom::Quota));
        assert_eq!(spending.write(2), Ok(()));
        assert_eq!(spending.create(), Ok(()));
        assert_eq!(spending.create(), Err(NoRoom::Quota));

        assert_eq!((spending.written(), spending.created()), (10, 1));
    }

    #[test]
    fn a_disk_that_is_fuller_than_the_quota_is_what_is_said() {
        let spending = Spending::new(&Limits { written_bytes: 10, ..Limits::default() });

        spending.leave_on_disk(4);
        assert_eq!((spending.write(4), spending.create()), (Ok(()), Ok(())));
        assert_eq!(spending.write(1), Err(NoRoom::Disk));
        spending.leave_on_disk(0);
        assert_eq!(spending.create(), Err(NoRoom::Disk));
        spending.leave_on_disk(u64::MAX);
        assert_eq!(spending.write(7), Err(NoRoom::Quota));
    }
}
