//! One hop to a connected endpoint.

use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::CapabilityError;
use crate::capability::endpoint::{self, EndpointInfo};

impl wit::endpoints::Host for PluginState {
    async fn list(
        &mut self,
        tool_key: String,
    ) -> wasmtime::Result<Result<Vec<wit::endpoints::EndpointInfo>, WitError>> {
        self.count_host_call();
        let (caller, view, context) =
            (self.services().endpoints.clone(), self.grants(), self.call_context().clone());
        let cancel = self.cancel().clone();
        let listed = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled()),
            listed = endpoint::list(&*caller, &view, &tool_key, &context) => listed,
        };
        Ok(listed.map(|found| found.into_iter().map(shown).collect()).map_err(WitError::from))
    }

    async fn call(
        &mut self,
        selector: String,
        tool_key: String,
        args: String,
    ) -> wasmtime::Result<Result<String, WitError>> {
        self.count_host_call();
        self.spending().count_sent(args.len());
        let (caller, view, context) =
            (self.services().endpoints.clone(), self.grants(), self.call_context().clone());
        let cancel = self.cancel().clone();
        let answered = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled()),
            answered = endpoint::call(&*caller, &view, &selector, &tool_key, &args, &context, &cancel) => answered,
        };
        if answered.as_ref().is_err_and(|error| error.code == "PERMISSION_DENIED") {
            self.spending().count_denial();
        }
        Ok(answered.and_then(|answer| self.bounded(&answer)).map_err(WitError::from))
    }
}

fn shown(endpoint: EndpointInfo) -> wit::endpoints::EndpointInfo {
    wit::endpoints::EndpointInfo {
        endpoint_id: endpoint.endpoint_id,
        provider_type: endpoint.provider_type,
        display_name: endpoint.display_name,
        online: endpoint.online,
    }
}
