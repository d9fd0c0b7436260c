//! `berth:plugin@0.1`: thin shells over the capabilities, one file for each interface.

mod approval;
mod call;
mod capabilities;
pub mod channel;
mod endpoints;
mod inbound;
pub mod optional;
mod process;
mod progress;
mod secrets;
mod websocket;

use wasmtime::component::{HasSelf, Linker};

use crate::call::state::PluginState;
use crate::capability::CapabilityError;

/// The generated side of `wit/`.
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package berth:host;
            /// Everything that a plugin may import and export.
            world everything {
                include berth:plugin/dynamic-tool@0.1.0;
                include berth:plugin/channel-plugin@0.1.0;
                include berth:plugin/optional-exports@0.1.0;
            }",
        world: "berth:host/everything",
        imports: {
            "berth:plugin/approval.ask": async | trappable,
            "berth:plugin/inbound": async | trappable,
            "berth:plugin/websocket": async | trappable,
            "berth:plugin/endpoints.list": async | trappable,
            "berth:plugin/endpoints.call": async | trappable,
            "berth:plugin/process.run": async | trappable,
            "berth:plugin/progress.partial": async | trappable,
            "berth:plugin/secrets.open": async | trappable,
            "berth:plugin/secrets.[method]secret.hmac-sha256": async | trappable,
            "berth:plugin/secrets.[method]secret.sign-ed25519": async | trappable,
            "berth:plugin/secrets.[method]secret.sha256-joined": async | trappable,
            "berth:plugin/secrets.[method]secret.sha1-sorted": async | trappable,
            "berth:plugin/secrets.[method]secret.check-sha1-sorted": async | trappable,
            "berth:plugin/secrets.[method]secret.equals": async | trappable,
            "berth:plugin/secrets.[method]secret.exchange": async | trappable,
            "berth:plugin/secrets.[method]secret.aes-cbc-decrypt": async | trappable,
            "berth:plugin/secrets.[method]secret.aes-cbc-encrypt": async | trappable,
            "berth:plugin/secrets.[method]secret.aes-ecb-decrypt": async | trappable,
            "berth:plugin/secrets.[method]secret.aes-ecb-encrypt": async | trappable,
            default: trappable,
        },
        with: { "berth:plugin/secrets.secret": crate::capability::secret::Handle },
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
    wit::process::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::secrets::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::approval::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::endpoints::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::delivery_types::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::inbound::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)?;
    wit::websocket::add_to_linker::<_, HasSelf<PluginState>>(linker, |state| state)
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
