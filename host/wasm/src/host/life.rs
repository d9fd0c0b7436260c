//! What the life of a plugin depends on besides the plugin.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::HostError;
use crate::limits;

/// Settings of installs, upgrades and their end.
#[derive(Clone)]
pub struct Life {
    /// How long calls of a replaced generation may still take before they are cancelled.
    pub drain: Duration,
    /// Whether a generation is given up when most of its first calls fail.
    pub watches_first_calls: bool,
    /// Looks on while an install goes its way.
    pub probe: Arc<dyn Probe>,
}

impl Default for Life {
    fn default() -> Self {
        Self { drain: limits::DRAIN, watches_first_calls: true, probe: Arc::new(Unwatched) }
    }
}

/// A place on the way of an install, named after what is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// To write down that there is something new.
    Stage,
    Inspect,
    /// To keep the component in the data folder.
    Keep,
    /// To compare it with what is in place.
    Compare,
    Compile,
    /// To ask it for its tools.
    Describe,
    /// To put it in the place of the one before.
    Activate,
    /// It is in place: to let calls go to it.
    Publish,
}

impl Step {
    /// In their order.
    pub const ALL: [Self; 8] = [
        Self::Stage,
        Self::Inspect,
        Self::Keep,
        Self::Compare,
        Self::Compile,
        Self::Describe,
        Self::Activate,
        Self::Publish,
    ];
}

/// Stands at every step of an install: tests make it fail there, or never go on.
#[async_trait]
pub trait Probe: Send + Sync {
    /// A failure ends the install, but for [`Step::Publish`], where there is no way back.
    async fn before(&self, step: Step) -> Result<(), HostError>;
}

/// Lets everything pass.
struct Unwatched;

#[async_trait]
impl Probe for Unwatched {
    async fn before(&self, _: Step) -> Result<(), HostError> {
        Ok(())
    }
}
