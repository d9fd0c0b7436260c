//! Packages of a Debian system, installed when they are missing and may be.

use std::process::Command;

use anyhow::bail;

use crate::step;

/// Whether this process is root.
pub fn is_root() -> bool {
    step::quietly("id", Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Installs `packages`, as root or by a `sudo` that asks nothing.
pub fn install(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    if !step::has("apt-get") {
        bail!("{list} must be installed by hand: this is no Debian system");
    }
    let root = is_root();
    if !root && step::quietly("sudo", Command::new("sudo").args(["-n", "true"])).is_err() {
        bail!("run `sudo apt-get install {list}`: this user may not");
    }
    let apt = || {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        if !root {
            command.args(["-n", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["-o", "Acquire::Retries=3", "-qq"]);
        command
    };
    step::say(&format!("installing {list}"));
    step::quietly("apt-get update", apt().arg("update"))?;
    step::quietly(
        "apt-get install",
        apt().args(["install", "-y", "--no-install-recommends"]).args(packages),
    )?;
    Ok(())
}
