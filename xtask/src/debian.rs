//! Packages of a Debian system, installed when they are missing and may be.

pub use berth_build::debian::is_root;

use crate::step;

/// Installs `packages`, as root or by a `sudo` that asks nothing.
pub fn install(packages: &[&str]) -> anyhow::Result<()> {
    Ok(berth_build::debian::install(packages, &step::say)?)
}
