//! `berth:plugin@0.1`: thin shells over the capabilities.

use wasmtime::component::{HasSelf, Linker};

use crate::call::state::PluginState;
use crate::capability::endpoint::{self, EndpointInfo};
use crate::capability::progress;
use crate::capability::{Capability, CapabilityError};

/// The generated side of `wit/berth.wit`.
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "berth:plugin/dynamic-tool",
        imports: {
            "berth:plugin/endpoints.list": async | trappable,
            "berth:plugin/endpoints.call": async | trappable,
            "berth:plugin/progress.partial": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        require_store_data_send: true,
    });
}

use bindings::berth::plugin as wit;
pub use bindings::exports::berth::plugin::tools::{Output, Request};

/// The generated error record.
pub type WitError = wit::types::Error;

pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    wit::types::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::call::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::progress::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::capabilities::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::endpoints::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)
}

impl From<CapabilityError> for WitError {
    fn from(error: CapabilityError) -> Self {
        Self {
            code: error.code,
            message: error.message,
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
            details: error.details.map(|details| details.to_string()),
        }
    }
}

impl From<WitError> for CapabilityError {
    fn from(error: WitError) -> Self {
        Self {
            code: error.code,
            message: error.message,
            retryable: error.retryable,
            retry_after_ms: error.retry_after_ms,
            details: error
                .details
                .map(|text| Box::new(serde_json::from_str(&text).unwrap_or_else(|_| text.into()))),
        }
    }
}

impl wit::types::Host for PluginState {}

impl wit::call::Host for PluginState {
    fn context(&mut self) -> wasmtime::Result<wit::call::CallContext> {
        self.count_host_call();
        let context = self.call_context();
        Ok(wit::call::CallContext {
            call_id: context.call.to_string(),
            run_id: context.run.map(|id| id.to_string()).unwrap_or_default(),
            thread_id: context.thread.map(|id| id.to_string()).unwrap_or_default(),
            workspace_id: context.workspace.to_string(),
            actor_id: context.actor.to_string(),
            locale: context.locale.clone(),
            deadline_ms: self.deadline_ms(),
            dry_run: context.dry_run,
            idempotency_key: context.idempotency_key.clone(),
            meta: context.meta.clone(),
        })
    }

    fn cancelled(&mut self) -> wasmtime::Result<bool> {
        self.count_host_call();
        Ok(self.cancel().is_cancelled())
    }

    fn remaining_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call();
        Ok(self.left_ms())
    }
}

impl wit::progress::Host for PluginState {
    fn report(&mut self, fraction: Option<f32>, message: String) -> wasmtime::Result<()> {
        self.count_host_call();
        let (fraction, message) = progress::cleaned(fraction, &message);
        self.progress().report(fraction, &message);
        Ok(())
    }

    async fn partial(&mut self, bytes: Vec<u8>) -> wasmtime::Result<Result<(), WitError>> {
        self.count_host_call();
        let progress = self.progress().clone();
        let cancel = self.cancel().clone();
        Ok(tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled().into()),
            () = progress.partial(bytes) => Ok(()),
        })
    }
}

impl wit::capabilities::Host for PluginState {
    fn granted(&mut self) -> wasmtime::Result<Vec<String>> {
        self.count_host_call();
        Ok(self.grants().granted().into_iter().map(str::to_owned).collect())
    }

    fn check(&mut self, name: String, scope: String) -> wasmtime::Result<bool> {
        self.count_host_call();
        let Some(capability) = Capability::lookup(&name) else { return Ok(false) };
        let Ok(wanted) = serde_json::from_str::<serde_json::Value>(&scope) else { return Ok(false) };
        Ok(crate::capability::granted_scope(&self.grants(), capability, &wanted))
    }
}

impl wit::endpoints::Host for PluginState {
    async fn list(
        &mut self,
        tool_key: String,
    ) -> wasmtime::Result<Result<Vec<wit::endpoints::EndpointInfo>, WitError>> {
        self.count_host_call();
        let (caller, view, context) = (self.endpoints().clone(), self.grants(), self.call_context().clone());
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
        let (caller, view, context) = (self.endpoints().clone(), self.grants(), self.call_context().clone());
        let cancel = self.cancel().clone();
        let answered = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CapabilityError::cancelled()),
            answered = endpoint::call(&*caller, &view, &selector, &tool_key, &args, &context, &cancel) => answered,
        };
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
