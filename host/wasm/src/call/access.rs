//! Asks for uses of capabilities where the store is out of reach, such as in a request that goes on beside it.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::authorize::Door;
use super::state::{Call, Shared};
use crate::capability::context::CallContext;
use crate::capability::grants::{GrantSource, GrantView, HeldScope, until_refused};
use crate::capability::services::Services;
use crate::capability::throttle::Pass;
use crate::capability::{Capability, CapabilityError};

/// The authority of one call. Cheap to clone; it outlives no grant, because it keeps none.
#[derive(Clone)]
pub struct Access {
    source: Arc<dyn GrantSource>,
    clock: Arc<dyn berth_core::port::clock::Clock>,
    context: Arc<CallContext>,
    services: Services,
    shared: Arc<Shared>,
}

impl Access {
    pub fn new(call: &Call, shared: &Arc<Shared>) -> Self {
        Self {
            source: call.source.clone(),
            clock: call.clock.clone(),
            context: call.context.clone(),
            services: call.services.clone(),
            shared: shared.clone(),
        }
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

    pub fn context(&self) -> &CallContext {
        &self.context
    }

    pub fn services(&self) -> &Services {
        &self.services
    }

    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    pub fn cancel(&self) -> &CancellationToken {
        &self.shared.cancel
    }

    /// Ends when a use that was allowed may not go on.
    pub async fn until_refused(
        &self,
        capability: Capability,
        wanted: &Value,
        covers: impl Fn(&HeldScope) -> bool,
    ) {
        until_refused(&*self.source, &*self.clock, self.view(), capability, wanted, covers).await;
    }

    /// Counts a use that was authorized against its limit; it is at work until the pass is dropped.
    pub fn throttled(
        &self,
        capability: Capability,
        covers: impl Fn(&HeldScope) -> bool,
    ) -> Result<Pass, CapabilityError> {
        let view = self.view();
        self.services.throttle.enter(view.plugin(), capability, &view.limit(capability, covers))
    }

    /// Asks for one use, by the door that every host function takes.
    pub async fn authorize(
        &self,
        capability: Capability,
        wanted: Value,
        covers: impl Fn(&HeldScope) -> bool + Send,
    ) -> Result<(), CapabilityError> {
        let mut view = self.source.view();
        let mut door = Door {
            view: &mut view,
            source: &*self.source,
            context: &self.context,
            services: &self.services,
            clock: &*self.clock,
            asking: &self.shared.asking,
            cancel: &self.shared.cancel,
            deadline: self.shared.deadline,
        };
        door.authorize(capability, wanted, covers).await
    }
}
