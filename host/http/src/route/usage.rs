//! What the calls of a plugin have used.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::PluginUsage;

/// Sums of the receipts of the calls since the host started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageView {
    /// Calls that ran and ended.
    calls: u64,
    /// Those among them that yielded nothing.
    failures: u64,
    /// Guest time.
    cpu_us: u64,
    /// Of the call that had the most.
    peak_memory_bytes: u64,
    /// Calls of functions of the host.
    host_calls: u64,
    /// Printed, written, sent over HTTP and handed over.
    sent_bytes: u64,
    /// Read from files and from the bodies of answers.
    received_bytes: u64,
    /// In the granted folders.
    written_bytes: u64,
    created_files: u64,
    /// Uses that nobody had granted.
    denials: u64,
}

impl From<PluginUsage> for UsageView {
    fn from(usage: PluginUsage) -> Self {
        Self {
            calls: usage.calls,
            failures: usage.failures,
            cpu_us: usage.cpu_us,
            peak_memory_bytes: usage.peak_memory_bytes,
            host_calls: usage.host_calls,
            sent_bytes: usage.sent_bytes,
            received_bytes: usage.received_bytes,
            written_bytes: usage.written_bytes,
            created_files: usage.created_files,
            denials: usage.denials,
        }
    }
}
