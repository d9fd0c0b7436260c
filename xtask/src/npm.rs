//! Programs from the npm registry, each in a folder of its own below `target/npm`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::{debian, step};

/// Installs `package`, a name with its version, unless it is there, and returns the path of its file `script`.
pub fn install(package: &str, script: &str) -> anyhow::Result<PathBuf> {
    let name = package.rsplit_once('@').map_or(package, |(name, _)| name);
    let folder = crate::target().join("npm").join(name.trim_start_matches('@').replace('/', "-"));
    let script = folder.join("node_modules").join(name).join(script);
    let stamp = folder.join("installed");
    if script.exists() && std::fs::read_to_string(&stamp).is_ok_and(|text| text == package) {
        return Ok(script);
    }
    if !step::has("npm") {
        debian::install(&["nodejs", "npm"]).with_context(|| format!("{package} needs Node.js with npm"))?;
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
    step::say(&format!("installing {package}"));
    let mut npm = Command::new("npm");
    npm.current_dir(&folder).args(["install", "--no-audit", "--no-fund", "--ignore-scripts", package]);
    step::quietly("npm install", &mut npm)?;
    if !script.exists() {
        bail!("{package} is installed, but {} is not there", script.display());
    }
    std::fs::write(stamp, package)?;
    Ok(script)
}
