//! Plugins in Python: a module with a class for each interface, by componentize-py.

mod web;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::Fingerprint;
use crate::{BuildError, Project, Workshop, command, files, wit};
use web::Web;

/// The tool chain, and its version.
pub const TOOL: &str = "componentize-py==0.25.1";
/// What says which packages of others go along.
const REQUIREMENTS: &str = "requirements.txt";

/// Builds the component of `project`: its module `app`, or the one that `[build]` names.
pub fn build(project: &Project, workshop: &Workshop<'_>) -> Result<Vec<u8>, BuildError> {
    let module = module(project)?;
    let (wit, named) = (project.wit(), project.world.as_deref());
    let world = wit::world_name(&wit, named)?;
    let python = python(workshop)?;
    let tool = tool(workshop, python)?;
    let target = project.target().join("python");
    std::fs::create_dir_all(&target)
        .map_err(BuildError::io(format!("{} cannot be made", target.display())))?;
    let packages = packages(project, workshop, python)?;
    let web = if project.http { Web::add(&wit, named, &target)? } else { None };
    let (wit, world) = web.as_ref().map_or((&wit, world.as_str()), |web| (&web.wit, web.world));

    workshop.say(&format!("building {module}.py with {TOOL}"));
    let component = target.join("component.wasm");
    let mut command = Command::new(python);
    command.current_dir(&project.folder).env("PYTHONPATH", &tool).env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(tool.join("bin/componentize-py")).arg("-d").arg(wit).args(["-w", world]);
    if web.is_some() {
        command.args(Web::names());
    }
    command.arg("componentize").arg(&module).arg("-p").arg(&project.folder);
    for modules in packages.iter().chain(web.as_ref().map(|web| &web.modules)) {
        command.arg("-p").arg(modules);
    }
    command.arg("-o").arg(&component);
    command::quietly("componentize-py", &mut command)?;
    files::read(&component)
}

/// The name of the module that the build begins at.
fn module(project: &Project) -> Result<String, BuildError> {
    let file = project.source.clone().unwrap_or_else(|| PathBuf::from("app.py"));
    if !project.folder.join(&file).is_file() {
        let message = format!(
            "there is no {}: the classes of the plugin stand in app.py, or in the `source` that [build] in plugin.toml \
             names",
            file.display()
        );
        return Err(BuildError::project(&project.folder, message));
    }
    let name = file.with_extension("");
    let name = name.to_str().filter(|name| !name.contains(['/', '\\', '.', '-']));
    name.map(str::to_owned).ok_or_else(|| {
        BuildError::project(
            &file,
            "the module that the build begins at lies beside plugin.toml, and has no - in its name",
        )
    })
}

