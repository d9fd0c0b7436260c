//! `berth plugin install`.

use std::path::{Path, PathBuf};

use berth_wasm::Manifest;
use serde_json::json;

use super::show;
use crate::cli::Global;
use crate::client::Client;
use crate::failure::{BadManifest, Failure};
use crate::output::{self, items, text};

pub async fn run(global: &Global, client: &Client, path: &Path) -> Result<(), Failure> {
    let path = std::path::absolute(path).map_err(anyhow::Error::from)?;
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
    let installed = client.post_and_wait("/operator/plugins/install", &json!({ "path": path })).await;
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
