//! The interfaces of the host as components see them: one file for each version of ours, one for WASI.

pub(crate) mod clocks;
mod files;
mod sockets;
pub mod v0_1;
pub mod wasi;

use wasmtime::component::Linker;

use crate::call::state::PluginState;

/// Links everything a component may import. What a call may do is decided by its grants, not by what is linked.
pub fn link(linker: &mut Linker<PluginState>) -> wasmtime::Result<()> {
    wasi::link(linker)?;
    clocks::link(linker)?;
    files::link(linker)?;
    sockets::link(linker)?;
    v0_1::link(linker)
}
