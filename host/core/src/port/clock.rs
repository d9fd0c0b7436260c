//! Time.

use berth_model::Timestamp;

/// Tells the time. Tests own theirs.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}
