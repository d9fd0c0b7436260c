//! Plugins in JavaScript: a module whose exports are the interfaces, by componentize-js.
//!
//! The package's own function is called, as its command line wants a newer Node.js than many systems have.

use std::path::PathBuf;
use std::process::Command;

use crate::{BuildError, Project, Workshop, command, files, npm, utf8, wit};

/// The tool chain, with its version.
pub const TOOL: &str = "@bytecodealliance/componentize-js@0.22.0";
const DRIVER: &str = include_str!("componentize.mjs");
/// What the runtime brings along and imports, whether the source uses it or not.
const WEB: [&str; 2] = ["http", "fetch-event"];

/// Builds the component of `project`.
pub fn build(project: &Project, workshop: &Workshop<'_>) -> Result<Vec<u8>, BuildError> {
    let source = source(project)?;
    let wit = project.wit();
    let world = wit::world_name(&wit, project.world.as_deref())?;
    let program = npm::install(workshop, TOOL, "src/componentize.js")?;
    let node = npm::node(workshop)?;
    let target = project.target().join("js");
    let (driver, component) = (target.join("componentize.mjs"), target.join("component.wasm"));
    files::write(&driver, DRIVER.as_bytes())?;
    workshop.say(&format!("building {} with {TOOL}", source.display()));
    let mut command = Command::new(node);
    command.current_dir(&project.folder).arg(&driver).arg(program);
    command.arg(project.folder.join(&source)).arg(&wit).arg(world).arg(&component);
    if !project.http {
        command.args(WEB);
    }
    command::quietly("componentize-js", &mut command)?;
    files::read(&component)
}

/// The module that the build begins at: what `[build]` says, else the `main` of `package.json`.
fn source(project: &Project) -> Result<PathBuf, BuildError> {
    if let Some(source) = &project.source {
        return Ok(source.clone());
    }
    let path = project.folder.join("package.json");
    let wrong = |message: String| BuildError::project(&path, message);
    let package: serde_json::Value =
        serde_json::from_str(&files::read_text(&path)?).map_err(|error| wrong(error.to_string()))?;
    let main = package["main"].as_str().unwrap_or("src/index.js").trim_start_matches("./");
    let source = project.folder.join(main);
    if !source.is_file() {
        return Err(wrong(format!("`main` is {main}, and there is no such file")));
    }
    utf8(&source)?;
    Ok(main.into())
}
