//! `berth plugin build`: sources become a component, and what is in it is shown.

use std::path::{Path, PathBuf};

use berth_build::{BuildError, Choice, Language, Packages, Project, Workshop};
use berth_wasm::capability::Capability;
use berth_wasm::host::package;
use berth_wasm::inspect::{Inspection, inspect};
use berth_wasm::{Docs, Manifest, ToolDescription};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::pack::shown;
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{self, text};
use crate::terminal::Terminal;

const TICK: std::time::Duration = std::time::Duration::from_millis(100);

/// What to build, and with what.
#[derive(Debug, Args)]
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

fn build_here(folder: &Path, tools: &Tools) -> Result<Built, Failure> {
    let folder = std::fs::canonicalize(folder)
        .map_err(|_| Failure::Usage(format!("there is no folder {}", folder.display())))?;
    if !folder.join("plugin.toml").is_file() {
        return Err(Failure::Usage(format!(
            "{} has no plugin.toml: `berth plugin new` begins a plugin",
            folder.display()
        )));
    }
    let (_, manifest) = package::manifest(&folder).map_err(|error| shown(&folder, error))?;
    let project = project(&folder, &manifest)?;
    let cache = berth_build::user_cache().ok_or_else(|| {
        Failure::Usage("no folder for tool chains is known: name one in BERTH_CACHE".to_owned())
    })?;
    let progress = Progress::start(project.language);
    let say = |line: &str| progress.say(line);
    let workshop = Workshop {
        cache,
        packages: if tools.install { Packages::Install } else { Packages::Explain },
        choice: tools.toolchain,
        verbose: Terminal::err().colours,
        say: &say,
    };
    let component = project.build(&workshop)?;
    progress.end();

    let docs = Docs::from_folder(&folder.join("wit")).unwrap_or_default();
    let inspection = inspect(&component, &manifest, &docs)
        .map_err(|error| Failure::failed(error.code(), error.to_string()))?;
    let file = folder.join(package::component_name(&manifest));
    berth_build::files::write(&file, &component)?;
    Ok(Built { manifest, language: project.language, file, inspection })
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

/// What is going on, on standard error: a line that turns where there is a terminal, else a line for each step.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn start(language: Language) -> Self {
        // Cargo has a line of its own.
        if !Terminal::err().colours || language == Language::Rust {
            return Self(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self(Some(bar))
    }

    fn say(&self, line: &str) {
        let line = output::one_line(line);
        match &self.0 {
            Some(bar) => bar.set_message(line),
            None => output::note(&line),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
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
        output::line(&output::one_line(&format!("  {}", signature(tool))));
        if let Some(about) = tool.description.lines().next() {
            output::line(&output::one_line(&format!("      {about}")));
        }
    }
}

/// `name(argument: type, other?: type) -> type`.
fn signature(tool: &ToolDescription) -> String {
    let required = output::items(&tool.input_schema["required"]);
    let properties = tool.input_schema["properties"].as_object().into_iter().flatten();
    let arguments: Vec<_> = properties
        .map(|(name, schema)| {
            let mark = if required.iter().any(|other| other == name) { "" } else { "?" };
            format!("{name}{mark}: {}", kind(schema))
        })
        .collect();
    format!("{}({}) -> {}", tool.name, arguments.join(", "), kind(&tool.output_schema))
}

/// The kind of value that a schema is of, in a word.
fn kind(schema: &Value) -> String {
    if let Value::Array(kinds) = &schema["type"] {
        let kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
        return kinds.collect::<Vec<_>>().join(" or ");
    }
    match schema["type"].as_str() {
        Some("array") if schema["items"].is_object() => format!("array of {}", kind(&schema["items"])),
        Some("object") => match schema["properties"].as_object() {
            Some(fields) if !fields.is_empty() => {
                let names: Vec<_> = fields.keys().map(String::as_str).collect();
                format!("{{{}}}", names.join(", "))
            }
            _ => "object".to_owned(),
        },
        Some(_) => text(schema, "type"),
        None => "value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_told_in_a_word() {
        for (schema, word) in [
            (json!({ "type": "string" }), "string"),
            (json!({ "type": ["string", "null"] }), "string"),
            (json!({ "type": "array", "items": { "type": "integer" } }), "array of integer"),
            (json!({ "type": "object", "properties": { "words": {}, "lines": {} } }), "{words, lines}"),
            (json!({ "anyOf": [] }), "value"),
        ] {
            assert_eq!(kind(&schema), word);
        }
    }

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
