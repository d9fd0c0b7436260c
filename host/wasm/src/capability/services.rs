//! What the host serves to guests beyond the engine: one port for each capability that leaves the sandbox.

use std::sync::Arc;

use super::endpoint::{EndpointCaller, NoEndpoints};

/// The ports of the capabilities. Cheap to clone; a test puts a fake in the place of one.
#[derive(Clone)]
pub struct Services {
    pub endpoints: Arc<dyn EndpointCaller>,
}

impl Services {
    /// Nothing is in reach.
    pub fn none() -> Self {
        Self { endpoints: Arc::new(NoEndpoints) }
    }

    /// The same, with a way to the connected endpoints.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Arc<dyn EndpointCaller>) -> Self {
        self.endpoints = endpoints;
        self
    }
}
