//! TLS by rustls: a server's certificate is always verified, host name and all.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Why TLS cannot be set up.
pub(super) enum TlsError {
    /// The file of certificates cannot be used.
    Certificates(PathBuf, Box<dyn Error + Send + Sync>),
    /// The library refuses its own settings.
    Setup(rustls::Error),
}

/// Trusts the certificates in this file.
pub(super) fn roots_of_file(path: &Path) -> Result<RootCertStore, TlsError> {
    let failed = |source| TlsError::Certificates(path.to_owned(), source);
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.into()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.into()))?;
        roots.add(certificate).map_err(|error| failed(error.into()))?;
    }
    if roots.is_empty() {
        return Err(failed("there is no certificate in it".into()));
    }
    Ok(roots)
}

/// Trusts what the system trusts. Where that is nothing, every certificate is refused, and the error says so.
pub(super) fn roots_of_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// A client that trusts these certificates, and has none of its own.
pub(super) fn client(roots: RootCertStore) -> Result<ClientConfig, TlsError> {
    // Named, since there may be several providers in the process, and then there is no default.
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Setup)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
