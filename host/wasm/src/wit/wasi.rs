//! The standard interfaces: what the engine's own WASI needs of us, and those that we serve ourselves.

pub mod config;
pub mod http;
pub mod keyvalue;
pub mod logging;
pub mod stdio;

use wasmtime::component::Linker;

use crate::call::state::PluginState;

pub(super) fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    keyvalue::link(linker)?;
    config::link(linker)?;
    http::link(linker)?;
    logging::link(linker)
}
