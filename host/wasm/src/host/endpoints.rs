//! Endpoints as plugins reach them: capabilities from the store, calls through the live connections.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use berth_core::port::endpoint_link::{EndpointCall, EndpointLink};
use berth_core::port::ids::Ids;
use berth_core::port::store::{Store, StoreError};
use berth_core::port::target::Progress;
use berth_model::tool::ToolFailure;
use berth_model::{CallId, EndpointId, OperationId, ToolKey};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::capability::CapabilityError;
use crate::capability::context::CallContext;
use crate::capability::endpoint::{EndpointCaller, EndpointInfo};

/// How long one hop may take; the call of the plugin ends it sooner.
const HOP: Duration = Duration::from_secs(60);

/// Reaches the endpoints of the workspace of the call.
pub struct LinkedEndpoints {
    pub store: Arc<dyn Store>,
    pub link: Arc<dyn EndpointLink>,
    pub ids: Arc<dyn Ids>,
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
        let invalid =
            |error: berth_model::IdError| CapabilityError::new("INVALID_ARGUMENTS", error.to_string());
        let id = EndpointId::new(&endpoint.endpoint_id).map_err(invalid)?;
        let key = ToolKey::new(tool_key).map_err(invalid)?;
        let capability = {
            let mut tx = self.store.read().await.map_err(unavailable)?;
            let offers = tx.list_capabilities(Some(&id)).await.map_err(unavailable)?;
            offers.into_iter().find(|offer| offer.tool_key == key)
        };
        let Some(capability) = capability else {
            return Err(CapabilityError::new(
                "target_endpoint_unavailable",
                format!("`{id}` does not offer `{key}` any more"),
            ));
        };
        let call = EndpointCall {
            endpoint: id,
            operation: OperationId::from_uuid(self.ids.uuid()),
            call: CallId::from_uuid(self.ids.uuid()),
            run: context.run,
            workspace: context.workspace.clone(),
            actor: context.actor.clone(),
            tool_key: key,
            risk: capability.risk(),
            capability_id: capability.capability_id,
            arguments,
            timeout: HOP,
            cancel: cancel.child_token(),
            progress: Arc::new(Silent),
        };
        self.link.call(call).await.map_err(CapabilityError::from)
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

struct Silent;

#[async_trait]
impl Progress for Silent {
    fn report(&self, _fraction: Option<f32>, _message: &str) {}

    async fn partial(&self, _bytes: Vec<u8>) {}
}
