//! Certificates of servers that there are in stories alone.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::KitError;

/// Whom the broker of a case believes.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    /// A new one; nobody else believes it, and its key lives as long as this.
    pub fn new() -> Result<Self, KitError> {
        let key = KeyPair::generate().map_err(KitError::kit)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(KitError::kit)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).map_err(KitError::kit)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), root })
    }

    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// What proves that a server is `host`, which may be an address.
    pub(super) fn acceptor(&self, host: &str) -> Result<TlsAcceptor, KitError> {
        let key = KeyPair::generate().map_err(KitError::kit)?;
        let params = CertificateParams::new(vec![host.to_owned()]).map_err(KitError::kit)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(KitError::kit)?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(KitError::kit)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(KitError::kit)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .map_err(KitError::kit)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
