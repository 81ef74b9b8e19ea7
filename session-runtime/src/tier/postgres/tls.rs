//! TLS by rustls: the server's certificate is always verified, host name and all.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::setup_error::SetupError;

/// What connects over TLS. It trusts the certificates in the file, or those that the system trusts.
pub(super) fn connector(config: &Config, root_certificates: Option<&Path>) -> Result<MakeRustlsConnect, SetupError> {
    let mut roots = RootCertStore::empty();
    match root_certificates {
        Some(path) => {
            let failed = |source: Box<dyn std::error::Error + Send + Sync>| SetupError::Certificates {
                path: path.to_owned(),
                source,
            };
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.into()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| failed(error.into()))?;
                roots.add(certificate).map_err(|error| failed(error.into()))?;
            }
            if roots.is_empty() {
                return Err(failed("there is no certificate in it".into()));
            }
        }
        None if may_use_tls(config) => {
            // Where there are none, every certificate is refused, and the error says so.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        None => {}
    }
    // Named, since there may be several providers in the process, and then there is no default.
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| SetupError::Tls(error.into()))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    // For `sslnegotiation=direct`, which Postgres refuses without it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn may_use_tls(config: &Config) -> bool {
    #[cfg(unix)]
    let is_remote = |host: &Host| !matches!(host, Host::Unix(_));
    #[cfg(not(unix))]
    let is_remote = |_: &Host| true;
    config.get_ssl_mode() != SslMode::Disable && config.get_hosts().iter().any(is_remote)
}
