//! Makes a component of a core module.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};

use crate::BuildError;

/// The first eight bytes of a component: magic, version 13, layer 1.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Encodes `module`; what is a component already comes back as it is.
///
/// A module that calls WASI preview 1 gets the adapter that turns those calls into preview 2.
pub fn encode(module: Vec<u8>, wasi: bool) -> Result<Vec<u8>, BuildError> {
    if module.starts_with(COMPONENT) {
        return Ok(module);
    }
    let encode = || {
        let mut encoder = wit_component::ComponentEncoder::default();
        encoder.validate(true).module(&module)?;
        if wasi {
            let adapter = WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?;
        }
        encoder.encode()
    };
    encode().map_err(|error| BuildError::Component(format!("{error:#}")))
}
