//! Asks for uses of capabilities where the store is out of reach, such as in a request that goes on beside it.

use std::sync::Arc;

use berth_core::port::clock::Clock;
use serde_json::Value;

use crate::capability::grants::{GrantSource, GrantView};
use crate::capability::{Capability, CapabilityError};

/// The grants of one call. Cheap to clone; it outlives no grant, because it keeps none.
#[derive(Clone)]
pub struct Access {
    source: Arc<dyn GrantSource>,
    clock: Arc<dyn Clock>,
}

impl Access {
    pub fn new(source: Arc<dyn GrantSource>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock }
    }

    /// The grants that count right now.
    pub fn view(&self) -> Arc<GrantView> {
        self.source.view()
    }

    /// Whether `view` is still what counts.
    pub fn is_current(&self, view: &GrantView) -> bool {
        self.source.generation() == view.generation()
            && view.next_change().is_none_or(|change| self.clock.now() < change)
    }

    /// Asks for one use under `view`, which is the current one.
    ///
    /// `wanted` is the scope that would have to be granted; `covers` recognises it in the scopes of the manifest and of
    /// the grants.
    pub async fn authorize(
        &self,
        view: &GrantView,
        capability: Capability,
        wanted: Value,
        covers: impl Fn(&Value) -> bool + Send,
    ) -> Result<(), CapabilityError> {
        Ok(view.decide(capability, wanted, covers)?)
    }
}
