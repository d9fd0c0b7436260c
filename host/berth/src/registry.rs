//! Packages in an OCI registry: a component that other tools can pull, and beside it all that makes it a plugin.
//!
//! The first layer is the component, as tools for WebAssembly components expect it. Every further layer is a file of
//! the package, named by its title; the index and the signature are among them. What is pulled is put together and
//! checked as an archive is: nothing that a registry says is believed.

use std::collections::BTreeMap;
use std::time::Duration;

use berth_package::{Contents, SignedPackage, index, signature};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::{OciDistributionError, OciEnvelope, OciErrorCode};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::json;

use crate::failure::Failure;
use crate::progress::Progress;

/// What tools for components look for.
const COMPONENT: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A file of a package; its path is its title.
const FILE: &str = "application/vnd.berth.package.file.v1";
const TITLE: &str = "org.opencontainers.image.title";
/// The registry is given up when it sends nothing for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// The name and the password for a registry that wants one.
pub const USER_VARIABLE: &str = "BERTH_REGISTRY_USER";
pub const PASSWORD_VARIABLE: &str = "BERTH_REGISTRY_PASSWORD";

/// A place in a registry.
pub struct Place {
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
}

impl Place {
    /// A place such as `registry.example/acme/tally:0.1.0` or `…/tally@sha256:…`, with or without `oci://` before it.
    ///
    /// A registry on this machine is spoken to in the open, every other one over TLS.
    pub fn new(text: &str) -> Result<Self, Failure> {
        let plain = text.strip_prefix("oci://").unwrap_or(text);
        let reference: Reference = plain.parse().map_err(|error| {
            Failure::Usage(format!(
                "`{text}` names no place in a registry ({error}): one is registry.example/acme/tally:0.1.0"
            ))
        })?;
        let registry = reference.resolve_registry();
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        let config = ClientConfig {
            protocol: if is_here { ClientProtocol::Http } else { ClientProtocol::Https },
            read_timeout: Some(PATIENCE),
            connect_timeout: Some(PATIENCE),
            ..ClientConfig::default()
        };
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let auth = match (set(USER_VARIABLE), set(PASSWORD_VARIABLE)) {
            (Some(user), Some(password)) => RegistryAuth::Basic(user, password),
            _ => RegistryAuth::Anonymous,
        };
        Ok(Self { client: Client::new(config), reference, auth })
    }

    /// Whether it names what is there to the byte, and not by a tag that may move.
    pub fn is_exact(&self) -> bool {
        self.reference.digest().is_some()
    }

    /// The place of a digest in the same repository.
    pub fn exactly(&self, digest: &str) -> String {
        format!("{}/{}@{digest}", self.reference.registry(), self.reference.repository())
    }

    /// Puts a package there; the digest by which it is found from now on.
    pub async fn push(&self, package: &SignedPackage, component: &str) -> Result<String, Failure> {
        let config = Config::new(config(package, component)?, CONFIG.to_owned(), None);
        let layers = layers(package, component)?;
        let annotations = BTreeMap::from([
            (TITLE.to_owned(), package.id().to_owned()),
            ("org.opencontainers.image.version".to_owned(), package.version().to_string()),
        ]);
        let mut manifest = OciImageManifest::build(&layers, &config, Some(annotations));
        manifest.artifact_type = Some(CONFIG.to_owned());
        let pushed = self.client.push(&self.reference, &layers, config, &self.auth, Some(manifest)).await;
        pushed.map_err(|error| self.refused(&error))?;
        let digest = self.client.fetch_manifest_digest(&self.reference, &self.auth).await;
        digest.map_err(|error| self.refused(&error))
    }

    /// Fetches a package and checks every byte of it; with the digest of where it was.
    pub async fn pull(&self, progress: &Progress) -> Result<(SignedPackage, String), Failure> {
        let pulled = self.client.pull_manifest_and_config(&self.reference, &self.auth).await;
        let (manifest, digest, _) = pulled.map_err(|error| self.refused(&error))?;
        progress.expect(manifest.layers.iter().filter_map(|layer| u64::try_from(layer.size).ok()).sum());
        let (mut contents, mut index, mut signature) = (Contents::default(), None, None);
        for layer in &manifest.layers {
            let title = layer.annotations.as_ref().and_then(|notes| notes.get(TITLE));
            let title = title.ok_or_else(|| self.no_plugin("a layer of it has no title"))?;
            let content = self.layer(layer, progress).await?;
            match title.as_str() {
                index::FILE => index = Some(content),
                signature::FILE => signature = Some(content),
                name => contents.add(name, content)?,
            }
        }
        let index = index.ok_or_else(|| self.no_plugin("it has no index of a package"))?;
        Ok((SignedPackage::of_parts(contents, &index, signature.as_deref())?, digest))
    }

