//! What came of a call.

use serde::Serialize;
use serde_json::Value;

use crate::capability::logs::LogLine;
use crate::error::CallError;

/// A finished call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallOutcome {
    pub content: Value,
    /// The tool itself says that it failed; `content` tells why.
    pub is_error: bool,
    pub receipt: Receipt,
}

/// How a call that ran has ended, and what it has used, however it ended.
#[derive(Debug)]
pub struct Measured {
    pub outcome: Result<CallOutcome, CallError>,
    /// Of a call that yielded nothing; none when it never ran, or the host itself broke off.
    pub receipt: Option<Receipt>,
}

impl From<CallError> for Measured {
    fn from(error: CallError) -> Self {
        Self { outcome: Err(error), receipt: None }
    }
}

/// What a call has used.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Receipt {
    pub wall_us: u64,
    /// Guest time, in steps of the epoch clock where it was long.
    pub cpu_us: u64,
    pub peak_memory_bytes: usize,
    /// Calls of functions of the host.
    pub host_calls: u64,
    /// What the guest printed, wrote, sent over HTTP and handed over in such calls.
    pub sent_bytes: u64,
    /// What it read from files and from the bodies of answers.
    pub received_bytes: u64,
    /// Of its quota in the granted folders.
    #[serde(skip_serializing_if = "is_zero")]
    pub written_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub created_files: u64,
    /// Uses that nobody had granted.
    pub denials: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogLine>,
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_log_lines: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
