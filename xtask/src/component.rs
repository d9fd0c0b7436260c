//! Makes a component of a core module.

use anyhow::Context;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};

/// The first eight bytes of a component: magic, version 13, layer 1.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Encodes `module`; what is a component already comes back as it is.
///
/// A module that calls WASI preview 1 gets the adapter that turns those calls into preview 2.
pub fn encode(module: Vec<u8>, wasi: bool) -> anyhow::Result<Vec<u8>> {
    if module.starts_with(COMPONENT) {
        return Ok(module);
    }
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder
        .validate(true)
        .module(&module)
        .context("the module says nothing of its WIT, or something wrong")?;
    if wasi {
        encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?;
    }
    encoder.encode().context("the module does not fit its WIT")
}
