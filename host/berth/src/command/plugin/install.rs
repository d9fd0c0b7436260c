//! `berth plugin install`.

use std::path::{Path, PathBuf};

use berth_package::archive;
use berth_wasm::Manifest;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};

use super::consent::{self, Consent};
use super::show;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{BadManifest, Failure};
use crate::output::{self, items, text};
use crate::progress::Progress;
use crate::registry::Place;

const EXAMPLES: &str = "\
Examples:
  berth plugin install ./tally
  berth plugin install tally-0.1.0.berth --locked
  berth plugin install tally-0.2.0.berth --yes --digest sha256:…
  berth plugin install oci://registry.example/acme/tally@sha256:…

An install grants nothing. Of a plugin that is there it is the next version; one that asks for more waits for a yes: on a \
terminal you are asked, and --yes answers ahead. `berth plugin verify` prints the digest of a package.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A path on the disk of the host, or oci://registry/name:tag or @sha256:….
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    path: String,
    #[command(flatten)]
    consent: Consent,
    /// Only what berth.lock pins the plugin to: version, digests, source and publisher.
    #[arg(long)]
    locked: bool,
    /// Another lock than that of the data folder.
    #[arg(long, value_name = "FILE", requires = "locked")]
    lock: Option<PathBuf>,
}

/// A package as it lies on the disk of the host.
pub struct Found {
    pub path: PathBuf,
    /// Where it came from, when that is another place.
    pub source: Option<String>,
    /// Removed at the end.
    _fetched: Option<tempfile::TempDir>,
}

/// Finds a package: on the disk, or in a registry, from where it is fetched and every byte of it is checked.
pub async fn found(client: &Client, path: &str) -> Result<Found, Failure> {
    if !path.starts_with(OCI) {
        let path = std::path::absolute(path).map_err(anyhow::Error::from)?;
        // The path is one of the host's disk, which is ours when it runs here.
        if client.is_local() {
            look(&path)?;
        }
        return Ok(Found { path, source: None, _fetched: None });
    }
    if !client.is_local() {
        return Err(Failure::Usage(format!("{path} is fetched here, and the host is on another machine")));
    }
    let place = Place::new(path)?;
    let progress = Progress::start("pulling");
    let (shipped, digest) = place.pull(&progress).await?;
    drop(progress);
    let folder = tempfile::tempdir().map_err(anyhow::Error::from)?;
    let path = folder.path().join(format!("{}-{}.{}", shipped.id(), shipped.version(), archive::ENDING));
    super::pack::write(&path, &shipped.to_archive()?)?;
    if !place.is_exact() {
        output::note(&format!("the tag leads to {digest}: name the digest to get these bytes again"));
    }
    Ok(Found { path, source: Some(format!("{OCI}{}", place.exactly(&digest))), _fetched: Some(folder) })
}

/// What places in registries begin with.
const OCI: &str = "oci://";

pub async fn run(global: &Global, client: &Client, options: &Options) -> Result<(), Failure> {
    let Found { path, source, _fetched } = found(client, &options.path).await?;
    let lock = options.lock.as_ref().map(std::path::absolute).transpose().map_err(anyhow::Error::from)?;
    let Consent { yes, digest } = &options.consent;
    let body = json!({
        "path": path, "source": source, "locked": options.locked, "lock": lock, "accept": yes, "digest": digest,
    });
    let progress = Progress::start("installing");
    let installed = client.post_and_wait("/operator/plugins/install", &body).await;
    drop(progress);
    let plugin = installed.map_err(|refused| explained(&path, refused))?;
    if global.json {
        output::json(&plugin);
        return Ok(());
    }
    if !items(&plugin["waiting"]).is_empty() {
        // What is odd is read before the question is answered.
        warn(&plugin);
        let (id, digest) = (text(&plugin, "plugin_id"), text(&plugin, "waiting_digest"));
        return consent::settle(global, client, &id, &plugin["diff"], &digest).await;
    }
    output::line(&format!("installed {} {}", text(&plugin, "plugin_id"), text(&plugin, "version")));
    if ["widened", "narrowed", "removed"].iter().any(|kind| !items(&plugin["diff"][kind]).is_empty()) {
        consent::changes(&plugin["diff"]);
    }
    show::tools(&plugin);
    show::wishes(&plugin);
    warn(&plugin);
    Ok(())
}

/// Tells what the inspection found odd.
pub fn warn(answer: &Value) {
    for warning in items(&answer["warnings"]) {
        output::note(&output::one_line(&format!("warning: {}", warning.as_str().unwrap_or_default())));
    }
}

/// Refuses a place where no plugin is, and says what one looks like.
fn look(path: &Path) -> Result<(), Failure> {
    let shown = path.display();
    if !path.exists() {
        return Err(Failure::Usage(format!(
            "{shown} does not exist: name a folder with a plugin.toml, a .berth file, a .wasm or oci://…"
        )));
    }
    if path.is_dir() && !path.join("plugin.toml").exists() {
        return Err(Failure::failed(
            "PLUGIN_PACKAGE_UNREADABLE",
            format!(
                "{shown} has no plugin.toml: a plugin is a folder with a plugin.toml and a component, see \
                 docs/plugin-guide.md"
            ),
        ));
    }
    Ok(())
}

/// A refusal with what is at hand here to explain it: the line of the manifest, or what was forgotten.
pub fn explained(path: &Path, refused: Failure) -> Failure {
    if let Some(bad) = bad_manifest(path, &refused) {
        return bad.into();
    }
    match refused {
        Failure::Failed { code, message, details } => {
            let shown = path.display().to_string();
            let of_file = code.starts_with("COMPONENT_") || code.starts_with("PACKAGE_");
            let message =
                if of_file && !message.contains(&shown) { format!("{shown}: {message}") } else { message };
            Failure::Failed { code, message, details }.trying(|| unbuilt(path))
        }
        other => other,
    }
}

/// The command that builds a folder which has sources and no component.
fn unbuilt(path: &Path) -> Option<String> {
    let source = std::fs::read_to_string(path.join("plugin.toml")).ok()?;
    let manifest = Manifest::parse(&source).ok()?;
    let is_built = path.join(berth_wasm::host::package::component_name(&manifest)).exists();
    (!is_built).then(|| format!("berth plugin build {}", path.display()))
}

/// The mistake in the manifest with its line, where the host found one and the file is at hand.
fn bad_manifest(path: &Path, refused: &Failure) -> Option<Box<BadManifest>> {
    let Failure::Failed { code, .. } = refused else { return None };
    if !code.starts_with("MANIFEST_") {
        return None;
    }
    let folder = if path.is_dir() { path } else { path.parent()? };
    let file: PathBuf = folder.join("plugin.toml");
    let source = std::fs::read_to_string(&file).ok()?;
    let error = Manifest::parse(&source).err()?;
    Some(Box::new(BadManifest::new(&file, source, &error)))
}
