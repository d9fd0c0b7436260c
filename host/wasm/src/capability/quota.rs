//! How much the granted folders may hold in all, whoever wrote it: the bounds `total_bytes` and `total_files`.
//!
//! A folder is counted when a call that is bounded gets it for the first time; from then on what guests do is added and
//! taken away. Others write there too, so it is counted anew from time to time, and before anything is refused.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::limit::Limit;
use crate::call::spending::NoRoom;
use crate::lock;

/// How long a count is believed.
const BELIEVED: Duration = Duration::from_secs(5 * 60);
/// How long a count is believed that would refuse something.
const BELIEVED_WHEN_FULL: Duration = Duration::from_secs(2);
/// Entries that are looked at; a folder with more counts as full.
const MOST_ENTRIES: u64 = 1_000_000;

/// What each bounded folder of the host holds.
#[derive(Debug, Default)]
pub struct FolderCounts {
    folders: Mutex<HashMap<PathBuf, Arc<Count>>>,
}

/// What one folder holds.
#[derive(Debug)]
struct Count {
    folder: PathBuf,
    bytes: AtomicU64,
    entries: AtomicU64,
    counted_at: Mutex<Option<Instant>>,
}

/// The bound of one folder for one call.
#[derive(Debug)]
pub struct Quota {
    /// The path in the guest.
    guest: String,
    count: Arc<Count>,
    most_bytes: u64,
    most_entries: u64,
    refused: AtomicBool,
}

impl FolderCounts {
    /// The bound of a folder, without links in its path, when `limit` has one. May read the whole folder.
    pub fn quota(&self, guest: &str, folder: &Path, limit: &Limit) -> Option<Arc<Quota>> {
        let (bytes, files) = (limit.get("total_bytes"), limit.get("total_files"));
        if bytes.is_none() && files.is_none() {
            return None;
        }
        let count = {
            let mut folders = lock(&self.folders);
            let known = folders.entry(folder.to_owned()).or_insert_with(|| Arc::new(Count::of(folder)));
            known.clone()
        };
        count.believe(BELIEVED);
        Some(Arc::new(Quota {
            guest: guest.to_owned(),
            count,
            most_bytes: bytes.unwrap_or(u64::MAX),
            most_entries: files.unwrap_or(u64::MAX),
            refused: AtomicBool::new(false),
        }))
    }
}

impl Count {
    fn of(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            counted_at: Mutex::new(None),
        }
    }

    /// Counts anew unless it was counted less than `age` ago; true when it did.
    fn believe(&self, age: Duration) -> bool {
        let mut counted_at = lock(&self.counted_at);
        if counted_at.is_some_and(|at| at.elapsed() < age) {
            return false;
        }
        let (bytes, entries) = counted(&self.folder);
        self.bytes.store(bytes, Relaxed);
        self.entries.store(entries, Relaxed);
        *counted_at = Some(Instant::now());
        true
    }
}

impl Quota {
    /// The path of the folder in the guest.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// Whether something was refused.
    pub fn has_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// The bounds, for a person.
    pub fn bounds(&self) -> String {
        let bound = |most: u64, what: &str| (most != u64::MAX).then(|| format!("{most} {what}"));
        let bounds = [bound(self.most_bytes, "bytes"), bound(self.most_entries, "files")];
        bounds.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Whether both are about the same folder of the host.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.count, &other.count)
    }

    /// Takes room for `bytes` before they are written.
    pub fn grow(&self, bytes: u64) -> Result<(), NoRoom> {
        self.take(&self.count.bytes, bytes, self.most_bytes)
    }

    /// Gives room back.
    pub fn shrink(&self, bytes: u64) {
        give(&self.count.bytes, bytes);
    }

    /// Takes the place of one more file, folder or link before it is made.
    pub fn make(&self) -> Result<(), NoRoom> {
        self.take(&self.count.entries, 1, self.most_entries)
    }

    /// One of them is gone, or was not made.
    pub fn unmake(&self) {
        give(&self.count.entries, 1);
    }

    fn take(&self, counter: &AtomicU64, amount: u64, most: u64) -> Result<(), NoRoom> {
        let room = |held: u64| held.checked_add(amount).filter(|sum| *sum <= most || amount == 0);
        let take = || counter.fetch_update(Relaxed, Relaxed, room).is_ok();
        if take() || (self.count.believe(BELIEVED_WHEN_FULL) && take()) {
            return Ok(());
        }
        self.refused.store(true, Relaxed);
        Err(NoRoom::Quota)
    }
}

fn give(counter: &AtomicU64, amount: u64) {
    let _was = counter.fetch_update(Relaxed, Relaxed, |held| Some(held.saturating_sub(amount)));
}

/// Bytes and entries below a folder. Links are entries, and not followed; what cannot be read counts for nothing.
fn counted(folder: &Path) -> (u64, u64) {
    let (mut bytes, mut entries) = (0_u64, 0_u64);
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries > MOST_ENTRIES {
                return (u64::MAX, u64::MAX);
            }
            let Ok(kind) = entry.metadata() else { continue };
            if kind.is_dir() {
                open.push(entry.path());
            } else {
                bytes = bytes.saturating_add(kind.len());
            }
        }
    }
    (bytes, entries)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::capability::Capability;

    fn limit(bytes: u64, files: u64) -> Limit {
        Limit::parse(Capability::Files, &json!({ "total_bytes": bytes, "total_files": files })).unwrap()
    }

    #[test]
    fn what_is_there_counts_whoever_put_it_there_and_what_is_refused_takes_no_room() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/a"), [0; 60]).unwrap();
        let counts = FolderCounts::default();
        let quota = counts.quota("/notes", folder.path(), &limit(100, 3)).unwrap();

        assert_eq!(quota.grow(41), Err(NoRoom::Quota));
        assert_eq!(quota.grow(40), Ok(()));
        assert_eq!(quota.grow(1), Err(NoRoom::Quota));
        quota.shrink(5);
        assert_eq!(quota.grow(5), Ok(()));
        assert_eq!((quota.make(), quota.make()), (Ok(()), Err(NoRoom::Quota)));
        assert!(quota.has_refused());
        assert_eq!(quota.bounds(), "100 bytes, 3 files");
    }

    #[test]
    fn calls_of_one_folder_share_its_count_and_a_folder_without_bounds_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let counts = FolderCounts::default();
        let one = counts.quota("/a", folder.path(), &limit(10, 1)).unwrap();
        let other = counts.quota("/b", folder.path(), &limit(10, 1)).unwrap();

        assert_eq!(one.grow(8), Ok(()));
        assert_eq!(other.grow(8), Err(NoRoom::Quota));
        assert!(one.is_same(&other) && !one.has_refused() && other.has_refused());
        assert!(counts.quota("/a", folder.path(), &Limit::default()).is_none());
    }

    #[test]
    fn a_folder_that_somebody_cleared_has_room_again_once_it_is_counted_anew() {
        let folder = tempfile::tempdir().unwrap();
        let counts = FolderCounts::default();
        let quota = counts.quota("/a", folder.path(), &limit(10, 9)).unwrap();
        assert_eq!(quota.grow(10), Ok(()));

        *lock(&quota.count.counted_at) = Instant::now().checked_sub(BELIEVED_WHEN_FULL);

        assert_eq!(quota.grow(10), Ok(()), "nothing was written after all");
    }
}
