//! What the host serves to guests beyond the engine: one port for each capability that leaves the sandbox.

use std::sync::Arc;

use berth_secrets::Desk;

use super::config::{ConfigSource, NoConfig};
use super::endpoint::{EndpointCaller, NoEndpoints};
use super::http::HttpOutlet;
use super::keyvalue::{KeyvalueStore, NoKeyvalue};

/// The ports of the capabilities. Cheap to clone; a test puts a fake in the place of one.
#[derive(Clone)]
pub struct Services {
    pub endpoints: Arc<dyn EndpointCaller>,
    pub keyvalue: Arc<dyn KeyvalueStore>,
    pub config: Arc<dyn ConfigSource>,
    pub secrets: Arc<Desk>,
    pub http: HttpOutlet,
}

impl Services {
    /// Nothing is in reach.
    pub fn none() -> Self {
        Self {
            endpoints: Arc::new(NoEndpoints),
            keyvalue: Arc::new(NoKeyvalue),
            config: Arc::new(NoConfig),
            secrets: Arc::new(Desk::closed()),
            http: HttpOutlet::closed(),
        }
    }

    /// The same, with the secrets of a vault.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Arc<Desk>) -> Self {
        self.secrets = secrets;
        self
    }

    /// The same, with a way to the connected endpoints.
    #[must_use]
    pub fn with_endpoints(mut self, endpoints: Arc<dyn EndpointCaller>) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// The same, with a place for the pairs of plugins.
    #[must_use]
    pub fn with_keyvalue(mut self, keyvalue: Arc<dyn KeyvalueStore>) -> Self {
        self.keyvalue = keyvalue;
        self
    }

    /// The same, with a way out.
    #[must_use]
    pub fn with_http(mut self, http: HttpOutlet) -> Self {
        self.http = http;
        self
    }

    /// The same, with what the operator has set for plugins.
    #[must_use]
    pub fn with_config(mut self, config: Arc<dyn ConfigSource>) -> Self {
        self.config = config;
        self
    }
}
