//! The example plugins, each in another language, built as an author builds his.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use berth_build::files::Fingerprint;
use berth_build::{Language, Project, javascript, python};

use crate::{debian, files, step};

/// Changes when the same sources would be built in another way.
const WAY: &str = "2";
/// What installs packages of Python where there is no pip; the tests build a plugin with it.
const UV: &str = "uv==0.13.9";

/// Builds and tests those that have changed, and returns the folder that holds them all.
///
/// The tool chains that this installs are what the tests build new plugins with.
pub fn all() -> anyhow::Result<PathBuf> {
    uv()?;
    let from = crate::root().join("examples/plugins");
    let to = crate::target().join("examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&from).with_context(|| format!("cannot list {}", from.display()))? {
        names.push(entry?.file_name());
    }
    names.sort();
    for name in names {
        let (source, folder) = (from.join(&name), to.join(&name));
        let stamp = to.join("stamps").join(&name);
        let mut fingerprint = Fingerprint::new(WAY);
        for tool in [javascript::TOOL, python::TOOL] {
            fingerprint = fingerprint.with(tool);
        }
        fingerprint.add(&source)?;
        let fingerprint = fingerprint.finish();
        if std::fs::read_to_string(&stamp).is_ok_and(|text| text == fingerprint) {
            continue;
        }
        let name = name.to_string_lossy();
        files::mirror(&source, &folder)?;
        build(&folder, &name).with_context(|| format!("example `{name}`"))?;
        files::write(&stamp, fingerprint.as_bytes())?;
    }
    Ok(to)
}

fn build(folder: &Path, name: &str) -> anyhow::Result<()> {
    let language = Language::of(folder)?;
    step::say(&format!("examples: building {name}, in {}", language.name()));
    let manifest = std::fs::read_to_string(folder.join("plugin.toml"))?;
    let http = asks_for(&manifest, "http")?;
    let project = Project { folder: folder.to_owned(), language, world: None, source: None, http };
    let component = project.build(&crate::workshop(None))?;
    files::write(&folder.join(format!("{name}.wasm")), &component)?;
    test(folder, language)?;
    step::say(&format!("examples: {name} has {} bytes", component.len()));
    Ok(())
}

/// Whether a manifest asks for a capability.
fn asks_for(manifest: &str, capability: &str) -> anyhow::Result<bool> {
    let manifest: toml::Table = manifest.parse().context("plugin.toml")?;
    let requests = manifest.get("capability").and_then(toml::Value::as_array);
    let name = |request: &toml::Value| request.get("name").and_then(toml::Value::as_str) == Some(capability);
    Ok(requests.is_some_and(|requests| requests.iter().any(name)))
}

/// Installs uv beside the tool chains, unless it is there.
fn uv() -> anyhow::Result<()> {
    let folder = crate::tools().join("uv");
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == UV) {
        return Ok(());
    }
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--upgrade",
        "--target",
    ]);
    step::quietly("pip install", pip.arg(&folder).arg(UV))?;
    Ok(files::write(&stamp, UV.as_bytes())?)
}

/// The tests that the language has for itself, as the readme of a new plugin names them.
fn test(folder: &Path, language: Language) -> anyhow::Result<()> {
    let run = |what: &str, program: &Path, arguments: &[&str]| {
        step::quietly(what, Command::new(program).current_dir(folder).args(arguments))
    };
    match language {
        // Ours are tested with everything else.
        Language::Rust => {}
        Language::JavaScript => {
            let tests = files::below(&folder.join("tests"))?;
            let tests = tests.iter().filter(|file| file.extension().is_some_and(|ending| ending == "js"));
            let node = berth_build::npm::node(&crate::workshop(None))?;
            for file in tests {
                run("node --test", &node, &["--test", &file.to_string_lossy()])?;
            }
        }
        Language::Python => {
            run("unittest", Path::new("python3"), &["-m", "unittest", "discover", "tests"])?;
        }
        Language::C => {
            if !step::has("cc") {
                debian::install(&["build-essential"])?;
            }
            let mut sources = vec!["-Isrc".to_owned(), "-otarget/native".to_owned()];
            for place in ["src", "tests"] {
                let found = files::below(&folder.join(place))?;
                let is_plain = |file: &&PathBuf| {
                    file.extension().is_some_and(|ending| ending == "c") && !file.ends_with("plugin.c")
                };
                sources.extend(found.iter().filter(is_plain).map(|file| file.to_string_lossy().into_owned()));
            }
            let arguments: Vec<&str> = sources.iter().map(String::as_str).collect();
            run("cc", Path::new("cc"), &arguments)?;
            run("the tests", &folder.join("target/native"), &[])?;
        }
    }
    Ok(())
}
