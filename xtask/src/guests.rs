//! `cargo xtask guests`: builds the components that have changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use berth_build::rust::STACK_BYTES;
use berth_build::{Choice, Crate, Toolchain, toolchain};
use clap::Args;

use crate::guest::{Guest, Kind};
use crate::{files, step};

/// What to build, and with what.
#[derive(Args, Default)]
pub struct Options {
    /// Names of guests; all when none is given.
    names: Vec<String>,
    /// The compiler to use; by default the first that works.
    #[arg(long, env = "BERTH_GUEST_TOOLCHAIN")]
    toolchain: Option<Choice>,
}

/// Builds what `options` names.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let guests = Guest::all(&crate::root())?;
    if let Some(name) = options.names.iter().find(|name| !guests.iter().any(|guest| guest.name == **name)) {
        bail!("there is no guest `{name}` in plugins/ or tests/guests/");
    }
    let wanted = |guest: &&Guest| options.names.is_empty() || options.names.contains(&guest.name);
    build(guests.iter().filter(wanted).collect(), options.toolchain)?;
    if options.names.is_empty() {
        remove_strangers(&guests)?;
    }
    Ok(())
}

/// Builds the plugins alone.
pub fn plugins() -> anyhow::Result<()> {
    let guests = Guest::all(&crate::root())?;
    build(guests.iter().filter(|guest| guest.kind == Kind::Plugin).collect(), from_environment()?)?;
    remove_strangers(&guests)
}

/// Builds everything.
pub fn all() -> anyhow::Result<()> {
    run(&Options { names: Vec::new(), toolchain: from_environment()? })
}

fn from_environment() -> anyhow::Result<Option<Choice>> {
    let Ok(name) = std::env::var("BERTH_GUEST_TOOLCHAIN") else { return Ok(None) };
    match name.parse() {
        Ok(choice) => Ok(Some(choice)),
        Err(reason) => bail!("BERTH_GUEST_TOOLCHAIN: {reason}"),
    }
}

fn build(guests: Vec<&Guest>, forced: Option<Choice>) -> anyhow::Result<()> {
    let target = crate::target();
    let shared = Guest::shared_fingerprint(&crate::root())?;
    let mut changed = Vec::new();
    for guest in &guests {
        let fingerprint = guest.fingerprint(&shared)?;
        let known = std::fs::read_to_string(guest.stamp(&target)).is_ok_and(|stamp| stamp == fingerprint);
        if !known || !guest.component(&target).exists() {
            changed.push((*guest, fingerprint));
        }
    }
    if changed.is_empty() {
        step::say(&format!("guests: all {} are up to date", guests.len()));
        return Ok(());
    }
    let toolchain = Toolchain::choose(&crate::workshop(forced), &crate::root())?;
    let names: Vec<_> = changed.iter().map(|(guest, _)| guest.name.as_str()).collect();
    step::say(&format!(
        "guests: building {} of {}: {}{}",
        names.len(),
        guests.len(),
        names.join(", "),
        toolchain.remark()
    ));
    let begin = std::time::Instant::now();
    compile(&toolchain, changed.iter().map(|(guest, _)| *guest))?;
    for (guest, fingerprint) in &changed {
        finish(guest, &toolchain, &target).with_context(|| format!("guest `{}`", guest.name))?;
        files::write(&guest.stamp(&target), fingerprint.as_bytes())?;
    }
    step::say(&format!("guests: {} built in {:.1} s", changed.len(), begin.elapsed().as_secs_f32()));
    Ok(())
}

/// Has cargo make the core modules.
fn compile<'a>(toolchain: &Toolchain, guests: impl Iterator<Item = &'a Guest>) -> anyhow::Result<()> {
    let mut together: BTreeMap<&str, Vec<&Guest>> = BTreeMap::new();
    for guest in guests {
        let source = &guest.source;
        let target = toolchain.target(source.wasi);
        if !source.also_library && source.stack_bytes == STACK_BYTES {
            together.entry(target).or_default().push(guest);
            continue;
        }
        // Cargo leaves link-time optimisation out for a crate that is a Rust library as well, so it must not be.
        let mut cargo = cargo("rustc");
        cargo.args(["--lib", "--crate-type", "cdylib", "--package", &source.package]);
        toolchain.prepare(&mut cargo, target, None, &target_folder());
        cargo.arg("--").arg(toolchain::stack_flag(source.stack_bytes));
        succeed(&mut cargo, &guest.name)?;
    }
    for (target, guests) in together {
        let mut cargo = cargo("build");
        cargo.arg("--lib");
        for guest in &guests {
            cargo.args(["--package", &guest.source.package]);
        }
        toolchain.prepare(&mut cargo, target, Some(STACK_BYTES), &target_folder());
        let names: Vec<_> = guests.iter().map(|guest| guest.name.as_str()).collect();
        succeed(&mut cargo, &names.join(", "))?;
    }
    Ok(())
}

fn cargo(command: &str) -> Command {
    let mut cargo = crate::cargo();
    cargo.args([command, "--quiet"]);
    cargo
}

fn succeed(cargo: &mut Command, names: &str) -> anyhow::Result<()> {
    let status = cargo.status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("building {names} failed ({status})");
    }
    Ok(())
}

/// Makes the component of a module, and puts beside it what the host reads.
fn finish(guest: &Guest, toolchain: &Toolchain, target: &Path) -> anyhow::Result<()> {
    let component = guest.source.component(toolchain, &target_folder())?;
    if guest.kind == Kind::Plugin {
        dress(&guest.source, &target.join("plugins").join(&guest.name))?;
    }
    Ok(files::write(&guest.component(target), &component)?)
}

/// Where cargo builds guests, away from the host.
fn target_folder() -> PathBuf {
    crate::target().join("guests")
}

/// Puts into the folder of a built plugin what the host reads beside the component.
fn dress(guest: &Crate, folder: &Path) -> anyhow::Result<()> {
    files::write(&folder.join("plugin.toml"), &files::read(&guest.folder.join("plugin.toml"))?)?;
    // The compiler drops doc comments; the host takes them from here.
    files::mirror(&guest.folder.join("wit"), &folder.join("wit"))?;
    for extra in ["grants.toml", "config.schema.json"] {
        let from = guest.folder.join(extra);
        if from.exists() {
            files::write(&folder.join(extra), &files::read(&from)?)?;
        } else {
            files::remove(&folder.join(extra))?;
        }
    }
    Ok(())
}

/// Removes what was built from folders that are gone, so that no test and no host finds it.
fn remove_strangers(guests: &[Guest]) -> anyhow::Result<()> {
    let target = crate::target();
    for (kind, folder) in [(Kind::Plugin, "plugins"), (Kind::Fixture, "fixtures")] {
        let folder = target.join(folder);
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry?.path();
            let ours = |guest: &Guest| {
                guest.kind == kind && path.file_stem().is_some_and(|stem| *stem == *guest.name)
            };
            if !guests.iter().any(ours) {
                files::remove(&path)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn plugins_of_others_are_built_by_the_profile_of_ours() {
        let manifest: toml::Table =
            files::read_text(&crate::root().join("Cargo.toml")).unwrap().parse().unwrap();
        let profile = manifest["profile"]["guest"].as_table().unwrap().iter();
        let ours: std::collections::BTreeSet<_> =
            profile.map(|(key, value)| format!("profile.guest.{key}={value}")).collect();

        assert_eq!(ours, berth_build::rust::PROFILE.map(str::to_owned).into());
    }
}
