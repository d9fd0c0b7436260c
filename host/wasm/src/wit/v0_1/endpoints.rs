//! One hop to a connected endpoint.

use std::time::Duration;

use serde_json::Value;

use super::{WitError, wit};
use crate::call::state::PluginState;
use crate::capability::endpoint::{self, EndpointInfo};
use crate::capability::grants::HeldScope;
use crate::capability::limit::Limit;
use crate::capability::{Capability, CapabilityError};

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
        let answered = self.hop(&selector, &tool_key, &args).await;
        Ok(answered.and_then(|answer| self.bounded(&answer)).map_err(WitError::from))
    }
}

impl PluginState {
    async fn hop(&mut self, selector: &str, tool_key: &str, args: &str) -> Result<Value, CapabilityError> {
        let arguments = endpoint::arguments(args)?;
        let (caller, view, context) =
            (self.services().endpoints.clone(), self.grants(), self.call_context().clone());
        let cancel = self.cancel().clone();
        let chosen = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(CapabilityError::cancelled()),
            chosen = endpoint::choose(&*caller, &view, selector, tool_key, &context) => chosen?,
        };
        let covers = |scope: &HeldScope| endpoint::covers(scope, &chosen, tool_key);
        let wanted = endpoint::wanted(&chosen, tool_key);
        self.authorize(Capability::Endpoint, wanted.clone(), covers).await?;
        if !chosen.online {
            return Err(endpoint::nobody(tool_key, selector));
        }
        let (limit, _pass) = self.throttled(Capability::Endpoint, covers)?;
        // A hop that is given up goes on nowhere.
        let stop = cancel.child_token();
        let _stopped = stop.clone().drop_guard();
        let called = within(&limit, caller.call(&chosen, tool_key, arguments, &context, &stop));
        self.while_granted(Capability::Endpoint, wanted, covers, called).await
    }
}

/// Ends with the limit `timeout_ms`, when there is one.
async fn within<T>(
    limit: &Limit,
    work: impl Future<Output = Result<T, CapabilityError>>,
) -> Result<T, CapabilityError> {
    let Some(ms) = limit.get("timeout_ms") else { return work.await };
    tokio::time::timeout(Duration::from_millis(ms), work).await.unwrap_or_else(|_| {
        let message = format!("the endpoint did not answer within {ms} ms, the limit of the grant");
        Err(CapabilityError { retryable: true, ..CapabilityError::new("CAPABILITY_TIMEOUT", message) })
    })
}

fn shown(endpoint: EndpointInfo) -> wit::endpoints::EndpointInfo {
    wit::endpoints::EndpointInfo {
        endpoint_id: endpoint.endpoint_id,
        provider_type: endpoint.provider_type,
        display_name: endpoint.display_name,
        online: endpoint.online,
    }
}