/// The interpreter that the tool chain runs in; the plugin gets one of its own.
fn python(workshop: &Workshop<'_>) -> Result<&'static str, BuildError> {
    let found = || ["python3", "python"].into_iter().find(|name| command::has(name));
    match found() {
        Some(name) => Ok(name),
        None => {
            workshop.need("a plugin in Python needs Python 3 with pip", &["python3", "python3-pip"])?;
            Ok("python3")
        }
    }
}

/// Installs the tool chain, unless it is there, and returns its folder.
fn tool(workshop: &Workshop<'_>, python: &'static str) -> Result<PathBuf, BuildError> {
    let folder = workshop.cache.join("python").join(TOOL.replace("==", "-"));
    let stamp = folder.join("installed");
    if stamp.exists() {
        return Ok(folder);
    }
    let _held = workshop.hold(&folder)?;
    // The build that held it before may have done the work.
    if stamp.exists() {
        return Ok(folder);
    }
    workshop.say(&format!("installing {TOOL} from PyPI, once"));
    let installer = Installer::find(workshop, python)?;
    command::quietly(installer.name(), installer.install_to(&folder).arg(TOOL))?;
    files::write(&stamp, TOOL.as_bytes())?;
    Ok(folder)
}

/// What installs packages.
enum Installer {
    Pip(&'static str),
    Uv(&'static str),
}

impl Installer {
    /// pip, else uv.
    fn find(workshop: &Workshop<'_>, python: &'static str) -> Result<Self, BuildError> {
        let mut pip = Command::new(python);
        if command::quietly("pip", pip.args(["-m", "pip", "--version"])).is_ok() {
            return Ok(Self::Pip(python));
        }
        if command::has("uv") {
            return Ok(Self::Uv(python));
        }
        workshop.need("a plugin in Python needs pip or uv", &["python3-pip"])?;
        Ok(Self::Pip(python))
    }

    /// The command that installs into `folder`, without compiling anything; what it installs is to be added.
    fn install_to(&self, folder: &Path) -> Command {
        let mut command = match self {
            Self::Pip(python) => {
                let mut pip = Command::new(python);
                pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check"]);
                pip
            }
            Self::Uv(python) => {
                let mut uv = Command::new("uv");
                uv.args(["pip", "install", "--python", python]);
                uv
            }
        };
        command.args(["--quiet", "--upgrade", "--only-binary", ":all:", "--target"]).arg(folder);
        command
    }

    /// Has `command` take packages that are Python alone, where the installer knows how to.
    fn pure(&self, command: &mut Command) {
        if let Self::Pip(_) = self {
            command.args(["--platform", "any", "--implementation", "py", "--abi", "none"]);
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Pip(_) => "pip install",
            Self::Uv(_) => "uv pip install",
        }
    }
}

/// Fetches what `requirements.txt` names, when it has changed. Only what is Python alone runs in a component.
fn packages(
    project: &Project,
    workshop: &Workshop<'_>,
    python: &'static str,
) -> Result<Option<PathBuf>, BuildError> {
    let list = project.folder.join(REQUIREMENTS);
    if !list.is_file() || names(&files::read_text(&list)?).next().is_none() {
        return Ok(None);
    }
    let folder = project.target().join("python/packages");
    let stamp = folder.with_extension("installed");
    let mut wanted = Fingerprint::new(TOOL);
    wanted.add(&list)?;
    let wanted = wanted.finish();
    if is_installed(&stamp, &wanted) {
        return Ok(Some(folder));
    }
    workshop.say(&format!("installing what {REQUIREMENTS} names"));
    files::remove(&folder)?;
    let installer = Installer::find(workshop, python)?;
    let mut install = installer.install_to(&folder);
    installer.pure(&mut install);
    command::quietly(installer.name(), install.arg("-r").arg(&list))?;
    refuse_compiled(&folder)?;
    files::write(&stamp, wanted.as_bytes())?;
    Ok(Some(folder))
}

/// What is compiled for a machine does not run in a component: said now, and not by the first call.
fn refuse_compiled(folder: &Path) -> Result<(), BuildError> {
    let is_compiled = |ending: &std::ffi::OsStr| ["so", "pyd", "dylib"].iter().any(|other| ending == *other);
    let files = files::below(folder)?;
    let Some(file) = files.iter().find(|file| file.extension().is_some_and(is_compiled)) else {
        return Ok(());
    };
    let file = file.strip_prefix(folder).unwrap_or(file);
    Err(BuildError::failed(
        format!(
            "{REQUIREMENTS} brings {}, which is not Python alone, and only that runs in a component",
            file.display()
        ),
        "",
    ))
}

fn is_installed(stamp: &Path, wanted: &str) -> bool {
    std::fs::read_to_string(stamp).is_ok_and(|text| text == wanted)
}

/// The lines that name a package.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Language;

    #[test]
    fn the_module_is_app_or_the_one_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut project = Project {
            folder: folder.path().to_owned(),
            language: Language::Python,
            world: None,
            source: None,
            http: false,
        };

        let missing = module(&project).unwrap_err().to_string();
        for file in ["app.py", "tables.py", "my-app.py"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let usual = module(&project).unwrap();
        project.source = Some("tables.py".into());
        let named = module(&project).unwrap();
        project.source = Some("my-app.py".into());

        assert!(missing.contains("no app.py"), "{missing}");
        assert_eq!((usual.as_str(), named.as_str()), ("app", "tables"));
        assert!(module(&project).is_err());
    }

    #[test]
    fn what_is_compiled_for_a_machine_is_refused_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        files::write(&folder.path().join("pure/a.py"), b"").unwrap();
        assert!(refuse_compiled(folder.path()).is_ok());

        files::write(&folder.path().join("fast/_core.so"), b"").unwrap();
        let refused = refuse_compiled(folder.path()).unwrap_err();

        assert_eq!(refused.code(), "BUILD_FAILED");
        assert!(refused.to_string().contains("fast/_core.so"), "{refused}");
    }

    #[test]
    fn a_list_of_comments_names_nothing() {
        assert_eq!(names("# none\n\n").next(), None);
        assert_eq!(names("# one\n idna \n").collect::<Vec<_>>(), ["idna"]);
    }
}
