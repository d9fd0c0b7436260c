//! Exports that a plugin may have, as the host calls them.

pub use super::bindings::exports::berth::plugin::channel_edit::GuestIndices as EditIndices;
pub use super::bindings::exports::berth::plugin::health::GuestIndices as HealthIndices;
pub use super::bindings::exports::berth::plugin::lifecycle::GuestIndices as LifecycleIndices;
pub use super::bindings::exports::berth::plugin::pulse::{Finding, GuestIndices as PulseIndices};
pub use super::bindings::exports::berth::plugin::reconcile::GuestIndices as ReconcileIndices;
pub use super::bindings::exports::berth::plugin::tool_cancel::GuestIndices as CancelIndices;
