//! Programs from the npm registry, each in a folder of its own below the cache.

use std::path::PathBuf;
use std::process::Command;

use crate::{BuildError, Workshop, command, files};

/// The oldest Node.js that today's tool chains run on.
const NODE_MAJOR: u32 = 20;
/// What is taken where the machine's own is older, or is none.
const NODE: &str = "24.9.0";
const WHY: &str = "JavaScript needs Node.js with npm";

/// A Node.js that is new enough: the one of the machine, else one from the registry.
pub fn node(workshop: &Workshop<'_>) -> Result<PathBuf, BuildError> {
    let installed = Command::new("node").arg("--version").output();
    let version =
        installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if is_new_enough(&version) {
        return Ok(PathBuf::from("node"));
    }
    let found = if version.is_empty() { "missing" } else { version.trim() };
    let machine = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        _ => {
            let why = format!("JavaScript needs Node.js {NODE_MAJOR} or newer, and it is {found}");
            return Err(BuildError::missing(why, "install it from https://nodejs.org"));
        }
    };
    workshop.say(&format!("Node.js is {found}: taking {NODE}"));
    install(workshop, &format!("node-{system}-{machine}@{NODE}"), "bin/node")
}

/// Whether `version`, such as `v20.1.0`, is one that the tool chains take.
fn is_new_enough(version: &str) -> bool {
    let major = version.trim().trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= NODE_MAJOR)
}

/// Installs `package`, a name with its version, unless it is there, and returns the path of its file `script`.
pub fn install(workshop: &Workshop<'_>, package: &str, script: &str) -> Result<PathBuf, BuildError> {
    let name = package.rsplit_once('@').map_or(package, |(name, _)| name);
    let folder = workshop.cache.join("npm").join(name.trim_start_matches('@').replace('/', "-"));
    let script = folder.join("node_modules").join(name).join(script);
    let stamp = folder.join("installed");
    let is_there = || script.exists() && std::fs::read_to_string(&stamp).is_ok_and(|text| text == package);
    if is_there() {
        return Ok(script);
    }
    let _held = workshop.hold(&folder)?;
    // The build that held it before may have done the work.
    if is_there() {
        return Ok(script);
    }
    if !command::has("npm") {
        workshop.need(WHY, &["nodejs", "npm"])?;
    }
    files::write(&folder.join("package.json"), b"{ \"private\": true }\n")?;
    workshop.say(&format!("installing {package} from npm, once"));
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args(["install", "--no-audit", "--no-fund", "--ignore-scripts", package]);
    command::quietly("npm install", &mut npm)?;
    if !script.exists() {
        let there = format!("{package} is installed, but {} is not there", script.display());
        return Err(BuildError::failed(there, ""));
    }
    files::write(&stamp, package.as_bytes())?;
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_new_enough_from_its_major_version_on() {
        assert!(is_new_enough("v20.0.0\n") && is_new_enough("v24.9.0"));
        assert!(!is_new_enough("v18.20.4\n") && !is_new_enough("") && !is_new_enough("unknown"));
    }
}
