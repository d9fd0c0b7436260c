//! TLS with the roots of the machine, and the check of names that rustls makes.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::net::Stream;
use crate::target::Host;

/// Whom we believe. Cheap to clone; the roots are read when the first connection needs them.
#[derive(Clone)]
pub struct Tls {
    extra: Arc<Vec<CertificateDer<'static>>>,
    native: bool,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    /// The roots of the machine.
    pub fn native() -> Self {
        Self { extra: Arc::default(), native: true, config: Arc::default() }
    }

    /// These roots and no others.
    pub fn only(roots: Vec<CertificateDer<'static>>) -> Self {
        Self { extra: Arc::new(roots), native: false, config: Arc::default() }
    }

    fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let mut roots = RootCertStore::empty();
        if self.native {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "a certificate of the machine could not be read");
            }
            let (_, ignored) = roots.add_parsable_certificates(found.certs);
            if ignored > 0 {
                tracing::debug!(ignored, "some certificates of the machine are not usable");
            }
        }
        for root in self.extra.iter() {
            roots.add(root.clone()).map_err(io::Error::other)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }

    /// Shakes hands over `stream` and sees that the other side is `host`.
    pub(crate) async fn wrap(&self, host: &Host, stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        let name = match host {
            Host::Ip(ip) => ServerName::IpAddress((*ip).into()),
            Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
        };
        let tls = self.clone();
        // Reading the roots of the machine is work of the disk.
        let config = match self.config.get() {
            Some(config) => config.clone(),
            None => tokio::task::spawn_blocking(move || tls.config()).await.map_err(io::Error::other)??,
        };
        Ok(Box::new(TlsConnector::from(config).connect(name, stream).await?))
    }
}
