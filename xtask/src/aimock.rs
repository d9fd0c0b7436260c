//! The mock of model hosts, from the npm registry.

use std::path::PathBuf;

use berth_build::npm;

/// Installs the program unless it is there, and returns its script.
pub fn install() -> anyhow::Result<PathBuf> {
    Ok(npm::install(&crate::workshop(None), "@copilotkit/aimock@1.43.0", "dist/cli.js")?)
}
