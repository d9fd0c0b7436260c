//! What the calls of a plugin have used together since the host started.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::Receipt;

/// Sums of the receipts of one plugin, over all of its generations. Shared by its calls.
#[derive(Debug, Default)]
pub struct Used {
    calls: AtomicU64,
    failures: AtomicU64,
    cpu_us: AtomicU64,
    peak_memory_bytes: AtomicU64,
    host_calls: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    written_bytes: AtomicU64,
    created_files: AtomicU64,
    denials: AtomicU64,
}

/// What [`Used`] comes to at a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Calls that have begun to run and ended.
    pub calls: u64,
    /// Those among them that yielded nothing.
    pub failures: u64,
    /// Guest time.
    pub cpu_us: u64,
    /// Of the call that had the most.
    pub peak_memory_bytes: u64,
    pub host_calls: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub written_bytes: u64,
    pub created_files: u64,
    pub denials: u64,
}

impl Used {
    /// Adds the receipt of a call that has ended.
    pub fn add(&self, receipt: &Receipt, has_failed: bool) {
        self.calls.fetch_add(1, Relaxed);
        self.failures.fetch_add(u64::from(has_failed), Relaxed);
        self.peak_memory_bytes.fetch_max(receipt.peak_memory_bytes as u64, Relaxed);
        for (sum, amount) in [
            (&self.cpu_us, receipt.cpu_us),
            (&self.host_calls, receipt.host_calls),
            (&self.sent_bytes, receipt.sent_bytes),
            (&self.received_bytes, receipt.received_bytes),
            (&self.written_bytes, receipt.written_bytes),
            (&self.created_files, receipt.created_files),
            (&self.denials, receipt.denials),
        ] {
            if amount > 0 {
                sum.fetch_add(amount, Relaxed);
            }
        }
    }

    /// The sums of now.
    pub fn usage(&self) -> Usage {
        Usage {
            calls: self.calls.load(Relaxed),
            failures: self.failures.load(Relaxed),
            cpu_us: self.cpu_us.load(Relaxed),
            peak_memory_bytes: self.peak_memory_bytes.load(Relaxed),
            host_calls: self.host_calls.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            created_files: self.created_files.load(Relaxed),
            denials: self.denials.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_add_up_and_the_highest_peak_stays() {
        let used = Used::default();
        let receipt = |peak, denials| Receipt {
            peak_memory_bytes: peak,
            cpu_us: 5,
            denials,
            sent_bytes: 7,
            ..Receipt::default()
        };

        used.add(&receipt(300, 0), false);
        used.add(&receipt(100, 2), true);

        let usage = used.usage();
        assert_eq!((usage.calls, usage.failures, usage.denials), (2, 1, 2));
        assert_eq!((usage.peak_memory_bytes, usage.cpu_us, usage.sent_bytes), (300, 10, 14));
    }
}
