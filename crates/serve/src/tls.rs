//! TLS from files: a chain of certificates and its key in PEM, renewed without a restart when the files change.

use crate::renewed::{Renewed, secret};
use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those that lead to a root, in PEM.
    pub cert: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

/// Shakes hands with the newest certificate that is whole.
pub(crate) struct Tls(Renewed<TlsAcceptor>);

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// When one cannot be read or is none, or they do not belong together.
    pub(crate) fn open(files: &TlsFiles) -> Result<Tls> {
        Ok(Tls(Renewed::open(vec![files.cert.clone(), files.key.clone()], read)?))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::clone(&self.0.current())
    }

    /// Reads them again if they have changed.
    pub(crate) fn refresh(&self) -> Option<Result<()>> {
        self.0.refresh()
    }

    /// How often they were renewed, and how often that failed.
    pub(crate) fn counts(&self) -> [u64; 2] {
        self.0.counts()
    }
}

fn read(paths: &[PathBuf]) -> Result<TlsAcceptor> {
    let [cert, key] = paths else { unreachable!("a certificate and a key") };
    let wrong = |path: &PathBuf, error: &dyn std::fmt::Display, wanted: &str| Error::secret(path.display(), error, wanted);
    let chain = CertificateDer::pem_slice_iter(&secret(cert)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(cert, &error, "certificates in PEM"))?;
    if chain.is_empty() {
        return Err(wrong(cert, &"no certificate", "certificates in PEM"));
    }
    // The reader's own word could hold a piece of the key.
    let secret = PrivateKeyDer::from_pem_slice(&secret(key)?).map_err(|_| wrong(key, &"no key", "a private key in PEM"))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let builder = builder.expect("ring knows the default versions").with_no_client_auth();
    let mut config = builder.with_single_cert(chain, secret).map_err(|error| {
        let found = format!("a key that does not go with {}: {error}", cert.display());
        wrong(key, &found, "the key of that certificate")
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
