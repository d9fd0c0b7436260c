//! The mock of model hosts, from the npm registry.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, bail};

use crate::{debian, step};

const PACKAGE: &str = "@copilotkit/aimock@1.43.0";

/// Installs the program under `target/npm` unless it is there, and returns its script.
pub fn install() -> anyhow::Result<PathBuf> {
    let folder = crate::target().join("npm");
    let script = folder.join("node_modules/@copilotkit/aimock/dist/cli.js");
    let stamp = folder.join("installed");
    if script.exists() && std::fs::read_to_string(&stamp).is_ok_and(|text| text == PACKAGE) {
        return Ok(script);
    }
    if !step::has("npm") {
        debian::install(&["nodejs", "npm"]).context("the model tests need Node.js with npm")?;
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("package.json"), "{ \"private\": true }\n")?;
    step::say(&format!("installing {PACKAGE}"));
    step::quietly(
        "npm install",
        Command::new("npm").current_dir(&folder).args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            PACKAGE,
        ]),
    )?;
    if !script.exists() {
        bail!("{PACKAGE} is installed, but {} is not there", script.display());
    }
    std::fs::write(stamp, PACKAGE)?;
    Ok(script)
}