    /// The bytes of a layer, no more of them than a package may have.
    async fn layer(&self, layer: &OciDescriptor, progress: &Progress) -> Result<Bytes, Failure> {
        let limit = berth_package::contents::MAX_BYTES;
        let too_large = |found| berth_package::PackageError::TooLarge { what: "bytes", found, limit };
        let size = u64::try_from(layer.size).unwrap_or(u64::MAX);
        if size > limit {
            return Err(too_large(size).into());
        }
        let opened = self.client.pull_blob_stream(&self.reference, layer).await;
        let mut stream = opened.map_err(|error| self.refused(&error))?.stream;
        let mut content = BytesMut::new();
        while let Some(piece) = stream.try_next().await.map_err(|error| self.broken(&error))? {
            let found = content.len() as u64 + piece.len() as u64;
            if found > size {
                return Err(too_large(found).into());
            }
            content.extend_from_slice(&piece);
            progress.add(piece.len() as u64);
        }
        Ok(content.freeze())
    }

    fn no_plugin(&self, reason: &str) -> Failure {
        let message = format!("{} is no plugin of berth: {reason}", self.reference);
        Failure::failed("REGISTRY_NO_PLUGIN", message)
    }

    fn broken(&self, error: &std::io::Error) -> Failure {
        let message = format!("{} could not be fetched whole: {error}", self.reference);
        Failure::failed("REGISTRY_UNAVAILABLE", message)
    }

    fn refused(&self, error: &OciDistributionError) -> Failure {
        let code = match error {
            OciDistributionError::ImageManifestNotFoundError(_) => "REGISTRY_NOT_FOUND",
            OciDistributionError::RegistryError { envelope, .. } if is_unknown(envelope) => {
                "REGISTRY_NOT_FOUND"
            }
            OciDistributionError::AuthenticationFailure(_)
            | OciDistributionError::UnauthorizedError { .. } => "REGISTRY_UNAUTHORISED",
            OciDistributionError::RequestError(_) => "REGISTRY_UNAVAILABLE",
            _ => "REGISTRY_REFUSED",
        };
        let registry = self.reference.registry();
        match error {
            // What the client says of it is an address and no reason.
            OciDistributionError::RequestError(_) => Failure::failed(
                code,
                format!("no registry answers at {registry}: look at the name, and whether one runs there"),
            ),
            _ => Failure::failed(code, format!("{}: {error}", self.reference)),
        }
    }
}

/// Whether a registry says that it has no such repository or nothing of that name in it.
fn is_unknown(envelope: &OciEnvelope) -> bool {
    let unknown = [OciErrorCode::ManifestUnknown, OciErrorCode::NameUnknown, OciErrorCode::BlobUnknown];
    envelope.errors.iter().any(|error| unknown.contains(&error.code))
}

/// What tools for components want to know of one. Its time is that of no clock: the same package is the same artifact.
fn config(package: &SignedPackage, component: &str) -> Result<Vec<u8>, Failure> {
    let wasm = package.contents().require(component)?;
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [format!("sha256:{}", berth_package::digest(wasm))],
        "component": { "exports": [], "imports": [] },
    });
    Ok(config.to_string().into_bytes())
}

/// The component first, then every other file, the index and the signature.
fn layers(package: &SignedPackage, component: &str) -> Result<Vec<ImageLayer>, Failure> {
    let layer = |name: &str, content: Bytes, media: &str| {
        ImageLayer::new(
            content,
            media.to_owned(),
            Some(BTreeMap::from([(TITLE.to_owned(), name.to_owned())])),
        )
    };
    let mut layers = vec![layer(component, package.contents().require(component)?.clone(), COMPONENT)];
    let others = package.contents().iter().filter(|(name, _)| *name != component);
    layers.extend(others.map(|(name, content)| layer(name, content.clone(), FILE)));
    layers.push(layer(index::FILE, package.index().text().to_owned().into(), FILE));
    layers.extend(package.signature().map(|signature| layer(signature::FILE, signature.text().into(), FILE)));
    Ok(layers)
}
