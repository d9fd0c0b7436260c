//! `berth plugin install`.

use std::path::{Path, PathBuf};

use berth_package::archive;
use berth_wasm::Manifest;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use serde_json::json;

use super::show;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{BadManifest, Failure};
use crate::output::{self, items, text};
use crate::registry::Place;

const EXAMPLES: &str = "\
Examples:
  berth plugin install ./tally
  berth plugin install tally-0.1.0.berth --locked
  berth plugin install oci://registry.example/acme/tally@sha256:…";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A path on the disk of the host, or oci://registry/name:tag or @sha256:….
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    path: String,
    /// Only what berth.lock pins the plugin to: version, digests, source and publisher.
    #[arg(long)]
    locked: bool,
    /// Another lock than that of the data folder.
    #[arg(long, value_name = "FILE", requires = "locked")]
    lock: Option<PathBuf>,
}

/// A package as it lies on the disk of the host.
struct Found {
    path: PathBuf,
    source: Option<String>,
    /// Removed at the end.
    _fetched: Option<tempfile::TempDir>,
}

/// Fetches what lies in a registry, and checks every byte of it.
async fn found(client: &Client, path: &str) -> Result<Found, Failure> {
    if !path.starts_with(OCI) {
        let path = std::path::absolute(path).map_err(anyhow::Error::from)?;
        return Ok(Found { path, source: None, _fetched: None });
    }
    if !client.is_local() {
        return Err(Failure::Usage(format!("{path} is fetched here, and the host is on another machine")));
    }
    let place = Place::new(path)?;
    let (shipped, digest) = place.pull().await?;
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
    // The path is one of the host's disk, which is ours when it runs here.
    if client.is_local() && !path.exists() {
        return Err(Failure::Usage(format!("{} does not exist", path.display())));
    }
    if client.is_local() && path.is_dir() && !path.join("plugin.toml").exists() {
        return Err(Failure::failed(
            "PLUGIN_PACKAGE_UNREADABLE",
            format!(
                "{} has no plugin.toml: a plugin is a folder with a plugin.toml and a component, see \
                 docs/plugin-guide.md",
                path.display()
            ),
        ));
    }
    let body = json!({ "path": path, "source": source, "locked": options.locked, "lock": lock });
    let installed = client.post_and_wait("/operator/plugins/install", &body).await;
    let plugin = match installed {
        Ok(plugin) => plugin,
        Err(refused) => return Err(bad_manifest(&path, &refused).map_or(refused, Failure::from)),
    };
    if global.json {
        output::json(&plugin);
        return Ok(());
    }
    if !items(&plugin["waiting"]).is_empty() {
        super::life::waits(&text(&plugin, "plugin_id"), &plugin["diff"]);
        return Ok(());
    }
    output::line(&format!("installed {} {}", text(&plugin, "plugin_id"), text(&plugin, "version")));
    if ["widened", "narrowed", "removed"].iter().any(|kind| !items(&plugin["diff"][kind]).is_empty()) {
        super::life::changes(&plugin["diff"]);
    }
    show::tools(&plugin);
    show::wishes(&plugin);
    for warning in items(&plugin["warnings"]) {
        output::note(&output::one_line(&format!("warning: {}", warning.as_str().unwrap_or_default())));
    }
    Ok(())
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
