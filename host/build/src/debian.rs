//! Packages of a Debian system.

use std::process::Command;

use crate::{BuildError, command};

/// Whether this process is root.
pub fn is_root() -> bool {
    command::quietly("id", Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Installs `packages`, as root or by a `sudo` that asks nothing.
pub fn install(packages: &[&str], say: &dyn Fn(&str)) -> Result<(), BuildError> {
    let list = packages.join(" ");
    if !command::has("apt-get") {
        return Err(BuildError::missing(
            format!("{list} must be installed by hand"),
            "this is no Debian system",
        ));
    }
    let root = is_root();
    if !root && command::quietly("sudo", Command::new("sudo").args(["-n", "true"])).is_err() {
        return Err(BuildError::missing(
            "this user may not install packages",
            format!("run `sudo apt-get install {list}`"),
        ));
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
    say(&format!("installing {list}"));
    command::quietly("apt-get update", apt().arg("update"))?;
    command::quietly(
        "apt-get install",
        apt().args(["install", "-y", "--no-install-recommends"]).args(packages),
    )?;
    Ok(())
}
