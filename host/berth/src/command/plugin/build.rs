//! `berth plugin build`: sources become a component, and what is in it is shown.

use std::path::{Path, PathBuf};

use berth_build::{BuildError, Choice, Language, Packages, Project, Workshop};
use berth_wasm::capability::Capability;
use berth_wasm::host::package;
use berth_wasm::inspect::{Inspection, inspect};
use berth_wasm::{Docs, Manifest, Package};
use clap::Args;
use serde_json::{Value, json};

use super::pack::shown;
use super::signature::signature;
use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::progress::Progress;
use crate::terminal::{Terminal, Tone};

/// What to build, and with what.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  berth plugin build ./tally\n  berth plugin build ./tally --install")]
pub struct Options {
    /// The folder with the plugin.toml.
    #[arg(default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    tools: Tools,
}

/// What a plugin is built with.
#[derive(Debug, Clone, Args)]
pub struct Tools {
    /// The compiler for Rust, rustup or debian; by default the first that works.
    #[arg(long, value_name = "NAME", env = "BERTH_GUEST_TOOLCHAIN", hide_env = true)]
    toolchain: Option<Choice>,
    /// Install packages of Debian that are missing, as root or by a sudo that asks nothing.
    #[arg(long)]
    install: bool,
}

/// A plugin that was built.
pub struct Built {
    pub manifest: Manifest,
    pub language: Language,
    /// The component, beside the manifest.
    pub file: PathBuf,
    pub inspection: Inspection,
    /// What an install of the folder is agreed to by.
    pub package_digest: String,
}

pub async fn run(global: &Global, options: Options) -> Result<(), Failure> {
    let Options { folder, tools } = options;
    let built = build(&folder, tools).await?;
    if global.json {
        output::json(&told(&built));
        return Ok(());
    }
    let name = built.file.file_name().unwrap_or_default().display();
    output::line(&format!(
        "built {} {}: {name}, {}",
        built.manifest.id,
        built.manifest.version,
        size(built.inspection.bytes)
    ));
    tools_of(&built.inspection);
    for warning in &built.inspection.warnings {
        output::note(&output::one_line(&format!("warning: {warning}")));
    }
    Ok(())
}

/// Builds the plugin in `folder` and puts the component beside its manifest, in one step.
pub async fn build(folder: &Path, tools: Tools) -> Result<Built, Failure> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || build_here(&folder, &tools))
        .await
        .map_err(|error| Failure::Other(error.into()))?
}

/// The folder of a plugin; refuses what is none.
pub fn folder_of_plugin(folder: &Path) -> Result<PathBuf, Failure> {
    let found = std::fs::canonicalize(folder).ok().filter(|found| found.is_dir());
    let found = found.ok_or_else(|| Failure::Usage(format!("there is no folder {}", folder.display())))?;
    if !found.join("plugin.toml").is_file() {
        return Err(Failure::Usage(format!(
            "{} has no plugin.toml: `berth plugin new` begins a plugin",
            folder.display()
        )));
    }
    Ok(found)
}

fn build_here(folder: &Path, tools: &Tools) -> Result<Built, Failure> {
    let folder = folder_of_plugin(folder)?;
    let (_, manifest) = package::manifest(&folder).map_err(|error| shown(&folder, error))?;
    let project = project(&folder, &manifest)?;
    let cache = berth_build::user_cache().ok_or_else(|| {
        Failure::Usage("no folder for tool chains is known: name one in BERTH_CACHE".to_owned())
    })?;
    // Cargo has a line of its own.
    let progress = match project.language {
        Language::Rust => Progress::none(),
        _ => Progress::start("building"),
    };
    let say = |line: &str| progress.say(line);
    let workshop = Workshop {
        cache,
        packages: if tools.install { Packages::Install } else { Packages::Explain },
        choice: tools.toolchain,
        verbose: Terminal::err().colours,
        say: &say,
    };
    let component = project.build(&workshop)?;
    drop(progress);

    let docs = Docs::from_folder(&folder.join("wit")).unwrap_or_default();
    let inspection = inspect(&component, &manifest, &docs)
        .map_err(|error| Failure::failed(error.code(), error.to_string()))?;
    let file = folder.join(package::component_name(&manifest));
    berth_build::files::write(&file, &component)?;
    let package_digest = Package::read(&folder)?.digest();
    Ok(Built { manifest, language: project.language, file, inspection, package_digest })
}

fn project(folder: &Path, manifest: &Manifest) -> Result<Project, Failure> {
    let hints = &manifest.build;
    let wrong = |message: String| BuildError::Project {
        path: folder.join("plugin.toml").display().to_string(),
        message: format!("[build]: {message}"),
    };
    let language = match &hints.language {
        Some(word) => word.parse().map_err(wrong)?,
        None => Language::of(folder)?,
    };
    let source = hints.source.as_ref().map(PathBuf::from);
    if let Some(source) = &source
        && !source.components().all(|part| matches!(part, std::path::Component::Normal(_)))
    {
        return Err(wrong("`source` is a file below the folder of the plugin".to_owned()).into());
    }
    Ok(Project {
        folder: folder.to_owned(),
        language,
        world: hints.world.clone(),
        source,
        http: manifest.requests.iter().any(|request| request.capability == Capability::Http),
    })
}

/// The build as programs read it.
pub fn told(built: &Built) -> Value {
    json!({
        "plugin_id": built.manifest.id,
        "version": built.manifest.version.to_string(),
        "language": built.language.word(),
        "file": built.file,
        "bytes": built.inspection.bytes,
        "digest": built.inspection.digest,
        "package_digest": built.package_digest,
        "tools": built.inspection.tools,
        "dynamic": built.inspection.is_dynamic,
        "imports": built.inspection.imports,
        "warnings": built.inspection.warnings,
    })
}

/// A size for people.
pub fn size(bytes: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
    let bytes = bytes as f64;
    if bytes < 1e6 { format!("{:.1} KB", bytes / 1e3) } else { format!("{:.1} MB", bytes / 1e6) }
}

/// The tools of a component with their arguments.
fn tools_of(inspection: &Inspection) {
    if inspection.is_dynamic {
        output::line("its tools are described when it is installed");
        return;
    }
    output::line("tools");
    for tool in &inspection.tools {
        let words = signature(&tool.name, &tool.input_schema, Some(&tool.output_schema));
        output::hanging("  ", &words, Tone::Plain);
        if let Some(about) = tool.description.lines().next() {
            output::hanging("      ", about, Tone::Plain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_outside_of_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = |source: &str| {
            let text = format!(
                "[plugin]\nid = \"a\"\nversion = \"0.1.0\"\n[build]\nlanguage = \"python\"\nsource = \"{source}\"\n"
            );
            Manifest::parse(&text).unwrap()
        };

        assert!(project(folder.path(), &manifest("tables.py")).is_ok());
        for bad in ["../app.py", "/app.py"] {
            assert_eq!(
                project(folder.path(), &manifest(bad)).unwrap_err().json()["error"]["code"],
                "BUILD_PROJECT"
            );
        }
    }
}
