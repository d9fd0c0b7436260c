//! The mock of model hosts, from the npm registry.

use std::path::PathBuf;

use crate::npm;

/// Installs the program unless it is there, and returns its script.
pub fn install() -> anyhow::Result<PathBuf> {
    npm::install("@copilotkit/aimock@1.43.0", "dist/cli.js")
}
