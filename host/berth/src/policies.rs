//! `policies/grants.toml` in the data folder: what a set-up without a person grants.

use std::path::Path;

use berth_wasm::PluginHost;
use berth_wasm::host::policies::ApplyError;

use crate::failure::{BadManifest, Failure};

/// Brings what the file says into force; without the file, what it once granted is revoked.
///
/// A host whose policies are not right does not start: it would run with others than were meant.
pub async fn apply(plugins: &PluginHost, data: &Path) -> Result<(), Failure> {
    let path = data.join("policies/grants.toml");
    let text = match tokio::fs::read_to_string(&path).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let context = format!("{} cannot be read", path.display());
            return Err(anyhow::Error::from(error).context(context).into());
        }
    };
    match plugins.apply_policies(&text).await {
        Ok(changes) => {
            if changes.withheld > 0 {
                tracing::warn!(
                    grants = changes.withheld,
                    "grants of the policies were revoked by hand and stay so"
                );
            }
            if changes.given + changes.revoked > 0 {
                tracing::info!(given = changes.given, revoked = changes.revoked, "the policies are in force");
            }
            Ok(())
        }
        Err(ApplyError::Policy(error)) => {
            Err(Failure::Manifest(Box::new(BadManifest::of_policies(&path, text, &error))))
        }
        Err(ApplyError::Host(error)) => Err(anyhow::Error::from(error).into()),
    }
}
