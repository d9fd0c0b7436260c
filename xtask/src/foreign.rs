//! A component that was not written for berth: JavaScript, by a tool chain from the npm registry.

use std::path::PathBuf;
use std::process::Command;

use berth_build::files::Fingerprint;
use berth_build::{javascript, npm};

use crate::{files, step};

/// Builds the component unless it is up to date, and returns the folder that holds it with its WIT.
pub fn build() -> anyhow::Result<PathBuf> {
    let source = crate::root().join("tests/foreign/words");
    let folder = crate::target().join("foreign/words");
    let (component, stamp) = (folder.join("words.wasm"), folder.join("built"));
    let mut fingerprint = Fingerprint::new(javascript::TOOL);
    fingerprint.add(&source)?;
    let fingerprint = fingerprint.finish();
    if component.exists() && std::fs::read_to_string(&stamp).is_ok_and(|text| text == fingerprint) {
        return Ok(folder);
    }
    let workshop = crate::workshop(None);
    let program = npm::install(&workshop, javascript::TOOL, "src/componentize.js")?;
    std::fs::create_dir_all(&folder)?;
    for file in files::below(&source.join("wit"))? {
        let text = files::read_text(&file)?;
        files::write(&folder.join("wit").join(file.file_name().unwrap_or_default()), text.as_bytes())?;
    }
    step::say("building the foreign component");
    let mut node = Command::new(npm::node(&workshop)?);
    node.arg(source.join("build.mjs")).arg(program).arg(&component);
    step::quietly("componentize-js", &mut node)?;
    std::fs::write(stamp, fingerprint)?;
    Ok(folder)
}
