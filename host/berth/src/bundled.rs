//! The plugins that come with berth: installed when missing or changed, with a folder of their own.
//!
//! What an operator changed stays: a plugin that was disabled stays so, a grant that was revoked is not given again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use berth_model::PluginId;
use berth_wasm::capability::Capability;
use berth_wasm::{Assent, Manifest, NewGrant, Package, PluginHost};
use serde_json::{Value, json};

/// Who gives the grants of bundled plugins.
const GRANTED_BY: &str = "bundled";

/// The plugin folders in `folder`, by name.
pub fn find(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("the bundled plugins in {} cannot be listed", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("plugin.toml").is_file())
        .collect();
    found.sort();
    Ok(found)
}

/// Installs every one of `found`, with `files` for those that want a folder. One that cannot be installed is logged and
/// stops nobody.
pub async fn install(plugins: &PluginHost, found: Vec<PathBuf>, files: &Path) {
    for path in found {
        if let Err(error) = one(plugins, &path, files).await {
            tracing::warn!(folder = %path.display(), "a bundled plugin was not installed: {error:#}");
        }
    }
}

async fn one(plugins: &PluginHost, path: &Path, files: &Path) -> anyhow::Result<()> {
    let path = path.to_owned();
    let package = tokio::task::spawn_blocking(move || Package::read(&path)).await??;
    let package = Package { is_bundled: true, ..package };
    let manifest = Manifest::parse(&package.manifest)?;
    let id = PluginId::new(&manifest.id)?;
    let known = plugins.list().await?.into_iter().find(|view| view.plugin.id == id);
    let same = known.as_ref().is_some_and(|view| {
        view.plugin.digest == berth_wasm::digest(&package.component)
            && view.plugin.manifest == package.kept_manifest()
    });
    if !same {
        let was_off = known.as_ref().is_some_and(|view| !view.is_ready && view.plugin.last_error.is_empty());
        // They come with the host: whoever updates it says yes to what they ask for.
        plugins.install_with(package, Assent::Given).await?;
        if was_off {
            plugins.disable(&id).await?;
        }
        tracing::info!(plugin.id = %id, version = %manifest.version, "bundled plugin installed");
    }
    if known.is_none_or(|view| view.grants.is_empty()) {
        for grant in grants(&manifest, &id, files)? {
            plugins.grant(grant).await?;
        }
    }
    Ok(())
}

/// What a bundled plugin asks for, in the widest form that its manifest names: the folder `files`, endpoint tools.
fn grants(manifest: &Manifest, id: &PluginId, files: &Path) -> anyhow::Result<Vec<NewGrant>> {
    let mut grants: Vec<NewGrant> = Vec::new();
    let grant = |capability: Capability, scope: Value, reason: &str| NewGrant {
        granted_by: GRANTED_BY.to_owned(),
        reason: reason.to_owned(),
        ..NewGrant::allow(id.clone(), capability.as_str(), scope)
    };
    for request in &manifest.requests {
        match request.capability {
            Capability::Files => {
                let guest = &request.scope["guest"];
                let access = if request.scope["access"] == "rw" { "rw" } else { "ro" };
                let same = grants.iter_mut().find(|other| &other.scope["guest"] == guest);
                match same {
                    Some(other) if access == "rw" => other.scope["access"] = json!(access),
                    Some(_) => {}
                    None => {
                        std::fs::create_dir_all(files)
                            .with_context(|| format!("{} cannot be made", files.display()))?;
                        let scope = json!({ "guest": guest, "host": files, "access": access });
                        grants.push(grant(Capability::Files, scope, &request.reason));
                    }
                }
            }
            Capability::Endpoint => {
                grants.push(grant(Capability::Endpoint, request.scope.clone(), &request.reason))
            }
            // Anything else is for the operator to give.
            _ => {}
        }
    }
    Ok(grants)
}
