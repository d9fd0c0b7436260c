//! A request over HTTP that the host makes for a plugin beside any guest: decided on, counted, written down and sent like
//! one of a call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth_broker::{Broker, Caller};

use super::ToolInvocation;
use super::access::Access;
use super::asking::Asking;
use super::meter::Meter;
use super::state::{Call, Shared};
use crate::plugin::{Loaded, LoadedPlugin};
use crate::wit::wasi::http::Egress;

/// See the module.
pub(crate) struct Errand {
    plugin: Arc<Loaded>,
    shared: Arc<Shared>,
    egress: Egress,
}

impl Errand {
    /// With the grants and the context of `invocation`, and no longer than its time; `asking` is shared by errands whose
    /// uses count as one.
    pub fn new(plugin: &LoadedPlugin, invocation: ToolInvocation, asking: Arc<Asking>) -> Self {
        let plugin = plugin.inner.clone();
        let config = &plugin.engine.inner.config;
        let start = Instant::now();
        let deadline = start + invocation.timeout.min(Duration::from_secs(600));
        let meter = Meter::new(start, config.tick);
        let mut shared = Shared::new(meter, deadline, plugin.limits.clone(), invocation.cancel);
        shared.surround(invocation.services.surroundings.as_ref(), deadline - start);
        shared.asking = asking;
        let shared = Arc::new(shared);
        let call = Call {
            context: Arc::new(invocation.context),
            grants: invocation.grants.view(),
            source: invocation.grants,
            folders: Vec::new(),
            quotas: Arc::default(),
            agreed: Vec::new(),
            progress: invocation.progress,
            services: invocation.services,
            clock: config.clock.clone(),
        };
        let egress = Egress::new(Access::new(&call, &shared));
        Self { plugin, shared, egress }
    }

    /// What its request is sent with.
    pub fn caller(&self) -> (Broker, Caller) {
        self.egress.caller()
    }
}

impl Drop for Errand {
    /// What was noted stands in the log of the plugin.
    fn drop(&mut self) {
        let (lines, _) = self.shared.logs.finish();
        self.plugin.remember(&lines);
    }
}
