//! The plugins that come with berth: installed when missing or changed, with a folder of their own.
//!
//! What an operator changed stays: a plugin that was disabled stays so, a grant that was revoked is not given again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use berth_model::PluginId;
use berth_wasm::capability::Capability;
use berth_wasm::{Assent, Manifest, NewGrant, Package, PluginHost};
use serde::Deserialize;
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
    let folder = path.to_owned();
    let package = tokio::task::spawn_blocking(move || Package::read(&folder)).await??;
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
        for grant in grants(&manifest, &id, path, files)? {
            plugins.grant(grant).await?;
        }
    }
    Ok(())
}

/// What a bundled plugin is granted: what its `grants.toml` names, else what its manifest asks for of files, in the
/// folder `files`, and of tools of endpoints. Anything else is for the operator to give.
fn grants(manifest: &Manifest, id: &PluginId, path: &Path, files: &Path) -> anyhow::Result<Vec<NewGrant>> {
    let given = match std::fs::read_to_string(path.join("grants.toml")) {
        Ok(text) => given(&text).context("grants.toml")?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => asked(manifest),
        Err(error) => return Err(error).context("grants.toml"),
    };
    let mut grants = Vec::new();
    for Given { capability, mut scope, reason } in given {
        if capability == Capability::Files.as_str() {
            std::fs::create_dir_all(files).with_context(|| format!("{} cannot be made", files.display()))?;
            scope = json!({ "guest": scope["guest"], "host": files, "access": scope["access"] });
        }
        grants.push(NewGrant {
            granted_by: GRANTED_BY.to_owned(),
            reason,
            ..NewGrant::allow(id.clone(), &capability, scope)
        });
    }
    Ok(grants)
}

/// A grant that a bundled plugin begins with; the folder of the host is not in it.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    capability: String,
    scope: Value,
    reason: String,
}

fn given(text: &str) -> anyhow::Result<Vec<Given>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        grant: Vec<Given>,
    }
    Ok(toml::from_str::<File>(text)?.grant)
}

fn asked(manifest: &Manifest) -> Vec<Given> {
    let mut given: Vec<Given> = Vec::new();
    for request in &manifest.requests {
        let mut scope = request.scope.to_json();
        match request.capability {
            Capability::Files => {
                let access = if scope["access"] == "rw" { "rw" } else { "ro" };
                let same = given.iter_mut().find(|other| other.scope["guest"] == scope["guest"]);
                match same {
                    Some(other) if access == "rw" => {
                        other.scope["access"] = json!(access);
                        continue;
                    }
                    Some(_) => continue,
                    None => scope = json!({ "guest": scope["guest"], "access": access }),
                }
            }
            Capability::Endpoint => {}
            _ => continue,
        }
        let capability = request.capability.as_str().to_owned();
        given.push(Given { capability, scope, reason: request.reason.clone() });
    }
    given
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn grants_are_read_as_they_are_written_and_an_unknown_key_is_an_error() {
        let text =
            "[[grant]]\ncapability = \"http\"\nreason = \"r\"\nscope = { hosts = [\"https://a.example\"] }\n";

        let read = given(text).unwrap();

        let scope = json!({ "hosts": ["https://a.example"] });
        assert_eq!(read, [Given { capability: "http".into(), scope, reason: "r".into() }]);
        assert!(given(&format!("{text}mode = \"allow\"\n")).is_err());
        assert!(given("[[grants]]\n").is_err());
    }

    #[test]
    fn without_a_file_a_folder_is_asked_for_once_with_the_widest_access() {
        let manifest = Manifest::parse(
            "[plugin]\nid = \"a\"\nversion = \"0.1.0\"\n\
             [[capability]]\nname = \"files\"\nscope = { guest = \"/\", access = \"ro\" }\n\
             [[capability]]\nname = \"files\"\nscope = { guest = \"/\", access = \"rw\" }\n\
             [[capability]]\nname = \"http\"\nscope = { hosts = [\"https://a.example\"] }\n",
        )
        .unwrap();

        let scopes: Vec<_> = asked(&manifest).into_iter().map(|given| given.scope).collect();

        assert_eq!(scopes, [json!({ "guest": "/", "access": "rw" })]);
    }
}
