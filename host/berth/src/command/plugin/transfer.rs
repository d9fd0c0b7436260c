//! `berth plugin push` and `berth plugin pull`.

use std::path::PathBuf;

use berth_package::{SignedPackage, archive};
use berth_wasm::Manifest;
use clap::Args;
use serde_json::json;

use super::{pack, verify};
use crate::cli::Global;
use crate::failure::Failure;
use crate::output;
use crate::progress::Progress;
use crate::registry::Place;

const PUSHES: &str = "\
Examples:
  berth plugin push tally-0.1.0.berth registry.example/acme/tally:0.1.0

A registry that wants a name and a password has them from BERTH_REGISTRY_USER and BERTH_REGISTRY_PASSWORD.";

const PULLS: &str = "\
Examples:
  berth plugin pull registry.example/acme/tally@sha256:…
  berth plugin pull registry.example/acme/tally:0.1.0 --out tally.berth";

#[derive(Debug, Args)]
#[command(after_help = PUSHES)]
pub struct Push {
    /// A .berth file.
    file: PathBuf,
    /// Where to put it, such as registry.example/acme/tally:0.1.0.
    place: String,
}

#[derive(Debug, Args)]
#[command(after_help = PULLS)]
pub struct Pull {
    /// Where it is: …/tally@sha256:…, or …/tally:0.1.0 when a tag that may move is good enough.
    place: String,
    /// Where to write it; ID-VERSION.berth in this folder when it is not said.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub async fn push(global: &Global, options: &Push) -> Result<(), Failure> {
    let place = Place::new(&options.place)?;
    let (package, shipped) = verify::archive(&options.file)?;
    let shipped = &*shipped;
    let progress = Progress::start("pushing");
    let digest = place.push(shipped, &component_of(&package.manifest)?).await?;
    drop(progress);
    report(global, shipped, &place.exactly(&digest), "pushed", None);
    Ok(())
}

pub async fn pull(global: &Global, options: &Pull) -> Result<(), Failure> {
    let place = Place::new(&options.place)?;
    let progress = Progress::start("pulling");
    let (shipped, digest) = place.pull(&progress).await?;
    drop(progress);
    let out = options.out.clone().unwrap_or_else(|| {
        PathBuf::from(format!("{}-{}.{}", shipped.id(), shipped.version(), archive::ENDING))
    });
    pack::write(&out, &shipped.to_archive()?)?;
    report(global, &shipped, &place.exactly(&digest), "pulled", Some(&out));
    if !place.is_exact() {
        output::note("a tag may move: name the digest to get these bytes again");
    }
    Ok(())
}

fn component_of(manifest: &str) -> Result<String, Failure> {
    let manifest = Manifest::parse(manifest).map_err(berth_wasm::HostError::from)?;
    Ok(berth_wasm::host::package::component_name(&manifest))
}

fn report(global: &Global, package: &SignedPackage, place: &str, done: &str, file: Option<&PathBuf>) {
    if global.json {
        output::json(&json!({
            "plugin_id": package.id(),
            "version": package.version().to_string(),
            "digest": package.digest(),
            "publisher": package.publisher().map(ToString::to_string),
            "place": place,
            "file": file,
        }));
        return;
    }
    output::line(&format!("{done} {} {}", package.id(), package.version()));
    output::line(&format!("  place      {place}"));
    output::line(&format!("  digest     {}", package.digest()));
    if let Some(file) = file {
        output::line(&format!("  file       {}", file.display()));
    }
}
