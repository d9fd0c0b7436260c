//! Endpoints as plugins reach them: capabilities from the store, calls through the live connections.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use berth_core::gate::Consent;
use berth_core::operations::Ask;
use berth_core::port::endpoint_link::EndpointLink;
use berth_core::port::store::{Store, StoreError};
use berth_core::{Core, CoreError};
use berth_model::tool::ToolFailure;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::capability::CapabilityError;
use crate::capability::context::CallContext;
use crate::capability::endpoint::{EndpointCaller, EndpointInfo};

/// Reaches the endpoints of the workspace of the call; each hop passes core's gate and leaves its operation.
pub struct LinkedEndpoints {
    store: Arc<dyn Store>,
    link: Arc<dyn EndpointLink>,
    core: OnceLock<Core>,
}

impl LinkedEndpoints {
    pub fn new(store: Arc<dyn Store>, link: Arc<dyn EndpointLink>) -> Self {
        Self { store, link, core: OnceLock::new() }
    }

    /// Joins core, which is made after the plugins: before, no hop can be made. Joined once, for the life of the host.
    pub fn attach(&self, core: Core) {
        if self.core.set(core).is_err() {
            tracing::warn!("the endpoints of plugins were joined with core already");
        }
    }
}

#[async_trait]
impl EndpointCaller for LinkedEndpoints {
    async fn list(
        &self,
        tool_key: &str,
        context: &CallContext,
    ) -> Result<Vec<EndpointInfo>, CapabilityError> {
        let mut tx = self.store.read().await.map_err(unavailable)?;
        let members = tx.endpoints_of_workspace(&context.workspace).await.map_err(unavailable)?;
        let offers = tx.list_capabilities(None).await.map_err(unavailable)?;
        let mut found: Vec<EndpointInfo> = members
            .into_iter()
            .filter(|endpoint| {
                offers
                    .iter()
                    .any(|offer| offer.endpoint == endpoint.id && offer.tool_key.as_str() == tool_key)
            })
            .map(|endpoint| EndpointInfo {
                online: self.link.is_connected(&endpoint.id),
                endpoint_id: endpoint.id.to_string(),
                provider_type: endpoint.provider_type.to_string(),
                display_name: endpoint.display_name,
            })
            .collect();
        found.sort_by_key(|endpoint| !endpoint.online);
        Ok(found)
    }

    async fn call(
        &self,
        endpoint: &EndpointInfo,
        tool_key: &str,
        arguments: Value,
        context: &CallContext,
        cancel: &CancellationToken,
    ) -> Result<Value, CapabilityError> {
        let Some(core) = self.core.get() else {
            let mut error = CapabilityError::new("STORE_UNAVAILABLE", "the host is starting");
            error.retryable = true;
            return Err(error);
        };
        let ask = Ask {
            target: Some(endpoint.endpoint_id.clone()),
            thread: context.thread,
            session: context.session,
            run: context.run,
            actor: context.actor.clone(),
            // The operator's grant names the tool.
            consent: Consent::Given,
            endpoints_only: true,
            kind: "endpoint_hop".to_owned(),
            cancel: cancel.child_token(),
            ..Ask::of_owner(tool_key, arguments, context.workspace.clone())
        };
        let finished = core.operate(ask).await.map_err(refused)?;
        Ok(finished.outcome.map_err(CapabilityError::from)?.content)
    }
}

fn refused(error: CoreError) -> CapabilityError {
    match error {
        CoreError::Tool(failure) => failure.into(),
        other => {
            let mut error = CapabilityError::new(&other.code(), other.to_string());
            error.retryable = other.retryable();
            error
        }
    }
}

impl From<ToolFailure> for CapabilityError {
    fn from(failure: ToolFailure) -> Self {
        let mut error = Self::new(&failure.code, failure.message);
        error.retryable = failure.retryable;
        if failure.details.is_null() { error } else { error.with_details(failure.details) }
    }
}

fn unavailable(error: StoreError) -> CapabilityError {
    tracing::warn!(%error, "endpoints could not be looked up for a plugin");
    let mut error =
        CapabilityError::new("STORE_UNAVAILABLE", "the host cannot look up its endpoints right now");
    error.retryable = true;
    error
}
