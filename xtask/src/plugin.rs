//! `cargo xtask plugin`: for authors, whose plugins live in folders of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::guest::{Guest, Kind};
use crate::toolchain::{self, Choice, Toolchain};
use crate::{files, guests, step};

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Builds the plugin in FOLDER, wherever that is, into a folder that `berth plugin install` takes.
    Build(Build),
}

#[derive(Args)]
struct Build {
    /// The folder with Cargo.toml and plugin.toml.
    folder: PathBuf,
    /// Where the plugin goes; FOLDER/target/plugin/ID when absent.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The compiler to use; by default the first that works.
    #[arg(long, env = "BERTH_GUEST_TOOLCHAIN")]
    toolchain: Option<Choice>,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let Action::Build(build) = &options.action;
    let folder = std::fs::canonicalize(&build.folder)
        .with_context(|| format!("there is no folder {}", build.folder.display()))?;
    let names = Names::read(&folder)?;
    let guest = Guest::read(Kind::Plugin, folder.clone())?;
    let toolchain = Toolchain::choose(build.toolchain)?;
    step::say(&format!("building {}{}", names.id, toolchain.remark()));
    compile(&guest, &toolchain)?;

    let component = guests::component(&guest, &toolchain)?;
    let out = build.out.clone().unwrap_or_else(|| folder.join("target/plugin").join(&names.id));
    guests::dress(&guest, &out)?;
    files::write(&out.join(&names.component), &component)?;
    step::say(&format!("built {} bytes of {}", component.len(), names.component));
    step::say(&format!("install it: berth plugin install {}", out.display()));
    Ok(())
}

/// What `plugin.toml` says of the files. The host checks all of it.
struct Names {
    id: String,
    component: String,
}

impl Names {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("plugin.toml");
        let parse = || {
            let manifest: toml::Table = files::read_text(&path)?.parse()?;
            let text = |section: &str, key: &str| -> Option<String> {
                manifest.get(section)?.get(key)?.as_str().map(str::to_owned)
            };
            let id = text("plugin", "id").context("no plugin.id")?;
            let component = text("component", "file").unwrap_or_else(|| format!("{id}.wasm"));
            // Both become parts of a path.
            if [&id, &component].into_iter().any(|name| name.is_empty() || name.contains(['/', '\\'])) {
                bail!("plugin.id and component.file are names without a slash");
            }
            anyhow::Ok(Self { id, component })
        };
        parse().with_context(|| path.display().to_string())
    }
}

fn compile(guest: &Guest, toolchain: &Toolchain) -> anyhow::Result<()> {
    let mut cargo = crate::cargo();
    cargo.current_dir(&guest.folder).args(["rustc", "--quiet", "--lib", "--crate-type", "cdylib"]);
    for setting in profile()? {
        cargo.args(["--config", &setting]);
    }
    toolchain.prepare(&mut cargo, toolchain.target(guest), None);
    cargo.arg("--").arg(toolchain::stack_flag(guest.stack_bytes));
    succeed(&mut cargo, &guest.name)
}

fn succeed(cargo: &mut Command, name: &str) -> anyhow::Result<()> {
    let status = cargo.status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("building {name} failed ({status})");
    }
    Ok(())
}

/// The profile of our own plugins, for a crate that is none of our workspace.
fn profile() -> anyhow::Result<Vec<String>> {
    let manifest: toml::Table = files::read_text(&crate::root().join("Cargo.toml"))?.parse()?;
    let guest = manifest.get("profile").and_then(|profiles| profiles.get("guest")?.as_table());
    let guest = guest.context("the workspace has no [profile.guest]")?;
    Ok(guest.iter().map(|(key, value)| format!("profile.guest.{key}={value}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_profile_of_guests_is_told_to_cargo_key_by_key() {
        let settings = profile().unwrap();

        assert!(settings.contains(&"profile.guest.inherits=\"release\"".to_owned()), "{settings:?}");
        assert!(settings.contains(&"profile.guest.lto=true".to_owned()), "{settings:?}");
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = |text: &str| {
            std::fs::write(folder.path().join("plugin.toml"), text).unwrap();
            Names::read(folder.path())
        };

        assert_eq!(manifest("[plugin]\nid = \"tally\"\n").unwrap().component, "tally.wasm");
        for bad in
            ["[plugin]\nid = \"../x\"\n", "[plugin]\nid = \"a\"\n[component]\nfile = \"b/c.wasm\"\n", ""]
        {
            assert!(manifest(bad).is_err(), "{bad}");
        }
    }
}
