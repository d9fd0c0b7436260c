//! The policies in the data folder: what a set-up without a person grants, and whose packages are taken.

use std::path::{Path, PathBuf};

use berth_package::{PackageError, Trust, lock, trust};
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

/// The policy of publishers of a data folder.
pub fn publishers_file(data: &Path) -> PathBuf {
    data.join("policies").join(trust::FILE)
}

/// The lock of a data folder.
pub fn lock_file(data: &Path) -> PathBuf {
    data.join(lock::FILE)
}

/// Takes packages as `policies/publishers.toml` says, and keeps `berth.lock`.
///
/// As with grants, a host whose policy is not right does not start.
pub async fn take_custody(plugins: &PluginHost, data: &Path) -> Result<(), Failure> {
    let path = publishers_file(data);
    let text = match tokio::fs::read_to_string(&path).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(PackageError::Io { path, source }.into()),
    };
    plugins.set_custody(Trust::read(&text)?, lock_file(data));
    Ok(())
}
