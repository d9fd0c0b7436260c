//! `berth plugin verify`: whether a package is what it says, and what this machine makes of its publisher.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth_package::archive::ENDING;
use berth_package::{Admission, Lock, PackageError, SignedPackage, Trust};
use berth_wasm::Package;
use berth_wasm::inspect::{Docs, inspect};
use berth_wasm::manifest::Manifest;
use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::place::DataDir;
use crate::policies;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  berth plugin verify tally-0.1.0.berth\n  berth plugin verify tally-0.1.0.berth --locked"
)]
pub struct Options {
    /// A .berth file.
    file: PathBuf,
    /// Ask nobody: neither a host nor a registry. Verifying never does.
    #[arg(long)]
    offline: bool,
    /// The policy of publishers; policies/publishers.toml in the data folder when it is not said.
    #[arg(long, value_name = "FILE")]
    publishers: Option<PathBuf>,
    /// The lock to compare with; berth.lock in the data folder when it is not said.
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Refuse a package that is not the one that the lock has.
    #[arg(long)]
    locked: bool,
}

pub fn run(global: &Global, options: &Options) -> Result<(), Failure> {
    let data = DataDir::find(global.data.clone())?;
    let (package, shipped) = archive(&options.file)?;
    let shipped = &*shipped;
    let manifest = Manifest::parse(&package.manifest).map_err(berth_wasm::HostError::from)?;
    let inspection =
        inspect(&package.component, &manifest, &Docs::default()).map_err(berth_wasm::HostError::from)?;

    let policy = place(options.publishers.as_deref(), &policies::publishers_file(data.path()));
    let trust = Trust::read(&text(&policy, options.publishers.is_some())?.unwrap_or_default())?;
    let lock_file = place(options.lock.as_deref(), &policies::lock_file(data.path()));
    let lock = match text(&lock_file, options.lock.is_some())? {
        Some(text) => Lock::read(&text)?,
        None => Lock::default(),
    };
    let pin = lock.get(shipped.id());
    let admission = trust.admit(shipped, &inspection.digest, pin)?;
    if options.locked {
        lock.check(shipped)?;
    }
    let said = words(&admission);
    if global.json {
        output::json(&json!({
            "plugin_id": shipped.id(),
            "version": shipped.version().to_string(),
            "digest": shipped.digest(),
            "component": inspection.digest,
            "publisher": shipped.publisher().map(ToString::to_string),
            "publisher_is": said.0,
            "files": shipped.contents().iter().map(|(name, _)| name).collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    let publisher = shipped.publisher().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    output::line(&format!("{} {} is whole", shipped.id(), shipped.version()));
    output::line(&format!("  digest     {}", shipped.digest()));
    output::line(&format!("  component  {}", inspection.digest));
    output::line(&format!("  signed by  {publisher}"));
    output::line(&format!("             {}", said.1));
    Ok(())
}

/// Reads a .berth file and checks every byte of it; refuses what is none.
pub fn archive(file: &Path) -> Result<(Package, Arc<SignedPackage>), Failure> {
    let shown = file.display();
    let is_archive = file.extension().is_some_and(|ending| ending == ENDING);
    if !file.exists() || !is_archive || file.is_dir() {
        let what = if file.exists() { "is no .berth file" } else { "does not exist" };
        return Err(Failure::Usage(format!("{shown} {what}: `berth plugin pack` makes one of a folder")));
    }
    let package = Package::read(file)?;
    let shipped = package.shipped.clone();
    let shipped = shipped.ok_or_else(|| Failure::Usage(format!("{shown} is no .berth file")))?;
    Ok((package, shipped))
}

fn place(named: Option<&Path>, otherwise: &Path) -> PathBuf {
    named.unwrap_or(otherwise).to_owned()
}

/// The text of a file; one that nobody named need not be there.
fn text(file: &Path, is_named: bool) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => Ok(None),
        Err(source) => Err(PackageError::Io { path: file.to_owned(), source }.into()),
    }
}

/// A word for programs, and the same for people.
fn words(admission: &Admission) -> (&'static str, String) {
    match admission {
        Admission::Known => ("known", "who is known here".to_owned()),
        Admission::FirstUse => (
            "first-use",
            "whose key is seen here for the first time: compare it with what he publishes".to_owned(),
        ),
        Admission::Unsigned => ("unsigned", "so nobody vouches for it but whoever gave it to you".to_owned()),
        Admission::Rotated { from } => {
            ("rotated", format!("who was {from} before, and says so with that key"))
        }
        Admission::Changed { from, .. } => {
            ("changed", format!("which was signed by {from} before: an install waits for your consent"))
        }
    }
}
